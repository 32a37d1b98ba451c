"""Many equal events to one: counts by name and code over ten seconds. Knows no clock."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from sidecar.core.instant import UnixMillis
from sidecar.telemetry.event_names import Name

WINDOW_MILLIS = 10_000
"""How long equal events are counted before they are recorded as one."""

MAX_CODES = 200
"""Codes that are counted apart; further ones are counted as `other`."""


@dataclass(slots=True)
class _Count:
    since: UnixMillis
    count: int


@dataclass(slots=True)
class Aggregator:
    """The counts that are not recorded yet, by name and code."""

    _counts: dict[tuple[Name, str], _Count] = field(default_factory=dict)

    def add(self, name: Name, code: str, n: int, now: UnixMillis) -> None:
        """Count `n` more events."""
        key = (name, code)
        if key not in self._counts and len(self._counts) >= MAX_CODES:
            key = (name, "other")
        self._counts.setdefault(key, _Count(now, 0)).count += n

    def take(self, now: UnixMillis | None = None) -> Iterator[tuple[Name, str, int]]:
        """Yield and forget name, code and count of what has been counted for long enough at `now`; None for all."""
        for (name, code), counted in list(self._counts.items()):
            # A clock that was set back must not hold counts for hours.
            if now is None or not 0 <= now - counted.since < WINDOW_MILLIS:
                del self._counts[name, code]
                yield name, code, counted.count
