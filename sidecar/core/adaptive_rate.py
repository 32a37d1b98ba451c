"""How fast and how many: adaptive rate, requests in flight. Numbers in, numbers out."""

from collections import deque
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from sidecar.core.instant import UnixMillis
from sidecar.core.retry import backoff_millis

THROTTLE_MILLIS = 60_000
"""How long to wait after "too many calls" when Microsoft does not say.

https://learn.microsoft.com/advertising/guides/services-protocol#throttling
"""

THROTTLE_MOST_MILLIS = 15 * 60_000
"""The longest that Microsoft is waited for; what was noted for longer was noted while the clock was wrong."""

RESTED_MILLIS = 10 * 60_000
"""After this time without another "too many" every rate is the full one again."""

HEADROOM = 0.98
"""The share of the allowed rate that is used: room for clocks that differ and for a restart's first request."""

MADE_UP = 2
"""Requests that are made up for at most; as many have room in the minute of a limit of 200 and more."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Requests a minute: halved when Microsoft says "too many", raised by a tenth of the limit each clean minute."""

    limit: float
    current: float
    changed_at: float
    """When it last changed, in seconds of a monotonic clock."""

    @classmethod
    def full(cls, limit: float, now: float) -> "Rate":
        return cls(limit, limit, now)

    @property
    def share(self) -> float:
        """Which part of the limit it is."""
        return self.current / self.limit

    @property
    def interval_seconds(self) -> float:
        """The even distance between two requests; no sliding minute holds more than the rate."""
        return 60 / (HEADROOM * self.current)

    @property
    def at_once(self) -> int:
        """How many requests may go together where some came late: as long as the minute holds them.

        Without that, each delay of a claim is lost: a backlog used 94 % of the limit, and not 98.
        """
        return 1 + min(MADE_UP, int(self.current * (1 - HEADROOM) / 2))

    def throttled(self, now: float) -> "Rate":
        return replace(self, current=max(1.0, self.current / 2), changed_at=now)

    def clean(self, now: float) -> "Rate":
        """The rate after an answer without complaint."""
        if self.current >= self.limit or now - self.changed_at < 60:
            return self
        return replace(self, current=min(self.limit, self.current + self.limit / 10), changed_at=now)

    def rested(self, now: float) -> "Rate":
        """The rate after the time since it changed, in which another replica may have climbed, or nothing was sent."""
        steps = int(max(0.0, now - self.changed_at) // 60)
        if self.current >= self.limit or not steps:
            return self
        climbed = min(self.limit, self.current + steps * self.limit / 10)
        return replace(self, current=climbed, changed_at=self.changed_at + 60 * steps)


class HalvedRate(NamedTuple):
    """What is stored of an account's rate when Microsoft said "too many", for a restart and for other replicas."""

    share: float
    """Of the configured limit, which may be another one by then."""
    at: UnixMillis


@dataclass(frozen=True, slots=True)
class Window:
    """Requests in flight at a time: from one, one more with each clean answer; back to one after a fault."""

    limit: int
    size: int = 1

    def clean(self) -> "Window":
        return replace(self, size=min(self.limit, self.size + 1))

    def faulted(self) -> "Window":
        return replace(self, size=1)


@dataclass(slots=True)
class RequestHistory:
    """How the last requests of one account went.

    Setbacks are ordered by a monotonic clock. By a wall clock that stepped back, every fault would seem older than the
    last one, and nothing would get slower.
    """

    window: Window = field(default_factory=lambda: Window(1))
    rate: Rate = field(default_factory=lambda: Rate.full(0, 0))
    """Its limit is 0 until the pacer asks for it with the configured one."""
    faults: int = 0
    """In a row; those of requests that were on their way together are one."""
    setback_at: float = 0.0
    """When it last had to slow down, monotonic: an older request brings no news."""
    accepted_at: int = 0
    """When a row was last accepted, in Unix milliseconds."""

    permitted: deque[float] = field(default_factory=deque)
    """When the calls of the last minute were permitted, monotonic."""

    def noted(self, now: float) -> None:
        """Note that a call was permitted."""
        self.permitted.append(now)
        self.in_last_minute(now)

    def in_last_minute(self, now: float) -> int:
        """How many calls were permitted in the 60 s before `now`."""
        while self.permitted and self.permitted[0] <= now - 60:
            self.permitted.popleft()
        return len(self.permitted)

    def window_within(self, limit: int) -> Window:
        """How many requests may be on their way, where `limit` is the most that is configured now."""
        self.window = Window(limit, min(limit, self.window.size))
        return self.window

    def slow_down(self, started_at: float, now: float) -> bool:
        """Go back to one request at a time. Returns False if the request left before the last setback: no news."""
        self.window = self.window.faulted()
        if started_at <= self.setback_at:
            return False
        self.setback_at = now
        return True

    def faulted(self, started_at: float, now: float, chance: float) -> int:
        """Note that a request failed; returns the milliseconds to wait before the next."""
        self.faults += self.slow_down(started_at, now)
        return backoff_millis(self.faults, chance)
