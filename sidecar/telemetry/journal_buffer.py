"""Entries on their way into the journal: they wait in memory and are written in slices; `put` never blocks."""

from collections import deque
from dataclasses import dataclass, field
from itertools import islice

from sidecar.ports.errors import StorageUnavailable
from sidecar.ports.journal import Journal, JournalEntry
from sidecar.telemetry.followers import Followers

MAX_WAITING = 5_000
"""Entries that wait while storage is unavailable; further ones are only counted."""

SLICE = 500


@dataclass(frozen=True, slots=True)
class Flushed:
    """How many entries were written, and how many were dropped since all were last written."""

    written: int
    dropped: int


@dataclass(slots=True)
class JournalBuffer:
    """Entries wait here until `flush` writes them; followers of the journal see them once they are written."""

    followers: Followers
    limit: int = MAX_WAITING
    _waiting: deque[JournalEntry] = field(default_factory=deque)
    _dropped: int = 0

    def put(self, entry: JournalEntry) -> None:
        """Queue one more entry."""
        if len(self._waiting) < self.limit:
            self._waiting.append(entry)
        else:
            self._dropped += 1

    async def flush(self, journal: Journal) -> Flushed:
        """Write what waits; once all of it is written, return the number of dropped ones too.

        While storage is unavailable they stay; a slice that fails otherwise is dropped, so that it holds up no other.
        """
        written = 0
        while slice_ := list(islice(self._waiting, SLICE)):
            try:
                stored = await journal.append(slice_)
            except StorageUnavailable:
                return Flushed(written, 0)
            except Exception:
                self._dropped += len(slice_)
            else:
                written += len(stored)
                self.followers.offer(stored)
            for _ in slice_:
                self._waiting.popleft()
        dropped, self._dropped = self._dropped, 0
        return Flushed(written, dropped)
