"""Receipts: every state and reason is explained and says what to do; each code of Microsoft's has its golden file.

The files under `samples/explain` hold what `sidecar explain` prints, one for each code. After a wanted change of words:

    SIDECAR_WRITE_SAMPLES=1 .venv/bin/pytest tests/unit/test_receipt.py

writes them again; read the difference before you commit it.
"""

import json
import os
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from msgspec import structs
from receipt_kit import BATCH, CLICK, GOAL, HOUR, MINUTE, NOW, OTHER, RECORD, of, timeline_lines

from sidecar.api.row_json import HeldReason
from sidecar.cli import receipt_text
from sidecar.core.attempts import RequestFacts
from sidecar.core.attribution import SeenClick
from sidecar.core.entry import Entry, Fault, Hold, Lane, Requeue, next_step
from sidecar.core.goals.mapping import Mapped, MappingState
from sidecar.core.history import Attempted, Done, Replaced, read_history
from sidecar.core.instant import UnixMillis, UnixSeconds
from sidecar.core.record import Record
from sidecar.core.states_and_reasons import Reason, State
from sidecar.microsoft import error_codes
from sidecar.microsoft.error_codes import TABLE

SAMPLES = Path(__file__).parents[1] / "samples" / "explain"


# --- Every state and reason ------------------------------------------------------------------------------------------

ENDS = [state for state in State if state is not State.PENDING]
STANDINGS = [*product(State, (None, *Reason)), (State.DEAD, "OfflineConversionValueInvalid")]


@pytest.mark.parametrize(("state", "reason"), STANDINGS, ids=str)
def test_every_state_and_reason_says_what_happened_and_what_to_do(state: State, reason: str | None) -> None:
    settled_at = None if state is State.PENDING else NOW
    own = structs.replace(RECORD, state=state, reason=reason, settled_at=settled_at, due_at=UnixMillis(NOW + HOUR))
    told = of(own)
    step = told["next_step"]
    assert isinstance(step, dict)
    assert len(str(told["summary"])) > 10
    assert len(step["message"]) > 10 and len(step["fix"]) > 10
    assert "None" not in str(told["summary"]) + step["message"] + step["fix"]
    assert (told["waits_for"] is not None) == (state is State.PENDING)
    text = "\n".join(receipt_text.lines(told))
    assert step["fix"] in text and str(told["summary"]) in text


def test_reasons_differ_in_what_they_tell() -> None:
    """No two reasons of one state say the same, so that none is told by a word that fits all."""
    own = [Reason.NO_CLICK, Reason.OUTSIDE_WINDOW, Reason.GOAL_NOT_ENHANCED, Reason.ERASED]
    skipped = [of(structs.replace(RECORD, state=State.SKIPPED, reason=reason))["summary"] for reason in own]
    waiting = [reason for reason in Reason if reason not in own]
    pending = [
        of(structs.replace(RECORD, reason=reason, due_at=UnixMillis(NOW + HOUR)))["summary"] for reason in waiting
    ]
    assert len(set(skipped)) == len(skipped)
    assert len(set(pending)) == len(pending)


@pytest.mark.parametrize(
    ("reason", "until"),
    [
        (Reason.AWAITING_CLICK, "2026-11-23T15:30:45Z"),
        (Reason.RETRYING, "2026-11-23T15:30:45Z"),
        (Reason.GOAL_SETTLING, "2026-11-23T16:30:45Z"),
        (Reason.NOT_CONNECTED, None),
    ],
)
def test_what_it_waits_for_ends_when_it_is_known_to(reason: Reason, until: str | None) -> None:
    mapped = Mapped(MappingState.SETTLING, GOAL, settles_at=UnixMillis(NOW + 2 * HOUR))
    told = of(structs.replace(RECORD, reason=reason, due_at=UnixMillis(NOW + HOUR)), mapped=mapped)
    waits = told["waits_for"]
    assert isinstance(waits, dict)
    assert (waits["reason"], waits["until"]) == (reason, until)
    assert told["expires_at"] == "2027-02-21T12:30:45Z"


