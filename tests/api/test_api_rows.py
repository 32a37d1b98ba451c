"""A row as it is shown: section 4 of the contract."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from row_kit import NOW, PENDING, ROWS, shown

from sidecar.api.http.reply import encode
from sidecar.api.row_json import HeldReason, Rows
from sidecar.api.row_members import number
from sidecar.core.conversion import AdjustmentType, Kind, plain_decimal
from sidecar.core.instant import UnixMillis
from sidecar.core.record import Record
from sidecar.core.states_and_reasons import Reason, State
from sidecar.troubles import CATALOGUE

FIELDS = (
    "id kind state reason account event goal order_id time value currency msclkid visitor_id matched_by attempt "
    "received_at due_at sent_at settled_at batch_id error error_code tracking_id message fix meta"
)


def test_row_has_the_fields_of_the_contract_and_no_others() -> None:
    assert list(shown(PENDING)) == FIELDS.split()


def test_adjustment_has_two_fields_more() -> None:
    adjustment = replace(PENDING, kind=Kind.ADJUSTMENT, type=AdjustmentType.RESTATE, original=16)
    row = shown(adjustment)
    assert list(row) == [*FIELDS.split(), "type", "conversion_id"]
    assert (row["id"], row["type"], row["conversion_id"]) == ("adj_17", "restate", "conv_16")
    assert shown(replace(adjustment, original=-16))["conversion_id"] is None


INTERNAL = {"seq", "email_sha256", "phone_sha256", "original", "claimed", "leased", "bound_to"}


def test_every_field_of_a_record_is_shown_or_internal() -> None:
    """A new one is easily forgotten."""
    assert set(Record.__struct_fields__) - set(shown(replace(PENDING, kind=Kind.ADJUSTMENT))) == INTERNAL


def test_hash_of_a_person_is_not_shown() -> None:
    row = shown(PENDING)
    assert row["matched_by"] == ["msclkid", "email"]
    assert "aaaaaaaa" not in json.dumps(row)


def test_instants_are_utc_text() -> None:
    row = shown(PENDING)
    assert (row["time"], row["received_at"]) == ("2026-11-23T14:30:45Z", "2026-11-23T14:30:45.123Z")


def test_meta_is_shown_as_it_was_given() -> None:
    assert shown(PENDING)["meta"] == {"cart": {"lines": 3}}


@given(st.decimals(0, 999_999_999_999, places=3) | st.integers(0, 999_999_999_999).map(Decimal))
def test_value_is_a_json_number_equal_digit_for_digit(value: Decimal) -> None:
    exact = plain_decimal(value)
    assert json.dumps(number(exact)) in (exact, f"{exact}.0")
    assert Decimal(encode([number(exact)]).decode()[1:-1]) == value


@pytest.mark.parametrize(
    ("record", "due_at"),
    [
        (PENDING, "2026-11-23T14:30:50Z"),
        (replace(PENDING, claimed=True, leased=True), None),
        (replace(PENDING, claimed=True), "2026-11-23T14:30:50Z"),
        (replace(PENDING, reason="awaiting_original"), None),
        (replace(PENDING, state=State.DELIVERED), None),
        (replace(PENDING, state=State.DEAD, reason="too_old"), None),
    ],
)
def test_due_at_is_shown_while_the_row_waits_only(record: Record, due_at: str | None) -> None:
    assert shown(record)["due_at"] == due_at


def test_goal_comes_from_the_mapping_until_the_row_is_first_sent() -> None:
    assert shown(PENDING)["goal"] == "Sidecar Purchase"
    assert shown(replace(PENDING, goal="Old Name"))["goal"] == "Old Name"


def test_row_whose_event_left_the_configuration_is_unmapped() -> None:
    row = shown(replace(PENDING, event="gone", reason="not_yet"))
    assert (row["goal"], row["reason"], row["fix"]) == (None, "unmapped", CATALOGUE["unmapped"].solution)


def test_reason_of_account_or_goal_is_laid_over_a_waiting_row_only() -> None:
    held = Rows(ROWS.goal_of, lambda record: HeldReason(Reason.NOT_CONNECTED), ROWS.now)
    row = shown(replace(PENDING, reason=Reason.RETRYING), held)
    assert (row["reason"], row["fix"]) == ("not_connected", CATALOGUE["not_connected"].solution)
    assert shown(replace(PENDING, state=State.DELIVERED), held)["reason"] is None
    assert shown(replace(PENDING, state=State.DEAD, reason="too_old"), held)["reason"] == "too_old"


def test_row_whose_account_left_the_configuration_is_unmapped() -> None:
    assert shown(replace(PENDING, account="gone"))["reason"] == "unmapped"


def test_remedy_is_that_of_the_trouble_behind_the_reason() -> None:
    """Where the client secret has expired, opening /connect would not help."""
    rows = Rows(ROWS.goal_of, lambda record: HeldReason(Reason.NOT_CONNECTED, "client_secret_expired"), ROWS.now)
    assert shown(PENDING, rows)["fix"] == CATALOGUE["client_secret_expired"].solution


def test_row_of_a_batch_that_waits_to_be_sent_again_is_retrying() -> None:
    assert shown(replace(PENDING, claimed=True))["reason"] == "retrying"
    assert shown(replace(PENDING, claimed=True, leased=True))["reason"] is None


def test_time_that_has_come_is_waited_for_no_more() -> None:
    row = replace(PENDING, reason="not_yet")
    assert shown(row)["reason"] == "not_yet"
    assert shown(replace(row, due_at=NOW))["reason"] is None


@pytest.mark.parametrize(
    ("state", "reason", "trouble"),
    [
        (State.DEAD, "too_old", "conversion_too_old"),
        (State.DEAD, "poison", "poison"),
        (State.DEAD, "OfflineConversionCurrencyInvalid", "row_refused"),
        (State.PENDING, "retrying", "row_retried"),
    ],
)
def test_trouble_comes_with_its_words_and_remedy(state: State, reason: str, trouble: str) -> None:
    row = shown(replace(PENDING, state=state, reason=reason))
    assert (row["message"], row["fix"]) == (CATALOGUE[trouble].cause, CATALOGUE[trouble].solution)


def test_microsofts_own_words_come_before_ours() -> None:
    assert shown(replace(PENDING, state=State.DEAD, reason="X", message="said so"))["message"] == "said so"


@pytest.mark.parametrize("reason", [None, "not_yet"])
def test_row_that_goes_out_by_itself_needs_no_remedy(reason: str | None) -> None:
    row = shown(replace(PENDING, reason=reason))
    assert (row["reason"], row["message"], row["fix"]) == (reason, None, None)


WANTED = {Reason.DISCARDED, Reason.RETRACTED, Reason.SUPERSEDED, Reason.APPLIED_BEFORE_UPLOAD}


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason not in {Reason.NOT_YET, *WANTED}])
def test_every_other_reason_of_ours_has_a_remedy(reason: Reason) -> None:
    """What somebody wanted to end needs none."""
    assert shown(replace(PENDING, reason=reason))["fix"]


# --- Words and remedy of one cause -----------------------------------------------------------------------------------

REFUSED = {"error": "FutureConversionTimeCannotBeSet", "error_code": 5614, "message": "Scripted."}
GOAL = {"error": "OfflineConversionNameInvalid", "error_code": 5606, "message": "No such goal."}
UNKNOWN = {"error": "SomethingNew", "error_code": 5699, "message": "Something new."}
THROTTLED = {"error": "CallRateExceeded", "error_code": 117, "message": "Too many calls."}


@pytest.mark.parametrize("answer", [REFUSED, GOAL, UNKNOWN, THROTTLED], ids=lambda answer: str(answer["error"]))
@pytest.mark.parametrize(
    "held",
    [
        *(HeldReason(reason) for reason in (Reason.NOT_CONNECTED, Reason.GOAL_PAUSED, Reason.GOAL_SETTLING)),
        HeldReason(Reason.ACCOUNT_PAUSED, "paused_by_operator"),
        HeldReason(Reason.ACCOUNT_PAUSED, "wrong_account"),
        HeldReason(Reason.NOT_CONNECTED, "client_secret_expired"),
    ],
    ids=lambda held: str(held.trouble or held.reason),
)
@pytest.mark.parametrize("claimed", [False, True])
def test_message_of_an_older_answer_never_appears_with_the_remedy_of_another_trouble(
    answer: dict[str, object], held: HeldReason, claimed: bool
) -> None:
    rows = Rows(ROWS.goal_of, lambda record: held, ROWS.now)
    row = shown(replace(PENDING, reason=Reason.RETRYING, claimed=claimed, **answer), rows)
    trouble = CATALOGUE[held.trouble or str(held.reason)]
    assert (row["message"], row["fix"]) == (trouble.cause, trouble.solution)
    assert row["error"] == answer["error"]


@pytest.mark.parametrize(
    "changes",
    [
        *({"state": State.SKIPPED, "reason": reason} for reason in ("no_click", "outside_window", "erased")),
        {"state": State.DEAD, "reason": "too_old"},
        {"reason": Reason.AWAITING_CLICK},
        {"reason": Reason.CLICK_SETTLING},
        {"event": "gone"},
    ],
    ids=str,
)
def test_message_of_an_older_answer_does_not_explain_a_later_state(changes: dict[str, object]) -> None:
    later = replace(PENDING, due_at=UnixMillis(NOW + 60_000), **REFUSED)
    row = shown(replace(later, **changes))
    assert row["fix"] is not None
    assert row["message"] in {trouble.cause for trouble in CATALOGUE.values() if trouble.solution == row["fix"]}


@pytest.mark.parametrize("changes", [{"claimed": True, "leased": True}, {}, {"state": State.CANCELED}], ids=str)
def test_words_of_an_older_answer_are_gone_where_nothing_is_wrong_any_more(changes: dict[str, object]) -> None:
    row = shown(replace(PENDING, **REFUSED, **changes))
    assert (row["message"], row["fix"]) == (None, None)


@pytest.mark.parametrize(
    ("answer", "held", "trouble"),
    [
        (REFUSED, None, "clock_skew"),
        (UNKNOWN, None, "row_retried"),
        (GOAL, HeldReason(Reason.GOAL_NOT_FOUND, "goal_not_found"), "goal_not_found"),
        (THROTTLED, HeldReason(Reason.THROTTLED, "throttled"), "throttled"),
    ],
)
def test_message_of_the_answer_appears_with_its_own_remedy(
    answer: dict[str, object], held: HeldReason | None, trouble: str
) -> None:
    rows = Rows(ROWS.goal_of, lambda record: held, ROWS.now)
    row = shown(replace(PENDING, reason=Reason.RETRYING, **answer), rows)
    assert (row["message"], row["fix"]) == (answer["message"], CATALOGUE[trouble].solution)
