"""Which due entries share a batch: each lane gets its part, and those that Microsoft asked for again a tenth of it."""

from collections.abc import Callable, Sequence
from itertools import chain, zip_longest

from sidecar.core.entry import Entry

RETRIED_SHARE = 10
"""Retried entries fill at most one in this many places of a batch."""

Queue = Callable[[int], Sequence[Entry]]
"""The first entries of a lane, oldest first, as many as asked for."""


def fair_batch(fresh: Sequence[Queue], retried: Sequence[Queue], limit: int) -> list[Entry]:
    """Up to `limit` entries of these lanes, of each its share; the retried ones fill a tenth at most.

    Where there is no tenth of a place, one retried entry takes its turn among the others by the time it is due.
    """
    if limit < 1:
        return []
    first = shared_out(fresh, limit)
    again = shared_out(retried, max(1, limit // RETRIED_SHARE))
    if limit < RETRIED_SHARE:
        return sorted((*first, *again[:1]), key=lambda entry: entry.due_at)[:limit]
    reserved = min(len(again), limit // RETRIED_SHARE)
    return (first[: limit - reserved] + again)[:limit]


def shared_out(queues: Sequence[Queue], limit: int) -> list[Entry]:
    """Up to `limit` entries, the queues in turn; what some leave free others may fill.

    The queue whose first entry was received first begins.
    """
    if not queues:
        return []
    share = -(-limit // len(queues))
    found = [queue(share) for queue in queues]
    free = limit - sum(map(len, found))
    for place, queue in enumerate(queues):
        if free > 0 and len(found[place]) == share:
            found[place] = queue(share + free)
            free -= len(found[place]) - share
    found.sort(key=lambda entries: entries[0].received_at if entries else 0)
    in_turn = chain.from_iterable(zip_longest(*found))
    return [entry for entry in in_turn if entry is not None][:limit]
