"""Every error of Microsoft's sign-in, sorted into who must do what."""

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.microsoft.sign_in_errors import Remedy, Setback, of_sign_in, pause_seconds, setback_of, unavailable
from sidecar.troubles import CATALOGUE

RECONNECT, MEND, WAIT, CONFIGURATION = Remedy.RECONNECT, Remedy.MEND, Remedy.WAIT, Remedy.CONFIGURATION

# AADSTS number, error, remedy, trouble: the table of Microsoft's reference-error-codes page, as far as it concerns us.
TABLE = [
    (70000, "invalid_grant", RECONNECT, "token_refresh_failed"),
    (70008, "invalid_grant", RECONNECT, "token_refresh_failed"),
    (700082, "invalid_grant", RECONNECT, "token_refresh_failed"),
    (50173, "invalid_grant", RECONNECT, "token_refresh_failed"),
    (70043, "invalid_grant", RECONNECT, "token_refresh_failed"),
    (700084, "invalid_grant", RECONNECT, "token_refresh_failed"),
    (65001, "invalid_grant", RECONNECT, "scope_missing"),
    (65001, "interaction_required", RECONNECT, "scope_missing"),
    (65001, "consent_required", RECONNECT, "scope_missing"),
    (90094, "consent_required", RECONNECT, "scope_missing"),
    (50076, "interaction_required", RECONNECT, "token_refresh_failed"),
    (50079, "invalid_grant", RECONNECT, "token_refresh_failed"),
    (50074, "interaction_required", RECONNECT, "token_refresh_failed"),
    (50078, "invalid_grant", RECONNECT, "token_refresh_failed"),
    (53003, "interaction_required", RECONNECT, "token_refresh_failed"),
    (53003, "invalid_grant", RECONNECT, "token_refresh_failed"),
    (50034, "invalid_grant", RECONNECT, "token_refresh_failed"),
    (50057, "invalid_grant", RECONNECT, "token_refresh_failed"),
    (50055, "invalid_grant", RECONNECT, "token_refresh_failed"),
    (50132, "invalid_grant", RECONNECT, "token_refresh_failed"),
    (50133, "invalid_grant", RECONNECT, "token_refresh_failed"),
    (50144, "invalid_grant", RECONNECT, "token_refresh_failed"),
    (54005, "invalid_grant", RECONNECT, "token_refresh_failed"),
    (70011, "invalid_scope", CONFIGURATION, "scope_missing"),
    (7000215, "invalid_client", MEND, "client_secret_invalid"),
    (7000222, "invalid_client", MEND, "client_secret_expired"),
    (7000218, "invalid_client", MEND, "client_secret_invalid"),
    (700025, "invalid_client", MEND, "client_secret_invalid"),
    (650052, "invalid_client", MEND, "scope_missing"),
    (700016, "unauthorized_client", MEND, "app_registration"),
    (7000112, "unauthorized_client", MEND, "app_registration"),
    (50194, "invalid_request", CONFIGURATION, "app_registration"),
    (50011, "invalid_request", CONFIGURATION, "app_registration"),
    (9002313, "invalid_request", CONFIGURATION, "app_registration"),
    (90023, "invalid_request", CONFIGURATION, "client_secret_invalid"),
    (90002, "invalid_tenant", CONFIGURATION, "app_registration"),
    (50196, None, WAIT, "sign_in_unavailable"),
    (90006, "temporarily_unavailable", WAIT, "sign_in_unavailable"),
    (90024, "temporarily_unavailable", WAIT, "sign_in_unavailable"),
    (90033, "temporarily_unavailable", WAIT, "sign_in_unavailable"),
    (50033, "server_error", WAIT, "sign_in_unavailable"),
    (50087, "server_error", WAIT, "sign_in_unavailable"),
    (70012, "server_error", WAIT, "sign_in_unavailable"),
    (90012, "temporarily_unavailable", WAIT, "sign_in_unavailable"),
    (90055, None, WAIT, "sign_in_unavailable"),
]

BY_NAME_ALONE = [
    ("login_required", RECONNECT, "token_refresh_failed"),
    ("access_denied", RECONNECT, "scope_missing"),
    ("invalid_client", MEND, "client_secret_invalid"),
    ("unauthorized_client", MEND, "app_registration"),
    ("invalid_resource", CONFIGURATION, "scope_missing"),
    ("unsupported_grant_type", CONFIGURATION, "app_registration"),
    ("unsupported_response_type", CONFIGURATION, "app_registration"),
    ("an_error_of_tomorrow", WAIT, "sign_in_unavailable"),
]


def answer(number: int | None, error: str | None, **more: object) -> dict[str, object]:
    """An error answer of the token endpoint."""
    return {"error": error, "error_codes": [number] if number else [], "error_description": "secret words", **more}


