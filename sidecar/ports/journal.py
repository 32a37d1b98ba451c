"""What is stored of what happened, and how it is read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sidecar.core.instant import UnixMillis
from sidecar.core.waiting import Waiting as Waiting  # what `Outbox` answers with


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One fact that an operator may want to read later."""

    time: UnixMillis
    level: str
    name: str
    message: str
    account: str | None = None
    conversion_id: str | None = None
    order_id: str | None = None
    batch_id: int | None = None
    tracking_id: str | None = None
    error: str | None = None
    fix: str | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """A fact in the journal, with its number there; numbers rise in the order in which facts were kept."""

    seq: int
    entry: JournalEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalQuery:
    """Which facts are wanted; every field narrows it. `level` is the lowest, `until` is not included."""

    level: str | None = None
    name: str | None = None
    account: str | None = None
    order_id: str | None = None
    conversion_id: str | None = None
    since: UnixMillis | None = None
    until: UnixMillis | None = None
    before_seq: int | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class JournalPage:
    """Facts of a page; `next_seq` is where the next page starts, None at the end."""

    items: tuple[StoredEntry, ...]
    next_seq: int | None


class Journal(Protocol):
    """Where what happened is kept."""

    async def append(self, entries: Sequence[JournalEntry]) -> Sequence[StoredEntry]:
        """Keep these facts, in this order."""

    async def read(self, query: JournalQuery) -> JournalPage:
        """A page, newest first. It may be short, even empty, while `next_seq` tells that there is more."""

    async def read_on(self, query: JournalQuery, after_seq: int) -> JournalPage:
        """A page of what was kept after `after_seq`, oldest first; the next one goes on after its `next_seq`."""

    async def prune(self, before: UnixMillis, max_bytes: int) -> int:
        """Delete a slice of what is older than `before`, or beyond `max_bytes`; how many were deleted, 0 at the end."""
