"""Traces of items that were not stored, on their way to disk: they wait in memory and are written in slices."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sidecar.core.unstored import Unstored, merged, order_digest
from sidecar.ports.errors import StorageUnavailable
from sidecar.ports.queries import UnstoredItems

MAX_WAITING = 2_000
"""Traces that wait; further ones are only counted. Also the most that are stored in half a second."""

SLICE = 250

SLICES = 4
"""Written at once at most: a client that sends nothing but refused items must not block the disk for others."""

_Waiting = dict[tuple[Any, ...], Unstored]


@dataclass(slots=True)
class TraceBuffer:
    """Traces wait here until `flush` writes them; equal ones are counted, and take no room."""

    limit: int = MAX_WAITING
    _waiting: _Waiting = field(default_factory=dict)
    _writing: _Waiting = field(default_factory=dict)
    _dropped: int = 0

    def put(self, one: Unstored) -> None:
        """Queue one more trace."""
        same = one.same
        known = self._waiting.get(same)
        if known is not None:
            self._waiting[same] = one.with_older(known)
        elif len(self._waiting) < self.limit:
            self._waiting[same] = one
        else:
            self._dropped += 1

    async def flush(self, store: UnstoredItems) -> int:
        """Write a bounded part of what waits; return how many were dropped since the last time."""
        for _ in range(SLICES):
            self._writing = {same: self._waiting.pop(same) for same in list(islice(self._waiting, SLICE))}
            if not self._writing:
                break
            try:
                await store.append(list(self._writing.values()))
            except StorageUnavailable:
                self._put_back()
                break
            except Exception:
                self._dropped += len(self._writing)
            self._writing = {}
        dropped, self._dropped = self._dropped, 0
        return dropped

    def of_order(self, order_id: str, on_disk: Collection[Unstored] = ()) -> list[Unstored]:
        """Return the traces of an order that are not yet among those `on_disk`; some are just being written."""
        order, known = order_digest(order_id), {one.same for one in on_disk}
        waiting = [one for one in self._waiting.values() if one.order == order]
        return waiting + [one for one in self._writing.values() if one.order == order and one.same not in known]

    def _put_back(self) -> None:
        later, self._waiting, self._writing = self._waiting, self._writing, {}
        for one in later.values():
            self.put(one)


@dataclass(frozen=True, slots=True)
class TracesOfOrders:
    """Finds traces by the order, those that are still on their way to disk too."""

    buffer: TraceBuffer
    store: UnstoredItems

    async def of_order(self, order_id: str) -> Sequence[Unstored]:
        """Return the newest traces of that order, newest first."""
        on_disk = await self.store.of_order(order_id)
        return merged([*self.buffer.of_order(order_id, on_disk), *on_disk])
