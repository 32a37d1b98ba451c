"""Many equal facts to one: counts per name and code over a stretch of time. Knows no clock."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from sidecar.core.instant import UnixMillis
from sidecar.telemetry.names import Name

WINDOW_MILLIS = 10_000
"""How long equal facts are gathered before they are told as one."""

MAX_CODES = 200
"""Codes that are counted apart; what comes beyond them is counted as `other`."""


@dataclass(slots=True)
class _Gathered:
    since: UnixMillis
    count: int


@dataclass(slots=True)
class Aggregator:
    """What was counted, by name and code, and not yet told."""

    _counts: dict[tuple[Name, str], _Gathered] = field(default_factory=dict)

    def add(self, name: Name, code: str, n: int, now: UnixMillis) -> None:
        """Count `n` more facts."""
        key = (name, code)
        if key not in self._counts and len(self._counts) >= MAX_CODES:
            key = (name, "other")
        self._counts.setdefault(key, _Gathered(now, 0)).count += n

    def take(self, now: UnixMillis | None = None) -> Iterator[tuple[Name, str, int]]:
        """Name, code and count of what has been gathered long enough at `now`; of everything when that is None."""
        for (name, code), gathered in list(self._counts.items()):
            # A clock that was set back must not hold facts for hours.
            if now is None or not 0 <= now - gathered.since < WINDOW_MILLIS:
                del self._counts[name, code]
                yield name, code, gathered.count
