"""Every error of Microsoft's sign-in, sorted into who must do what."""

import math
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.microsoft.sign_in_error_codes import CODES
from sidecar.microsoft.sign_in_errors import Remedy, SignInFailure, classify, of_interactive, pause_seconds, unavailable
from sidecar.troubles import CATALOGUE

RECONNECT, FIX, WAIT, CONFIGURATION = Remedy.RECONNECT, Remedy.FIX, Remedy.WAIT, Remedy.CONFIGURATION

# AADSTS numbers with the `error` that Microsoft sends beside them, by remedy and trouble: as its reference-error-codes
# page has it, and where that names no `error`, as others have reported.
TABLE = [
    (int(number), error, remedy, trouble)
    for remedy, trouble, codes in (
        (
            RECONNECT,
            "token_refresh_failed",
            "70000:invalid_grant 70008:invalid_grant 700082:invalid_grant 50089:invalid_grant "
            "50173:invalid_grant 70043:invalid_grant 700084:invalid_grant 9002313:invalid_grant "
            "50072:interaction_required 50074:interaction_required 50076:interaction_required "
            "50076:invalid_grant 50078:interaction_required 50078:invalid_grant "
            "50079:interaction_required 50079:invalid_grant 50158:interaction_required "
            "53004:interaction_required 50132:invalid_grant 50133:invalid_grant 50034:invalid_grant "
            "50055:invalid_grant 50135:invalid_grant 50144:invalid_grant 54005:invalid_grant "
            "50020:invalid_grant 16000:interaction_required 51004:invalid_grant 90072:invalid_grant "
            "500208:invalid_request",
        ),
        (
            RECONNECT,
            "sign_in_blocked",
            "50105:invalid_grant 50105:interaction_required 53000:interaction_required "
            "53000:invalid_grant 53001:interaction_required 53002:interaction_required "
            "53003:interaction_required 53003:invalid_grant 53003:access_denied "
            "53010:interaction_required 53011:interaction_required 530032:invalid_grant "
            "530035:invalid_grant 50005:interaction_required 50053:invalid_grant 50057:invalid_grant "
            "50097:interaction_required 50129:interaction_required 50131:interaction_required "
            "500021:invalid_grant 500022:invalid_grant 500212:invalid_grant 500213:invalid_grant",
        ),
        (
            RECONNECT,
            "scope_missing",
            "65001:invalid_grant 65001:interaction_required 65001:consent_required "
            "65004:access_denied 90008:invalid_grant 90094:consent_required 90095:consent_required "
            "650052:invalid_client 650052:invalid_resource 500011:invalid_resource",
        ),
        (FIX, "client_secret_invalid", "7000215:invalid_client 7000218:invalid_client 700025:invalid_client"),
        (FIX, "client_secret_expired", "7000222:invalid_client"),
        (
            FIX,
            "app_registration",
            "700011:unauthorized_client 700016:unauthorized_client 70001:unauthorized_client "
            "7000112:unauthorized_client",
        ),
        (CONFIGURATION, "client_secret_invalid", "90023:invalid_request"),
        (CONFIGURATION, "scope_missing", "70011:invalid_scope 28002:invalid_scope"),
        (
            CONFIGURATION,
            "app_registration",
            "50011:invalid_request 500112:invalid_grant 50194:invalid_request 90002:invalid_request "
            "90002:invalid_tenant 9002313:invalid_request",
        ),
        (
            WAIT,
            "sign_in_unavailable",
            "50196:invalid_grant 90006:temporarily_unavailable 90012:temporarily_unavailable "
            "90024:temporarily_unavailable 90033:temporarily_unavailable "
            "90090:temporarily_unavailable 50033:server_error 50087:server_error 70012:server_error "
            "90055:temporarily_unavailable",
        ),
    )
    for number, error in (pair.split(":") for pair in codes.split())
]