def test_trouble_of_the_account_comes_with_its_own_remedy() -> None:
    told = of(RECORD, held=HeldReason(Reason.NOT_CONNECTED, "client_secret_expired"))
    assert "Certificates & secrets" in str(told["next_step"])


def test_words_of_an_older_answer_are_not_quoted_beside_another_remedy() -> None:
    older = structs.replace(RECORD, error="OfflineConversionValueInvalid", error_code=5610, message="Scripted.")
    held = HeldReason(Reason.ACCOUNT_PAUSED, "paused_by_operator")
    told = of(structs.replace(older, reason=Reason.RETRYING, claimed=True), held=held)
    assert "Scripted" not in json.dumps(told["next_step"])
    delivered = of(structs.replace(older, state=State.DELIVERED, settled_at=NOW))
    assert "Scripted" not in json.dumps(delivered["next_step"])


def test_only_the_first_digits_of_identifiers_are_shown() -> None:
    known = {"clicks": (SeenClick(OTHER, RECORD.time, NOW),), "known_clicks": 1}
    text = json.dumps(of(structs.replace(RECORD, phone_sha256="cd" * 32, visitor_id="v-1"), **known))
    for whole in (CLICK, OTHER, "ab" * 32, "cd" * 32):
        assert whole[:8] in text
        assert whole[:9] not in text


HOURS = 3_600


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"state": State.DELIVERED, "settled_at": NOW}, CLICK),
        ({"state": State.DELIVERED, "settled_at": NOW}, None),
        ({"goal": None, "batch_id": None}, CLICK),
        ({"goal": None, "batch_id": None, "reason": Reason.CLICK_SETTLING}, CLICK),
        ({"reason": Reason.AWAITING_CLICK}, CLICK),
    ],
    ids=str,
)
def test_conversion_before_its_own_click_is_reported_with_a_hint_of_the_time_zone(
    changes: dict[str, object], named: str | None
) -> None:
    clicks = (SeenClick(CLICK, UnixSeconds(RECORD.time + 5 * HOURS + 1_800), NOW),)
    told = of(structs.replace(RECORD, visitor_id="v-1", **changes), clicks=clicks, named_msclkid=named, known_clicks=1)
    step = told["next_step"]
    assert isinstance(step, dict)
    assert "time zone" in step["message"] and "Nothing to do" not in step["fix"]
    [line] = told["clicks"]["items"]  # type: ignore[index]
    assert line["verdict"] == "chosen"
    assert "5 h 30 min after the conversion: most likely a time zone is wrong" in line["why"]


SKIPPED = {"state": State.SKIPPED, "reason": Reason.NO_CLICK, "goal": None, "batch_id": None, "settled_at": NOW}


@pytest.mark.parametrize("changes", [SKIPPED, {"reason": Reason.AWAITING_CLICK, "goal": None, "batch_id": None}])
def test_conversion_before_every_click_known_at_its_receipt_has_a_hint_of_the_time_zone(
    changes: dict[str, object],
) -> None:
    record = structs.replace(RECORD, visitor_id="v-1", msclkid=None, **changes)
    later = SeenClick(CLICK, UnixSeconds(RECORD.time + HOURS), record.received_at)
    assert "time zone" in json.dumps(of(record, clicks=(later,), known_clicks=1)["next_step"])
    of_a_later_visit = replace(later, captured_at=UnixMillis(record.received_at + 1))
    assert "time zone" not in json.dumps(of(record, clicks=(of_a_later_visit,), known_clicks=1))
    earlier = replace(later, clicked_at=UnixSeconds(RECORD.time - HOURS))
    assert "time zone" not in json.dumps(of(record, clicks=(later, earlier), known_clicks=2))


@pytest.mark.parametrize("seconds_before", [0, 1, 3_600])
def test_conversion_at_or_after_its_click_has_no_trouble_with_time_zones(seconds_before: int) -> None:
    clicks = (SeenClick(CLICK, UnixSeconds(RECORD.time - seconds_before), NOW), SeenClick(OTHER, RECORD.time, NOW))
    delivered = structs.replace(RECORD, state=State.DELIVERED, settled_at=NOW, visitor_id="v-1")
    assert "time zone" not in json.dumps(of(delivered, clicks=clicks, known_clicks=2))


