"""A refunded order says so at the top of its receipt; each adjustment tells its value and its times."""

import json

import pytest
from msgspec.structs import replace
from receipt_kit import BATCH, DAY, HOUR, NOW, RECORD, of, timeline_lines

from sidecar.cli import receipt_text
from sidecar.core.conversion import AdjustmentType, Kind
from sidecar.core.instant import UnixMillis
from sidecar.core.record import Record
from sidecar.core.states_and_reasons import Reason, State

DELIVERED = replace(RECORD, state=State.DELIVERED, settled_at=BATCH.settled_at)


def adjustment(
    seq: int, value: str | None, state: State = State.DELIVERED, at: int = NOW + DAY, **given: object
) -> Record:
    """A restate to `value`, else a retract, that was received six hours before it was settled."""
    type_ = AdjustmentType.RETRACT if value is None else AdjustmentType.RESTATE
    settled_at = None if state is State.PENDING else UnixMillis(at)
    currency = None if value is None else "USD"
    row = replace(RECORD, seq=seq, kind=Kind.ADJUSTMENT, type=type_, original=RECORD.seq, value=value, state=state)
    received_at = UnixMillis(at - 6 * HOUR)
    return replace(row, currency=currency, settled_at=settled_at, received_at=received_at, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("adjustments", "summary"),
    [
        ((adjustment(18, None),), "Delivered, then taken back on 24 November 2026."),
        ((adjustment(18, "50"),), "Delivered, then restated to 50 USD on 24 November 2026."),
        (
            (adjustment(18, "50"), adjustment(19, None, at=NOW + 9 * DAY)),
            "Delivered, then restated to 50 USD on 24 November 2026, then taken back on 2 December 2026.",
        ),
        (
            (adjustment(18, "50.25", State.PENDING, reason=Reason.NOT_YET),),
            "Delivered: Microsoft took it. A restate to 50.25 USD is on its way (adj_18).",
        ),
        (
            (adjustment(18, None, State.DEAD, reason="X"),),
            "Delivered: Microsoft took it. A retract did not get through (adj_18).",
        ),
        ((adjustment(18, "50", State.CANCELED, reason=Reason.SUPERSEDED),), "Delivered: Microsoft took it."),
    ],
)
def test_effect_of_adjustments_is_at_the_top(adjustments: tuple[Record, ...], summary: str) -> None:
    told = of(DELIVERED, adjustments=adjustments)
    assert told["summary"] == summary
    assert list(receipt_text.lines(told))[1] == f"  {summary}"


def test_order_that_was_taken_back_needs_nothing_to_be_done() -> None:
    step = of(DELIVERED, adjustments=(adjustment(18, None),))["next_step"]
    assert step == {"message": "It was taken back at Microsoft, and counts no more.", "fix": "Nothing to do."}


def test_refused_order_that_may_have_been_sent_and_was_taken_back_says_both() -> None:
    dead = replace(RECORD, state=State.DEAD, reason="Odd", settled_at=NOW)
    summary = of(dead, adjustments=(adjustment(18, None),))["summary"]
    assert summary == "Refused by Microsoft for good: Odd, then taken back on 24 November 2026."


def test_adjustments_tell_value_and_times() -> None:
    told = of(DELIVERED, adjustments=(adjustment(18, "50"), adjustment(19, None, State.PENDING, at=NOW + 2 * DAY)))
    assert timeline_lines(told)[-3:] == [
        "adj_18: a restate to 50 USD was received.",
        "adj_18: Microsoft took the restate to 50 USD.",
        "adj_19: a retract was received.",
    ]
    first, second = told["adjustments"]  # type: ignore[misc]
    assert (first["value"], first["currency"], first["settled_at"]) == (50, "USD", "2026-11-24T14:30:45Z")
    assert (first["time"], second["settled_at"]) == ("2026-11-23T12:30:45Z", None)
    restated, retracted = (line for line in receipt_text.lines(told) if line.startswith(("  adj_18: ", "  adj_19: ")))
    assert restated.startswith("  adj_18: restate to 50 USD, delivered at 2026-11-24T14:30:45Z; received 2026-11-")
    assert retracted.startswith("  adj_19: retract, pending; received 2026-11-")
    assert RECORD.msclkid is not None and RECORD.msclkid not in json.dumps(told)


@pytest.mark.parametrize(
    ("reason", "value", "words"),
    [
        (Reason.APPLIED_BEFORE_UPLOAD, "50", "adj_18: it was restated to 50 USD before it was sent."),
        (Reason.RETRACTED, None, "adj_18: it was taken back before it was sent."),
        (Reason.SUPERSEDED, "50", "adj_18: ended as canceled (superseded)."),
    ],
)
def test_adjustment_that_needed_no_call_tells_what_it_did(reason: Reason, value: str | None, words: str) -> None:
    told = of(DELIVERED, adjustments=(adjustment(18, value, State.CANCELED, reason=reason),))
    assert words in timeline_lines(told)
