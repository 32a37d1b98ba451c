"""Facts on their way into the journal: gathered in memory, written in slices, never in the way of anything."""

from collections import deque
from dataclasses import dataclass, field
from itertools import islice

from sidecar.ports.errors import StorageUnavailable
from sidecar.ports.journal import Journal, JournalEntry
from sidecar.telemetry.followers import Followers

MAX_WAITING = 5_000
"""Facts that wait while storage is unavailable; what comes beyond them is only counted."""

SLICE = 500


@dataclass(frozen=True, slots=True)
class Flushed:
    """How many facts were written, and how many had to be dropped since the last time that everything was."""

    written: int
    dropped: int


@dataclass(slots=True)
class JournalBuffer:
    """Facts wait here until `flush` writes them; whoever follows the journal sees them once they are written."""

    followers: Followers
    limit: int = MAX_WAITING
    _waiting: deque[JournalEntry] = field(default_factory=deque)
    _dropped: int = 0

    def put(self, entry: JournalEntry) -> None:
        """Let one more fact wait."""
        if len(self._waiting) < self.limit:
            self._waiting.append(entry)
        else:
            self._dropped += 1

    async def flush(self, journal: Journal) -> Flushed:
        """Write what waits, and tell of what was dropped once all the rest is written.

        While storage is unavailable they stay; a slice that fails otherwise is given up, so that it holds up no other.
        """
        written = 0
        while slice_ := list(islice(self._waiting, SLICE)):
            try:
                kept = await journal.append(slice_)
            except StorageUnavailable:
                return Flushed(written, 0)
            except Exception:
                self._dropped += len(slice_)
            else:
                written += len(kept)
                self.followers.offer(kept)
            for _ in slice_:
                self._waiting.popleft()
        dropped, self._dropped = self._dropped, 0
        return Flushed(written, dropped)
