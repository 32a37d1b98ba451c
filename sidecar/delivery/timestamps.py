"""Gives each conversion of a new batch a timestamp that no other of the same person and goal has.

Microsoft keeps only the first of two with an equal second. Which second a row gets is decided in `core.batch`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sidecar.core.attribution import Deferral, WaitForClick
from sidecar.core.batch import SEARCH_SECONDS, Candidate, next_seconds, ranges, with_seconds
from sidecar.core.instant import UnixMillis, UnixSeconds, millis
from sidecar.core.states_and_reasons import Reason
from sidecar.ports.delivery import Delivery

MIN_WAIT_MILLIS = 1_000
"""How long a row waits at least for a free second, so that it is not read again at once."""


@dataclass(frozen=True, slots=True)
class UniqueTimestamps:
    """Looks up the seconds that are used. Claims of one account follow one another: no two choose one second."""

    outbox: Delivery
    now: Callable[[], UnixMillis]

    async def choose(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Those that found a unique second; the search goes through ever wider ranges, the wide ones hardly ever.

        Those for which only seconds of the future are free wait for them.
        """
        placed: list[Candidate] = []
        left = list(candidates)
        for reach in SEARCH_SECONDS:
            found, left = with_seconds(left, await self._used(left, reach, placed), self.now(), reach)
            placed += found
            if not left:
                return placed
        await self._defer(left, await self._used(left, SEARCH_SECONDS[-1], placed))
        return placed

    async def _used(
        self, candidates: Sequence[Candidate], reach: int, placed: Iterable[Candidate]
    ) -> dict[int, set[UnixSeconds]]:
        """The seconds used around those of the candidates, by rows on disk and by those placed."""
        used = await self.outbox.used_seconds(ranges(candidates, reach))
        for candidate in placed:
            used.setdefault(candidate.identity, set()).add(candidate.entry.sent_time or candidate.entry.time)
        return used

    async def _defer(self, left: Sequence[Candidate], used: Mapping[int, set[UnixSeconds]]) -> None:
        """Let these wait for the next seconds that are free."""
        now = self.now()
        earliest = UnixMillis(now + MIN_WAIT_MILLIS)
        deferrals = [
            Deferral(entry.seq, WaitForClick(Reason.NOT_YET, max(millis(second), earliest)), entry.evaluated)
            for entry, second in next_seconds(left, used)
        ]
        await self.outbox.defer(deferrals, now)
