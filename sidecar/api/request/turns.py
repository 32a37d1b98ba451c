"""Turns on the event loop: dear requests begin a few at a time, so that cheap ones and probes are answered between."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from aiohttp import web

T = TypeVar("T")
R = TypeVar("R")

SLICE_SECONDS = 0.005
"""After so much work the loop looks at its sockets again."""

CHEAP_BYTES = 4 * 1024
"""A body up to this size, which says how large it is, is mostly one conversion."""

TURN_ITEMS = 50
"""After so many items the loop gets a turn: a thousand in one go would hold up everybody else's answers."""


@dataclass(slots=True)
class TurnQueue:
    """Requests that are begun in the order of their arrival, in each round of the loop for so many seconds of work."""

    seconds: float = SLICE_SECONDS
    _began: float | None = None

    async def turn(self) -> None:
        """Return when the request may begin."""
        loop = asyncio.get_running_loop()
        while self._is_over(loop.time()):  # noqa: ASYNC110 - what fits into a round shows only while it goes on
            await asyncio.sleep(0)
        if self._began is None:
            self._began = loop.time()
            loop.call_soon(self._round_is_over)

    def _is_over(self, now: float) -> bool:
        return self._began is not None and now - self._began >= self.seconds

    def _round_is_over(self) -> None:
        self._began = None


@dataclass(slots=True)
class Lanes:
    """A lane for single conversions, one for all the rest, so that neither waits for the other."""

    cheap: TurnQueue = field(default_factory=TurnQueue)
    dear: TurnQueue = field(default_factory=TurnQueue)

    async def turn(self, request: web.Request) -> None:
        """Return when the request may begin."""
        is_cheap = request.method == "POST" and 0 < (request.content_length or 0) <= CHEAP_BYTES
        await (self.cheap if is_cheap else self.dear).turn()


async def in_turns(items: Sequence[T], work: Callable[[T], R]) -> list[R]:
    """What `work` makes of each of the items, with a turn for everybody else in between."""
    made: list[R] = []
    for first in range(0, len(items), TURN_ITEMS):
        if first:
            await asyncio.sleep(0)
        made += map(work, items[first : first + TURN_ITEMS])
    return made


@dataclass(slots=True)
class Weights:
    """Lets work begin, in the order of its arrival, as long as all that is under way together weighs no more."""

    limit: int
    _taken: int = 0
    _waiting: deque[tuple[int, asyncio.Future[None]]] = field(default_factory=deque)

    async def take(self, weight: int) -> None:
        """Return when there is room for it; what is heavier than all the room goes alone."""
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
