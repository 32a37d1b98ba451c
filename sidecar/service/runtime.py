"""The only owner of clock and chance: everything else gets them as arguments."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from sidecar.core.clock import SteadyClock
from sidecar.core.instant import UnixMillis


def now() -> UnixMillis:
    """The wall clock; everybody else gets it as an argument."""
    return UnixMillis(time.time_ns() // 1_000_000)


def elapsed() -> float:
    """Seconds that never go back; where the system can tell, those that it slept through count too."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def chance() -> float:
    """Uniform in [0, 1): spreads retries, guards nothing."""
    return random.random()  # noqa: S311 - no secret depends on it


@dataclass(frozen=True, slots=True)
class Runtime:
    """Clock and chance: the time, a monotonic clock in seconds, and a number uniform in [0, 1).

    `steady` is what keeps the time through jumps of the machine's clock; without it `now` is believed as it is.
    """

    now: Callable[[], UnixMillis]
    monotonic: Callable[[], float]
    chance: Callable[[], float]
    steady: SteadyClock | None = None

    def clock_unsettled(self) -> str | None:
        """Why no time can be told just now; None when it can."""
        return self.steady.unsettled if self.steady else None
