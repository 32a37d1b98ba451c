"""What was stored twice, taken twice, or sent again though its answer was clear.

Microsoft ignores a repeat of the same click id, goal and second: such a one is allowed after each ambiguous answer, and
must have the same bytes. A request without an answer is ambiguous only where something happened that may have cost it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise

from history_check.events import Adjusted, Claimed, Disaster, Item, Taken
from history_check.history import History


def check(history: History) -> Iterator[str]:
    """Each thing that is there once too often."""
    yield from _stored_twice(history)
    yield from _answered_twice(history)
    yield from _counted_twice(history)
    yield from _sent_again(history)
    yield from _claimed_again(history)


def _stored_twice(history: History) -> Iterator[str]:
    orders = Counter((row.account, row.order) for row in history.rows.values() if row.what == "conversion")
    for (account, order), times in orders.items():
        if times > 1:
            yield f"order {order} of {account} has {times} rows"


def _answered_twice(history: History) -> Iterator[str]:
    ids: defaultdict[Item, set[str | None]] = defaultdict(set)
    for answer in history.stored:
        ids[answer.item].add(answer.id)
    for item, found in ids.items():
        if len(found) > 1:
            yield f"{item.what} {item.key or item.order} of {item.account} was given {len(found)} ids"


def _counted_twice(history: History) -> Iterator[str]:
    """More conversions of a click than there are orders of it."""
    orders: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for answer in history.answers:
        if answer.item.what == "conversion":
            orders[answer.item.account, answer.item.click].add(answer.item.order)
    counted = Counter((account, click) for account, click, _, _ in history.taken)
    for (account, click), times in counted.items():
        if times > len(orders[account, click]) > 0:
            yield f"Microsoft counts {times} conversions of click {click} of {account}"


def _sent_again(history: History) -> Iterator[str]:
    for row in history.rows.values():
        if row.place is None:
            continue
        if row.what == "conversion":
            taken = [history.taken.get(row.place)]
        else:
            kinds = ((row.place, row.adjusted_at or 0, is_retract) for is_retract in (False, True))
            taken = [history.adjusted.get(kind) for kind in kinds]
        for one in taken:
            if one is not None:
                yield from _repeats(row.id, one, history.ambiguous(row.id))


def _repeats(row: str, taken: Taken | Adjusted, ambiguous: int) -> Iterator[str]:
    if taken.changed:
        yield f"{row} was sent again with other bytes"
    if taken.seen - 1 > ambiguous:
        yield f"{row} was sent {taken.seen} times after {ambiguous} answers that were ambiguous"


def _claimed_again(history: History) -> Iterator[str]:
    """Batches that were claimed again while their request was on its way, and all was well."""
    disasters = history.all(Disaster)
    for batch, steps in history.batches.items():
        for claim, after in pairwise(steps):
            if not isinstance(claim, Claimed) or not isinstance(after, Claimed):
                continue
            if not any(one.at <= after.at and claim.at <= one.until for one in disasters):
                yield f"batch {batch} was claimed again {after.at - claim.at} ms after it was, without a cause"
