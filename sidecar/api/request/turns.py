"""Turns on the event loop: expensive requests begin a few at a time, with cheap ones and probes between."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from aiohttp import web

T = TypeVar("T")
R = TypeVar("R")

SLICE_SECONDS = 0.005
"""After this much work the loop serves its sockets again."""

CHEAP_BYTES = 4 * 1024
"""A body of a declared length up to this is mostly one conversion."""

TURN_ITEMS = 50
"""Items between two turns of the loop: a thousand at once would delay the answers to others."""


@dataclass(slots=True)
class TurnQueue:
    """Starts requests in the order of their arrival, `seconds` of work in each round of the loop."""

    seconds: float = SLICE_SECONDS
    _began: float | None = None

    def begin(self) -> bool:
        """Whether a request may begin in this round, which it then does."""
        loop = asyncio.get_running_loop()
        if self._began is None:
            self._began = loop.time()
            loop.call_soon(self._round_is_over)
            return True
        return loop.time() - self._began < self.seconds

    async def turn(self) -> None:
        """Return when the request may begin."""
        while not self.begin():  # noqa: ASYNC110 - what fits into a round shows only during it
            await asyncio.sleep(0)

    def _round_is_over(self) -> None:
        self._began = None


@dataclass(slots=True)
class Lanes:
    """A queue for single conversions and one for all other requests, so that neither waits for the other."""

    cheap: TurnQueue = field(default_factory=TurnQueue)
    dear: TurnQueue = field(default_factory=TurnQueue)

    def begin(self, request: web.Request) -> bool:
        """Whether the request may begin in this round, which it then does."""
        return self._queue_of(request).begin()

    async def turn(self, request: web.Request) -> None:
        """Return when the request may begin."""
        await self._queue_of(request).turn()

    def _queue_of(self, request: web.Request) -> TurnQueue:
        is_cheap = request.method == "POST" and 0 < (request.content_length or 0) <= CHEAP_BYTES
        return self.cheap if is_cheap else self.dear


async def in_turns(items: Sequence[T], work: Callable[[T], R]) -> list[R]:
    """The result of `work` for each item, with turns for other requests in between."""
    made: list[R] = []
    for first in range(0, len(items), TURN_ITEMS):
        if first:
            await asyncio.sleep(0)
        made += map(work, items[first : first + TURN_ITEMS])
    return made


@dataclass(slots=True)
class Weights:
    """Starts work in the order of its arrival, while all work together weighs no more than `limit`."""

    limit: int
    _taken: int = 0
    _waiting: deque[tuple[int, asyncio.Future[None]]] = field(default_factory=deque)

    async def take(self, weight: int) -> None:
        """Return when there is room for it; work that is heavier than `limit` runs alone."""
        if not self._waiting and self._fits(weight):
            self._taken += weight
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((weight, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give(weight)
            raise

    def give(self, weight: int) -> None:
        """It is done."""
        self._taken -= weight
        while self._waiting and (self._waiting[0][1].done() or self._fits(self._waiting[0][0])):
            weight, turn = self._waiting.popleft()
            if not turn.done():
                self._taken += weight
                turn.set_result(None)

    def _fits(self, weight: int) -> bool:
        return self._taken == 0 or self._taken + weight <= self.limit