def test_another_trouble_of_the_row_comes_before_its_time() -> None:
    clicks = (SeenClick(CLICK, UnixSeconds(RECORD.time + HOURS), NOW),)
    told = of(
        structs.replace(RECORD, visitor_id="v-1"), held=HeldReason(Reason.NOT_CONNECTED), clicks=clicks, known_clicks=1
    )
    assert "/connect" in json.dumps(told["next_step"])
    assert "a time zone is wrong" in json.dumps(told["clicks"])


# --- The timeline ----------------------------------------------------------------------------------------------------


def test_long_life_is_listed_in_order_of_time() -> None:
    start, error = RECORD.received_at, "OfflineConversionValueInvalid"
    past = (
        Attempted(UnixMillis(start + MINUTE), 1, 5, "tracking-5", error, 5610),
        Replaced(
            UnixMillis(start + 2 * MINUTE), start, "request-0", "dead", "OfflineConversionValueInvalid", "-1", "USD"
        ),
        Done(UnixMillis(start + 4 * MINUTE), "revived", "skipped", "no_click", UnixMillis(start + 3 * MINUTE)),
    )
    record = structs.replace(
        RECORD,
        state=State.DELIVERED,
        attempt=2,
        received_at=UnixMillis(start + 2 * MINUTE),
        settled_at=BATCH.settled_at,
    )
    told = of(record, past=past, request_id="request-9")
    assert timeline_lines(told) == [
        "The conversion happened.",
        "Received by request request-0.",
        "Attempt 1: Microsoft answered OfflineConversionValueInvalid (5610) (TrackingId tracking-5).",
        "The same order came with other content and took its place. It was dead (OfflineConversionValueInvalid), "
        "then worth -1 USD.",
        "Ended as skipped (no_click).",
        "A click of its visitor came in: it was due again.",
        "Attempt 2: made ready to be sent in batch 7 of 1 row.",
        f"Attempt 2: Microsoft took it (TrackingId {BATCH.tracking_id}).",
    ]
    assert told["summary"] == "Delivered: Microsoft took it."
    assert "All conv." in str(told["next_step"])


def request(number: int, answer: str, minutes: int, **given: object) -> RequestFacts:
    """One that left `minutes` before now and was answered at once; a minute later the batch may go again."""
    sent_at = UnixMillis(NOW - minutes * MINUTE)
    facts = {"number": number, "last": number, "times": 1, "rows": 1, "sent_at": sent_at, "ended_at": sent_at}
    return RequestFacts(**{**facts, "due_at": UnixMillis(sent_at + MINUTE), "answer": answer, **given})  # type: ignore[arg-type]


def test_each_attempt_is_listed_with_time_batch_tracking_id_and_answer() -> None:
    requests = (
        request(1, "refused: throttled", 2, tracking_id="t-1", error="CallRateExceeded", error_code=117),
        request(2, "lost", 2, error="no answer within 60 s"),
    )
    batch = replace(BATCH, claims=3, requests=requests)
    told = of(
        structs.replace(RECORD, state=State.DELIVERED, settled_at=BATCH.settled_at, attempt=3), batches={7: batch}
    )
    assert timeline_lines(told)[2:] == [
        "Attempt 1: made ready to be sent in batch 7 of 1 row.",
        "Attempt 1: Microsoft asked to wait 60 s: CallRateExceeded (117) (TrackingId t-1).",
        "Attempt 2: made ready to be sent in batch 7 of 1 row.",
        "Attempt 2: no readable answer (no answer within 60 s); the very same request goes again.",
        "Attempt 3: made ready to be sent in batch 7 of 1 row.",
        f"Attempt 3: Microsoft took it (TrackingId {BATCH.tracking_id}).",
    ]
    attempts = told["attempts"]
    assert isinstance(attempts, list)
    assert attempts[0] == {
        "attempt": 1,
        "sent_at": "2026-11-23T14:28:45Z",
        "answered_at": "2026-11-23T14:28:45Z",
        "batch_id": 7,
        "rows": 1,
        "times": 1,
        "tracking_id": "t-1",
        "answer": "Microsoft asked to wait 60 s: CallRateExceeded (117)",
        "error": "CallRateExceeded",
        "error_code": 117,
        "message": None,
    }
    text = "\n".join(receipt_text.lines(told))
    assert all(line in text for line in timeline_lines(told))