BY_NAME_ALONE = [
    ("login_required", RECONNECT, "token_refresh_failed"),
    ("access_denied", RECONNECT, "scope_missing"),
    ("invalid_client", FIX, "client_secret_invalid"),
    ("unauthorized_client", FIX, "app_registration"),
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
    failure = classify(answer(number, error))
    assert (failure.remedy, failure.trouble) == (remedy, trouble)
    assert f"AADSTS{number}" in failure.message
    assert "): " in failure.message, "each number of the table has words of its own"


@pytest.mark.parametrize(("error", "remedy", "trouble"), BY_NAME_ALONE)
def test_an_error_without_a_number_is_sorted_by_its_name(error: str, remedy: Remedy, trouble: str) -> None:
    failure = classify({"error": error})
    assert (failure.remedy, failure.trouble) == (remedy, trouble)
    assert error in failure.message


@pytest.mark.parametrize("error", ["invalid_grant", "invalid_client", "invalid_request", "server_error", None])
@pytest.mark.parametrize("number", sorted({row[0] for row in TABLE} - {9002313}))
def test_the_number_decides_before_the_error(number: int, error: str | None) -> None:
    """One `error` serves many causes: `invalid_grant` also means "wait" (50196)."""
    [decided] = {(row[2], row[3]) for row in TABLE if row[0] == number}
    failure = classify(answer(number, error))
    assert (failure.remedy, failure.trouble) == decided


def test_a_number_that_is_not_known_leaves_the_decision_to_the_next_and_at_last_to_the_error() -> None:
    both = {"error": "invalid_grant", "error_codes": [70002, 50196]}
    assert classify(both).remedy is WAIT
    assert classify(answer(70002, "invalid_client")).trouble == "client_secret_invalid"


@pytest.mark.parametrize("number", [50105, 53000, 53003, 50057])
def test_what_only_an_administrator_can_allow_is_not_reported_as_sign_in_again(number: int) -> None:
    failure = of_interactive(classify(answer(number, "invalid_grant")))
    assert "administrator" in failure.message
    assert "administrator" in CATALOGUE[failure.trouble].solution


def test_a_user_of_another_tenant_is_advised_to_sign_in_as_another() -> None:
    assert "sign in as another user" in classify(answer(50020, "invalid_grant")).message


# --- The three tables of docs/connect.md -----------------------------------------------------------------------------

CONNECT = (Path(__file__).parents[2] / "docs" / "connect.md").read_text()
GROUPS = {
    "**Sign in again**": {RECONNECT},
    "**Fix the application or the configuration.**": {FIX, CONFIGURATION},
    "**Wait.**": {WAIT},
}


def documented() -> set[tuple[int, str]]:
    """Each number of the tables, with the group that its table belongs to."""
    part = CONNECT[CONNECT.index("## When the sign-in fails") : CONNECT.index("## Company tenants")]
    found, group = set(), ""
    for line in part.splitlines():
        group = next((begin for begin in GROUPS if line.startswith(begin)), group)
        if line.startswith("| AADSTS"):
            found |= {(int(number), group) for number in re.findall(r"\d{5,7}", line.split("|")[1])}
    return found


def test_the_tables_of_the_page_have_each_number_in_the_group_of_its_remedy() -> None:
    tried = {(number, group) for number, _, remedy, _ in TABLE for group in GROUPS if remedy in GROUPS[group]}
    assert documented() == tried
    assert {row[0] for row in TABLE} == set(CODES)


def test_suberror_consent_required_means_that_consent_is_missing() -> None:
    failure = classify(answer(None, "invalid_grant", suberror="consent_required"))
    assert (failure.remedy, failure.trouble) == (RECONNECT, "scope_missing")


def test_number_is_read_from_the_description_of_a_redirect() -> None:
    redirect = {"error": "access_denied", "error_description": "AADSTS65004: User declined. Trace ID: 70008"}
    failure = classify(redirect)
    assert "AADSTS65004" in failure.message
    assert "declined" in failure.message


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
    failure = classify(given_answer)
    assert failure.trouble in CATALOGUE


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(min_size=1))
def test_nothing_that_microsoft_wrote_is_repeated_but_names_and_numbers(text: str) -> None:
    canary = f"Test-Canary-{text}"
    failure = classify(
        {"error": canary, "suberror": canary, "error_description": canary, "error_codes": [canary], "claims": canary}
    )
    assert "Test-Canary" not in failure.message


# --- When it is tried again ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failure", "failures", "seconds"),
    [
        (classify({"error": "invalid_grant"}), 1, 900),
        (classify({"error": "invalid_grant"}), 7, 900),
        (classify({"error": "invalid_client"}), 1, 30),
        (classify({"error": "invalid_client"}), 2, 60),
        (classify({"error": "invalid_scope"}), 1, 30),
        (classify({"error": "server_error"}), 1, 1),
        (classify({"error": "server_error"}), 99, 60),
        *((unavailable("it answered HTTP 503"), failures, 2 ** (failures - 1)) for failures in range(1, 7)),
        (unavailable("it answered HTTP 503"), 7, 60),
        (unavailable("it answered HTTP 503"), 100_000, 60),
        (unavailable("it answered HTTP 429", 10.0), 2, 10),
        (unavailable("it answered HTTP 429", 10.0), 6, 32),  # it asks for less than we wait by now
        (unavailable("it answered HTTP 429", 300.0), 2, 300),
        (classify(answer(50196, "invalid_grant")), 1, 900),
        (SignInFailure(RECONNECT, "not_connected", "nobody has signed in", math.inf), 1, math.inf),
    ],
)
def test_pause_doubles_from_a_second_to_a_minute_and_is_15_min_where_a_person_must_sign_in(
    failure: SignInFailure, failures: int, seconds: float
) -> None:
    assert pause_seconds(failure, failures) == seconds


def test_detail_is_the_message_without_the_title_of_its_trouble() -> None:
    failure = classify({"error": "invalid_client", "error_codes": [7000215]})
    assert failure.message.startswith("Client secret invalid (invalid_client, AADSTS7000215): the secret is wrong")
    assert failure.detail.startswith("invalid_client, AADSTS7000215: the secret is wrong")
    assert unavailable("it did not answer in time").detail == "it did not answer in time"


def test_sign_in_that_fails_is_not_reported_as_a_stored_one_that_ended() -> None:
    told = of_interactive(classify({"error": "invalid_grant", "error_codes": [54005]}))
    assert (told.trouble, told.remedy) == ("sign_in_unsuccessful", Remedy.RECONNECT)
    assert told.message.startswith("Sign-in did not succeed: invalid_grant, AADSTS54005: the sign-in's code was used")
    declined = classify({"error": "access_denied"})
    assert of_interactive(declined) == declined
