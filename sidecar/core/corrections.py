"""The effect of adjustments on a conversion, in words, for the summary and the timeline of a receipt."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from sidecar.core.conversion import AdjustmentType
from sidecar.core.instant import UnixMillis
from sidecar.core.record import Record
from sidecar.core.states_and_reasons import Reason, State

SHOWN_CORRECTIONS = 3
"""How many the summary names; the timeline has all."""


def is_taken_back(adjustments: Sequence[Record]) -> bool:
    """Whether Microsoft took a retract of the conversion."""
    return any(one.type is AdjustmentType.RETRACT for one in _taken(adjustments))


def with_corrections(summary: str, record: Record, adjustments: Sequence[Record]) -> str:
    """The summary of a conversion with its adjustments: `Delivered, then taken back on 25 November 2026.`"""
    taken = _taken(adjustments)
    done = "".join(f", then {_done(one)}{_on(one.settled_at)}" for one in taken[-SHOWN_CORRECTIONS:])
    start = "Delivered" if taken and record.state is State.DELIVERED else summary.rstrip(".")
    return " ".join((f"{start}{done}.", *_open(adjustments)))


def corrections(adjustments: Sequence[Record]) -> Iterator[tuple[UnixMillis, str]]:
    """What happened to each of the adjustments, with its time."""
    for one in adjustments:
        yield one.received_at, f"{one.id}: {_wanted(one)} was received."
        if one.settled_at is not None and one.state is not State.PENDING:
            yield one.settled_at, f"{one.id}: {_end(one)}."


def _taken(adjustments: Sequence[Record]) -> list[Record]:
    taken = [one for one in adjustments if one.state is State.DELIVERED]
    return sorted(taken, key=lambda one: (one.settled_at or 0, one.seq))


def _open(adjustments: Sequence[Record]) -> Iterator[str]:
    """Adjustments that are not done."""
    for one in adjustments:
        if one.state is State.PENDING:
            yield f"A{_wanted(one)[1:]} is on its way ({one.id})."
        elif one.state is State.DEAD:
            yield f"A{_wanted(one)[1:]} did not get through ({one.id})."


def _end(one: Record) -> str:
    if one.state is State.DELIVERED:
        return f"Microsoft took the{_wanted(one)[1:]}"
    if one.reason == Reason.APPLIED_BEFORE_UPLOAD:
        return f"it was {_done(one)} before it was sent"
    if one.reason == Reason.RETRACTED:
        return "it was taken back before it was sent"
    reason = f" ({one.reason})" if one.reason else ""
    return f"ended as {one.state}{reason}"


def _done(one: Record) -> str:
    return "taken back" if one.type is AdjustmentType.RETRACT else f"restated to {_worth(one)}"


def _wanted(one: Record) -> str:
    return "a retract" if one.type is AdjustmentType.RETRACT else f"a restate to {_worth(one)}"


def _worth(one: Record) -> str:
    return f"{one.value} {one.currency or ''}".rstrip()


def _on(at: UnixMillis | None) -> str:
    """` on 25 November 2026`, in UTC."""
    if at is None:
        return ""
    day = datetime.fromtimestamp(at / 1000, UTC)
    return f" on {day.day} {_MONTHS[day.month - 1]} {day.year}"


_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September", "October"),
    *("November", "December"),
)
"""Written out: those of `strftime` depend on the machine's language."""
