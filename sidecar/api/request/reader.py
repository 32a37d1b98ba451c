"""How calls that bring items take them in: room for the body, the body, its items, each read with turns for others."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self, TypeVar

from aiohttp import web

from sidecar.api.http.problem import unavailable
from sidecar.api.request.admission import BUDGET_BYTES, SMALL_BYTES, Admission, Reservation
from sidecar.api.request.body import BodyLimits, check_headers, read_checked_body
from sidecar.api.request.items import KEY_HEADER, BulkRequest, Single, read_items
from sidecar.api.request.turns import TURN_ITEMS, in_turns
from sidecar.ports.errors import StorageUnavailable

T = TypeVar("T")
R = TypeVar("R")

DOUBT_SECONDS = 2.0
"""How long a request waits for the time to be told, and how often it looks."""

GLANCE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class RequestReader:
    """One for all calls, so that what they take in together stays within bounds."""

    limits: BodyLimits
    admission: Admission
    doubt: Callable[[], str | None] = field(default=lambda: None)
    """Why no time can be told just now, and so no item can be judged; None when it can."""

    @classmethod
    def of(cls, limits: BodyLimits, doubt: Callable[[], str | None] = lambda: None) -> Self:
        """Room for many bodies of the usual size, and for two of the largest, also where none says how large it is."""
        two = 2 * limits.max_bytes
        return cls(limits, Admission(max(BUDGET_BYTES, two), undeclared_bytes=two), doubt)

    def room(self, request: web.Request) -> Reservation:
        """Room for the body until the answer is made; HttpProblem when it cannot be taken, or not now."""
        check_headers(request, self.limits)
        return self.admission.room(request.content_length)

    async def read(
        self, request: web.Request, room: Reservation, reader: Callable[[object, str | None], R]
    ) -> tuple[Single | BulkRequest, list[R]]:
        """What came, and what `reader` makes of each item and of the Idempotency-Key of a single one.

        `room` is that of `self.room(request)`, which has looked at the headers.
        """
        await self._time_is_told()
        body = await read_checked_body(request, self.limits, room.hold)
        room.arrived()
        await room.begin(request, body)
        is_large = len(body) > SMALL_BYTES
        async with self.admission.turn(len(body)):
            came = read_items(body, request.headers.get(KEY_HEADER))
            if isinstance(came, Single):
                return came, [reader(came.item, came.key)]
            if is_large:
                return came, await in_turns(came.items, lambda item: reader(item, None))
        return came, await self.each(came.items, lambda item: reader(item, None))

    async def each(self, items: Sequence[T], work: Callable[[T], R]) -> list[R]:
        """What `work` makes of each of the items; many of them wait for a turn, small as their body may be."""
        async with self.admission.turn(0 if len(items) <= TURN_ITEMS else SMALL_BYTES + 1):
            return await in_turns(items, work)

    async def _time_is_told(self) -> None:
        """Wait a moment for Microsoft to tell which time is right, after this machine's clock jumped; else 503."""
        waited = 0.0
        while (doubt := self.doubt()) is not None:
            if waited >= DOUBT_SECONDS:
                raise unavailable(StorageUnavailable("clock_jumped", doubt), "Nothing was stored: send this one again.")
            await asyncio.sleep(GLANCE_SECONDS)
            waited += GLANCE_SECONDS
