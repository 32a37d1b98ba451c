"""Reads calls that bring items: a reservation for the body, the body, its items, each read with turns for others."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self, TypeVar

from aiohttp import web

from sidecar.api.http.problem import unavailable
from sidecar.api.request.admission import BUDGET_BYTES, SMALL_BYTES, Admission, Reservation
from sidecar.api.request.body import BodyLimits, check_headers, read_checked_body
from sidecar.api.request.items import KEY_HEADER, Received, SingleRequest, read_items
from sidecar.api.request.turns import TURN_ITEMS, in_turns
from sidecar.ports.errors import StorageUnavailable

T = TypeVar("T")
R = TypeVar("R")

CLOCK_SECONDS = 2.0
"""How long a request waits until the clock is settled, and how often it looks."""

CLOCK_INTERVAL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class RequestReader:
    """One for all calls, so that what they read together stays within bounds."""

    limits: BodyLimits
    admission: Admission
    clock_unsettled: Callable[[], str | None] = field(default=lambda: None)
    """Why the time is not known at the moment, and so no item can be read; None when it is."""

    @classmethod
    def of(cls, limits: BodyLimits, clock_unsettled: Callable[[], str | None] = lambda: None) -> Self:
        """With a budget for many bodies of the usual size, and for two of the largest, declared or not."""
        two = 2 * limits.max_bytes
        return cls(limits, Admission(max(BUDGET_BYTES, two), undeclared_bytes=two), clock_unsettled)

    def reserve(self, request: web.Request) -> Reservation:
        """Memory for the body until the answer is made; HttpProblem when it cannot be read, or not now."""
        check_headers(request, self.limits)
        return self.admission.reservation(request.content_length)

    async def read(
        self, request: web.Request, reservation: Reservation, reader: Callable[[object, str | None], R]
    ) -> tuple[Received, list[R]]:
        """The items, and what `reader` returns for each of them and the Idempotency-Key of a single one.

        `reservation` is that of `self.reserve(request)`, which has checked the headers.
        """
        goes_on = request.content.is_eof() and self.clock_unsettled() is None
        if not goes_on:
            await self._wait_for_clock()
        body = await read_checked_body(request, self.limits, reservation.reserve)
        reservation.body_received(len(body))
        if not goes_on:  # else the turn with which it began still lasts
            await self.admission.lanes.turn(request)
        await reservation.begin(body)
        if len(body) > SMALL_BYTES:
            async with self.admission.turn(len(body)):
                received = read_items(body, request.headers.get(KEY_HEADER))
                if not isinstance(received, SingleRequest):
                    return received, await in_turns(received.items, lambda item: reader(item, None))
        else:
            received = read_items(body, request.headers.get(KEY_HEADER))
        if isinstance(received, SingleRequest):
            return received, [reader(received.item, received.key)]
        return received, await self.each(received.items, lambda item: reader(item, None))

    async def each(self, items: Sequence[T], work: Callable[[T], R]) -> list[R]:
        """The result of `work` for each item. More than a few items wait for a turn, small as the body may be."""
        if len(items) <= TURN_ITEMS:
            return [work(item) for item in items]
        async with self.admission.turn(SMALL_BYTES + 1):
            return await in_turns(items, work)

    async def _wait_for_clock(self) -> None:
        """Wait a moment until Microsoft's time shows which is right, after this machine's clock jumped; else 503."""
        waited = 0.0
        while (reason := self.clock_unsettled()) is not None:
            if waited >= CLOCK_SECONDS:
                raise unavailable(
                    StorageUnavailable("clock_jumped", reason), "Nothing was stored: send this one again."
                )
            await asyncio.sleep(CLOCK_INTERVAL_SECONDS)
            waited += CLOCK_INTERVAL_SECONDS