def test_attempts_without_details_are_listed_as_one_line() -> None:
    many = request(50, "refused: server", 3, last=83, times=34, ended_at=UnixMillis(NOW - 2 * MINUTE), error="Http500")
    batch = replace(BATCH, claims=83, requests=(many,), settled_at=None, answer="refused: server")
    told = of(structs.replace(RECORD, claimed=True, attempt=83), batches={7: batch})
    assert timeline_lines(told)[2:] == [
        "Attempts 50 to 83: made ready to be sent in batch 7 of 1 row, 34 times until 2026-11-23T14:28:45Z.",
        "Attempts 50 to 83: Microsoft's server failed: Http500; the very same request goes again.",
    ]


def test_history_that_is_not_understood_is_left_out() -> None:
    items = [{"at": 1, "attempt": 1}, {"odd": 2}, {"restated_at": 3, "state": "pending"}, {"settled_at": 4}]
    assert [type(past) for past in read_history(items)] == [Attempted, Done]
    assert "It was restated." in timeline_lines(of(RECORD, past=read_history(items[2:3])))


# --- Microsoft's codes -----------------------------------------------------------------------------------------------

NUMBERED = {
    f"{code.number}_{code.symbols[0]}": Fault(code.symbols[0], code.number)
    for code in TABLE
    if code.number in error_codes.UNKNOWN_OFFLINE
}
UNNUMBERED = [
    "NotEligibleForEnhancedConversions",
    "ConversionEmailAddressIsNotHashed",
    "ConversionPhoneNumberIsNotHashed",
    "ExternalAttributionRequiredFieldEmpty",
    "ExternalAttributionModelTooLong",
    "ExternalAttributionCreditValueInvalid",
    "GoalNotEligibleForExternalAttribution",
]
CODES = NUMBERED | {symbol: Fault(symbol) for symbol in UNNUMBERED}


def refused(fault: Fault) -> tuple[Record, HeldReason | None]:
    """A row after Microsoft answered it with that code at its first attempt, and what that closed."""
    outcome = error_codes.row_outcome(fault)
    entry = Entry(seq=17, lane=Lane(1, "default", "purchase"), time=RECORD.time, received_at=RECORD.received_at)
    answered_at = UnixMillis(NOW - MINUTE + 412)
    step = next_step(entry, outcome, answered_at, 0.0)
    given = {"error": fault.error, "error_code": fault.error_code, "reason": step.reason}
    held = HeldReason(outcome.reason, outcome.reason) if isinstance(outcome, Hold) else None
    if isinstance(step, Requeue):
        return structs.replace(RECORD, due_at=step.due_at, **given), held
    return structs.replace(RECORD, state=step.state, settled_at=answered_at, **given), held


def mapped_as(held: HeldReason | None) -> Mapped:
    if held is None:
        return Mapped(MappingState.OK, GOAL)
    return Mapped(MappingState(held.reason or ""), GOAL if held.reason == "goal_settling" else None)


@pytest.mark.parametrize("name", CODES)
def test_each_code_of_microsofts_is_explained_as_its_sample_shows(name: str) -> None:
    record, held = refused(CODES[name])
    past = (Attempted(UnixMillis(NOW - MINUTE + 412), 1, 7, BATCH.tracking_id, record.error, record.error_code),)
    told = of(record, held=held, mapped=mapped_as(held), past=past)
    text = "\n".join(receipt_text.lines(told)) + "\n"
    sample = SAMPLES / f"{name}.txt"
    if os.environ.get("SIDECAR_WRITE_SAMPLES"):
        sample.write_text(text)
    assert text == sample.read_text()


def test_there_is_a_sample_for_each_code_and_no_other() -> None:
    assert {path.stem for path in SAMPLES.glob("*.txt")} == CODES.keys()
    assert {fault.error_code for fault in CODES.values()} == {None, *range(5600, 5628)}
    assert all(error_codes.find_code(fault) for fault in CODES.values())
