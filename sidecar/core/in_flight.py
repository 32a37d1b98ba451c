"""What is on its way to Microsoft for one account, and what may join it. Times are seconds of a monotonic clock.

Its rules see to it that a goal whose requests get no answer holds up no other goal of the account. Conversions and
adjustments of a goal are different calls: one that gets no answers holds up the other no more than another goal.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from sidecar.core.adaptive_rate import Window
from sidecar.core.conversion import Kind
from sidecar.core.instant import UnixMillis

PATIENCE_SECONDS = 5.0
"""A request that is on its way for longer no longer counts in the window: another one may go beside it."""

SILENCE_SECONDS = 60.0
"""After a request without an answer nothing new of its goal and kind goes out for so long, or until an answer: it goes
first.

Going first has an end: a batch that never gets an answer must not hold up the rows behind it for ever.
"""


Turn = tuple[str, Kind]
"""A goal, and the kind of its rows: what takes turns, and what waits after a request without an answer."""


class Sent(NamedTuple):
    """When a request left, by both clocks: the wall clock may be set while it is on its way."""

    at: UnixMillis
    left_at: float


@dataclass(frozen=True, slots=True)
class Request:
    """One request on its way; `resend` if its batch was sent before."""

    goal: str
    kind: Kind
    resend: bool
    left_at: float

    @property
    def turn(self) -> Turn:
        """What it is one of."""
        return self.goal, self.kind

    def is_slow(self, now: float) -> bool:
        """Whether it has been on its way for long."""
        return now - self.left_at >= PATIENCE_SECONDS


@dataclass(slots=True)
class InFlight:
    """The requests of one account that are on their way, by a number of our own."""

    _requests: dict[int, Request] = field(default_factory=dict)
    _silent_until: dict[Turn, float] = field(default_factory=dict)
    _last: int = 0

    def started(self, request: Request) -> int:
        """Note that a request leaves; returns the number that names it in `finished`."""
        self._last += 1
        self._requests[self._last] = request
        return self._last

    def finished(self, number: int, now: float, *, answered: bool) -> None:
        """Note that it ended, with a readable answer or without."""
        request = self._requests.pop(number)
        if answered:
            self._silent_until.pop(request.turn, None)
        elif not request.resend:
            self._silent_until[request.turn] = now + SILENCE_SECONDS

    @property
    def is_empty(self) -> bool:
        """Whether no request is on its way."""
        return not self._requests

    def expects_nothing(self) -> None:
        """End all silences: no batch is left that would go again, so there is no answer to wait for."""
        self._silent_until.clear()

    def has_room(self, window: Window, now: float) -> bool:
        """Whether another request may leave at all."""
        quick = sum(not request.is_slow(now) for request in self._requests.values())
        return quick < window.size and len(self._requests) < window.limit

    def takes_resend(self, window: Window, now: float) -> bool:
        """Whether a batch may go again: one at a time, and slow ones never fill all the room."""
        resends = [request for request in self._requests.values() if request.resend]
        return len(resends) < max(1, window.limit // 2) and all(request.is_slow(now) for request in resends)

    def takes(self, turn: Turn, window: Window, now: float, *, is_only: bool) -> bool:
        """Whether a new batch of `turn` may leave; unless it is the only one, the last place is left to the others."""
        mine = [request for request in self._requests.values() if request.turn == turn]
        if self._silent_until.get(turn, now) > now or any(request.is_slow(now) for request in mine):
            return False
        return is_only or not mine or len(self._requests) < window.limit - 1
