"""Followers of the journal as it grows: each has a bounded queue, so that a slow one delays no other."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sidecar.ports.journal import JournalEntry, JournalQuery, StoredEntry
from sidecar.telemetry.event_names import LEVELS

MAX_FOLLOWERS = 16
MAX_WAITING = 1_000
"""Entries that wait for one follower; what comes beyond them is only counted."""


class TooManyFollowers(Exception):
    """The number of followers is at its limit."""


@dataclass(slots=True)
class Follower:
    """One follower. `next` returns the entries since the last call, and the number of those that did not fit."""

    query: JournalQuery
    limit: int = MAX_WAITING
    closed: bool = False
    _waiting: deque[StoredEntry] = field(default_factory=deque)
    _missed: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, stored: Sequence[StoredEntry]) -> None:
        """Queue the entries that match its query; never blocks."""
        for one in stored:
            if not matches(one.entry, self.query):
                continue
            if len(self._waiting) < self.limit:
                self._waiting.append(one)
            else:
                self._missed += 1
        self._changed.set()

    async def next(self, timeout_seconds: float) -> tuple[Sequence[StoredEntry], int]:
        """Return new entries in order, and the number of later ones that were missed; nothing after the timeout."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                while not (self._waiting or self._missed or self.closed):
                    self._changed.clear()
                    await self._changed.wait()
        entries, missed = tuple(self._waiting), self._missed
        self._waiting.clear()
        self._missed = 0
        return entries, missed

    def close(self) -> None:
        """End it: there will be no more entries."""
        self.closed = True
        self._changed.set()


@dataclass(slots=True)
class Followers:
    """All followers."""

    limit: int = MAX_FOLLOWERS
    _all: list[Follower] = field(default_factory=list)
    _closed: bool = False

    @contextlib.contextmanager
    def follow(self, query: JournalQuery, *, waiting: int = MAX_WAITING) -> Iterator[Follower]:
        """Follow the entries that match `query` (its cursor and limit do not count); TooManyFollowers."""
        if len(self._all) >= self.limit:
            raise TooManyFollowers
        follower = Follower(query, waiting, closed=self._closed)
        self._all.append(follower)
        try:
            yield follower
        finally:
            self._all.remove(follower)

    def offer(self, stored: Sequence[StoredEntry]) -> None:
        """Pass new entries to every follower."""
        for follower in self._all:
            follower.offer(stored)

    def close(self) -> None:
        """End every follower, and each later one at once."""
        self._closed = True
        for follower in self._all:
            follower.close()


def matches(entry: JournalEntry, query: JournalQuery) -> bool:
    """Whether the entry matches the query, apart from its place in the journal."""
    given = ((query.name, entry.name), (query.account, entry.account), (query.order_id, entry.order_id))
    return (
        LEVELS[entry.level] >= LEVELS[query.level or "debug"]
        and all(wanted in (None, found) for wanted, found in given)
        and query.conversion_id in (None, entry.conversion_id)
        and (query.since is None or entry.time >= query.since)
        and (query.until is None or entry.time < query.until)
    )
