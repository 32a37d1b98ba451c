"""Who watches the journal as it grows: a bounded queue each, so that a slow one delays nobody and costs no memory."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sidecar.ports.journal import JournalEntry, JournalQuery, StoredEntry
from sidecar.telemetry.names import LEVELS

MAX_FOLLOWERS = 16
MAX_WAITING = 1_000
"""Entries that wait for one follower; what comes beyond them is only counted."""


class TooManyFollowers(Exception):
    """As many as are allowed watch already."""


@dataclass(slots=True)
class Follower:
    """One watcher. `next` gives what came since the last call, and how much did not fit."""

    query: JournalQuery
    limit: int = MAX_WAITING
    closed: bool = False
    _waiting: deque[StoredEntry] = field(default_factory=deque)
    _missed: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, kept: Sequence[StoredEntry]) -> None:
        """Queue what the follower wants to see; never blocks."""
        for one in kept:
            if not matches(one.entry, self.query):
                continue
            if len(self._waiting) < self.limit:
                self._waiting.append(one)
            else:
                self._missed += 1
        self._changed.set()

    async def next(self, timeout_seconds: float) -> tuple[Sequence[StoredEntry], int]:
        """What came, in order, and the number of later ones that were missed; nothing when the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                while not (self._waiting or self._missed or self.closed):
                    self._changed.clear()
                    await self._changed.wait()
        came, missed = tuple(self._waiting), self._missed
        self._waiting.clear()
        self._missed = 0
        return came, missed

    def close(self) -> None:
        """Tell the follower that nothing will come any more."""
        self.closed = True
        self._changed.set()


@dataclass(slots=True)
class Followers:
    """All who watch."""

    limit: int = MAX_FOLLOWERS
    _all: list[Follower] = field(default_factory=list)
    _closed: bool = False

    @contextlib.contextmanager
    def follow(self, query: JournalQuery, *, waiting: int = MAX_WAITING) -> Iterator[Follower]:
        """Watch what fits `query` (its cursor and limit do not count); TooManyFollowers."""
        if len(self._all) >= self.limit:
            raise TooManyFollowers
        follower = Follower(query, waiting, closed=self._closed)
        self._all.append(follower)
        try:
            yield follower
        finally:
            self._all.remove(follower)

    def offer(self, kept: Sequence[StoredEntry]) -> None:
        """Hand new entries to everyone who watches."""
        for follower in self._all:
            follower.offer(kept)

    def close(self) -> None:
        """End everyone's watch, and that of all who come later."""
        self._closed = True
        for follower in self._all:
            follower.close()


def matches(entry: JournalEntry, query: JournalQuery) -> bool:
    """Whether the entry is one that the query asks for, its place in the journal aside."""
    given = ((query.name, entry.name), (query.account, entry.account), (query.order_id, entry.order_id))
    return (
        LEVELS[entry.level] >= LEVELS[query.level or "debug"]
        and all(wanted in (None, found) for wanted, found in given)
        and query.conversion_id in (None, entry.conversion_id)
        and (query.since is None or entry.time >= query.since)
        and (query.until is None or entry.time < query.until)
    )
