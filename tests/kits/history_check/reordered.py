"""Adjustments of one original that arrived in another order than theirs, or whose last one did not win."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from history_check.events import Adjusted, Answered, Item, Place, Row, Taken
from history_check.history import History

OVER = ("delivered", "canceled")


def check(history: History) -> Iterator[str]:
    """Each original that was adjusted out of order."""
    yield from _out_of_order(history)
    yield from _wrong_at_last(history)


def _out_of_order(history: History) -> Iterator[str]:
    by_original: defaultdict[Place, list[Adjusted]] = defaultdict(list)
    for one in sorted(history.all(Adjusted), key=lambda one: one.number):
        by_original[one.original].append(one)
    for place, adjusted in by_original.items():
        times = [one.adjusted_at for one in adjusted]
        if any(later <= earlier for earlier, later in pairwise(times)):
            yield f"adjustments of {place} arrived with the times {times}"


def _wrong_at_last(history: History) -> Iterator[str]:
    """What the caller asked for last is what Microsoft counts, once nothing of it waits."""
    waiting = {row.original for row in history.rows.values() if row.what == "adjustment" and row.state not in OVER}
    for row, item in _last_wishes(history):
        taken = history.taken.get(row.place) if row.place else None
        if taken is None or row.id in waiting:
            continue
        if (taken.is_retracted, _counts(taken)) != (item.is_retract, None if item.is_retract else item.value):
            yield f"order {item.order} of {item.account} is {_shown(taken)} at Microsoft, and was last {item}"


def _last_wishes(history: History) -> Iterator[tuple[Row, Item]]:
    """The row of each order, and what was posted of it last; a caller waits for the answer before the next one."""
    last: dict[tuple[str, str], Answered] = {}
    for answer in history.stored:
        if answer.item.what != "click":
            last[answer.item.account, answer.item.order] = answer
    for row in history.rows.values():
        if row.what == "conversion" and (answer := last.get((row.account, row.order))) is not None:
            yield row, answer.item


def _counts(taken: Taken) -> object:
    if taken.is_retracted:
        return None
    return taken.value if taken.adjusted_value is None else taken.adjusted_value


def _shown(taken: Taken) -> str:
    return "retracted" if taken.is_retracted else f"worth {_counts(taken)}"
