"""The only module that reads the clock and random numbers: all others get them as arguments."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from sidecar.core.clock import SteadyClock
from sidecar.core.instant import UnixMillis


def now() -> UnixMillis:
    """Return the time of the wall clock."""
    return UnixMillis(time.time_ns() // 1_000_000)


_COUNTS_SLEEP: int | None = getattr(time, "CLOCK_BOOTTIME", None)


def elapsed() -> float:
    """Return seconds that never go back. Where the system supports it, the time that it slept counts too."""
    return time.monotonic() if _COUNTS_SLEEP is None else time.clock_gettime(_COUNTS_SLEEP)


def chance() -> float:
    """Return a number uniform in [0, 1), to spread retries; it protects no secret."""
    return random.random()  # noqa: S311 - no secret depends on it


@dataclass(frozen=True, slots=True)
class Runtime:
    """Clock and chance: the time, a monotonic clock in seconds, and a number uniform in [0, 1).

    `steady` corrects jumps of the machine's clock; without it `now` is taken as it is.
    """

    now: Callable[[], UnixMillis]
    monotonic: Callable[[], float]
    chance: Callable[[], float]
    steady: SteadyClock | None = None
    elapsed: Callable[[], float] = elapsed
    """Seconds that never go back, and go on while the machine sleeps: for leases that others count too."""
    follows_store: bool = False
    """Whether `steady` follows the clock of the store, where it has one."""

    def lead(self, at: UnixMillis) -> None:
        """Go by the clock of the store, where it is `at` now."""
        if self.steady is not None and self.follows_store:
            self.steady.lead(at)

    def clock_unsettled(self) -> str | None:
        """Return why the time is not certain now; None if it is."""
        return self.steady.unsettled if self.steady else None