@pytest.mark.parametrize(("number", "error", "remedy", "trouble"), TABLE)
def test_each_known_error_has_its_remedy_and_trouble(
    number: int, error: str | None, remedy: Remedy, trouble: str
) -> None:
    setback = setback_of(answer(number, error))
    assert (setback.remedy, setback.trouble) == (remedy, trouble)
    assert f"AADSTS{number}" in setback.message
    assert "): " in setback.message, "each number of the table has words of its own"


@pytest.mark.parametrize(("error", "remedy", "trouble"), BY_NAME_ALONE)
def test_an_error_without_a_number_is_sorted_by_its_name(error: str, remedy: Remedy, trouble: str) -> None:
    setback = setback_of({"error": error})
    assert (setback.remedy, setback.trouble) == (remedy, trouble)
    assert error in setback.message


@pytest.mark.parametrize("number", sorted({row[0] for row in TABLE}))
def test_the_number_never_changes_the_remedy(number: int) -> None:
    """Microsoft asks not to code against the numbers: they only choose the hint."""
    for error in ("invalid_grant", "invalid_client", "invalid_request", "server_error"):
        assert setback_of(answer(number, error)).remedy is setback_of({"error": error}).remedy


def test_suberror_consent_required_means_that_consent_is_missing() -> None:
    setback = setback_of(answer(None, "invalid_grant", suberror="consent_required"))
    assert (setback.remedy, setback.trouble) == (RECONNECT, "scope_missing")


def test_number_is_read_from_the_description_of_a_redirect() -> None:
    redirect = {"error": "access_denied", "error_description": "AADSTS65004: User declined. Trace ID: 70008"}
    setback = setback_of(redirect)
    assert "AADSTS65004" in setback.message
    assert "declined" in setback.message


def test_every_trouble_is_in_the_catalogue() -> None:
    troubles = {row[3] for row in TABLE} | {row[2] for row in BY_NAME_ALONE}
    assert troubles <= CATALOGUE.keys()


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.sampled_from(["error", "suberror", "error_codes", "error_description", "correlation_id"]),
        st.one_of(st.none(), st.text(), st.integers(), st.lists(st.integers() | st.text()), st.booleans()),
    )
)
def test_any_answer_is_sorted_without_an_error(given_answer: dict[str, object]) -> None:
    setback = setback_of(given_answer)
    assert setback.trouble in CATALOGUE


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(min_size=1))
def test_nothing_that_microsoft_wrote_is_repeated_but_names_and_numbers(text: str) -> None:
    canary = f"Test-Canary-{text}"
    setback = setback_of(
        {"error": canary, "suberror": canary, "error_description": canary, "error_codes": [canary], "claims": canary}
    )
    assert "Test-Canary" not in setback.message


# --- When it is tried again ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setback", "failures", "seconds"),
    [
        (setback_of({"error": "invalid_grant"}), 1, 900),
        (setback_of({"error": "invalid_grant"}), 7, 900),
        (setback_of({"error": "invalid_client"}), 1, 30),
        (setback_of({"error": "invalid_client"}), 2, 60),
        (setback_of({"error": "invalid_scope"}), 1, 30),
        (setback_of({"error": "server_error"}), 1, 30),
        (setback_of({"error": "server_error"}), 99, 60),
        (unavailable("it answered HTTP 503"), 1, 30),
        (unavailable("it answered HTTP 429", 10.0), 2, 60),
        (unavailable("it answered HTTP 429", 300.0), 2, 300),
        (setback_of(answer(50196, None)), 1, 900),
        (Setback(RECONNECT, "not_connected", "nobody has signed in", math.inf), 1, math.inf),
    ],
)
def test_pause_is_30_s_then_60_s_and_15_min_where_a_person_must_sign_in(
    setback: Setback, failures: int, seconds: float
) -> None:
    assert pause_seconds(setback, failures) == seconds


def test_detail_is_the_message_without_the_title_of_its_trouble() -> None:
    setback = setback_of({"error": "invalid_client", "error_codes": [7000215]})
    assert setback.message.startswith("Client secret invalid (invalid_client, AADSTS7000215): the secret is wrong")
    assert setback.detail.startswith("invalid_client, AADSTS7000215: the secret is wrong")
    assert unavailable("it did not answer in time").detail == "it did not answer in time"


def test_sign_in_that_fails_is_not_told_as_a_stored_one_that_ended() -> None:
    told = of_sign_in(setback_of({"error": "invalid_grant", "error_codes": [54005]}))
    assert (told.trouble, told.remedy) == ("sign_in_unsuccessful", Remedy.RECONNECT)
    assert told.message.startswith("Sign-in did not succeed: invalid_grant, AADSTS54005: the sign-in's code was used")
    declined = setback_of({"error": "access_denied"})
    assert of_sign_in(declined) == declined
