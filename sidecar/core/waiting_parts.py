"""What waits, by the reason that holds it: all of a held lane for one, else what a bounded look found.

Values in, values out. Its parts add up to everything that waits.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sidecar.core.conversion import Kind
from sidecar.core.entry import Lane
from sidecar.core.states_and_reasons import Reason, State
from sidecar.core.tally import Figures, LaneLook, Sum, Tally, total
from sidecar.core.waiting_summary import Waiting


@dataclass(frozen=True, slots=True)
class WaitingPart:
    """What waits for one reason; None for rows that are due, or on their way."""

    reason: str | None
    waiting: Waiting


def waiting_by_lane(figures: Figures) -> dict[int, Waiting]:
    """Return what waits in each lane in which anything does."""
    found: dict[int, list[Tally]] = {}
    for tally in figures.stored:
        if tally.state is State.PENDING:
            found.setdefault(tally.lane, []).append(tally)
    lanes = {lane.id: lane for lane in figures.lanes}
    return {
        id_: _of_lane(lanes[id_], total(tallies), figures.looks[id_])
        for id_, tallies in found.items()
        if id_ in lanes and id_ in figures.looks
    }


def _of_lane(lane: Lane, rows: Sum, look: LaneLook) -> Waiting:
    """What an adjustment changes is in its conversion: it is worth nothing of its own."""
    if lane.kind is Kind.ADJUSTMENT:
        return Waiting(rows.rows, False, look.first_time, rows.rows)
    return Waiting(rows.rows, False, look.first_time, 0, rows.values)


def together(waiting: Sequence[Waiting]) -> Waiting:
    """Return all of it as one."""
    values: dict[str, Decimal] = {}
    for one in waiting:
        for currency, value in one.values.items():
            values[currency] = values.get(currency, Decimal(0)) + value
    times = [one.first_time for one in waiting if one.first_time is not None]
    rows, adjustments = sum(one.rows for one in waiting), sum(one.adjustments for one in waiting)
    return Waiting(rows, any(one.more for one in waiting), min(times, default=None), adjustments, values)


def parts_of(lane: Lane, waiting: Waiting, look: LaneLook, held: Reason | None) -> Iterable[WaitingPart]:
    """What waits in a lane: all of it for what holds the lane, else each row for its own reason."""
    if held is not None:
        return [WaitingPart(held, waiting)]
    own = own_parts(lane, waiting, look)
    return [*own, WaitingPart(None, _rest(waiting, own))]


def own_parts(lane: Lane, waiting: Waiting, look: LaneLook) -> list[WaitingPart]:
    """By reason, the rows that wait for a reason of their own.

    Where there are too many to look at, those that were looked at stand for the others.
    """
    seen = sum(part.rows for part in look.parts)
    if not seen:
        return []
    most = waiting.rows if look.due_rows is None else waiting.rows - look.due_rows
    factor = 1 if look.due_rows is None else max(Decimal(1), Decimal(most) / seen)
    parts = []
    for part in look.parts:
        rows = min(waiting.rows, int(part.rows * factor))
        worth = lane.kind is Kind.CONVERSION and part.currency is not None
        values = {part.currency: round(part.value * factor, 3)} if worth and part.currency is not None else {}
        time = part.first_time if factor == 1 else look.first_time
        adjustments = rows if lane.kind is Kind.ADJUSTMENT else 0
        parts.append(WaitingPart(part.reason, Waiting(rows, False, time, adjustments, values)))
    return parts


def _rest(waiting: Waiting, parts: Sequence[WaitingPart]) -> Waiting:
    """What of `waiting` is in none of its parts."""
    taken = together([part.waiting for part in parts])
    values: Mapping[str, Decimal] = {
        currency: left
        for currency, value in waiting.values.items()
        if (left := value - taken.values.get(currency, Decimal(0))) > 0
    }
    rows = max(0, waiting.rows - taken.rows)
    adjustments = max(0, waiting.adjustments - taken.adjustments)
    return Waiting(rows, False, waiting.first_time if rows else None, adjustments, values if rows else {})
