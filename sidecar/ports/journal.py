"""The journal: stored facts of what happened, and how they are read."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

from sidecar.core.instant import UnixMillis, text_of_millis


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


_NAMES = tuple(field.name for field in fields(JournalEntry))


def facts_of(entry: JournalEntry) -> dict[str, Any]:
    """The fields that it has, as log lines and /logs show them."""
    known = {name: value for name in _NAMES if (value := getattr(entry, name)) is not None}
    return known | {"time": text_of_millis(entry.time)}


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """A stored fact with its number. Numbers rise in the order of storing."""

    seq: int
    entry: JournalEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalQuery:
    """Which facts to read; every field narrows the result. `level` is the lowest one, `until` is exclusive."""

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
    """A page of facts; the next page starts at `next_seq`, None at the end."""

    items: tuple[StoredEntry, ...]
    next_seq: int | None


class Journal(Protocol):
    """Stores what happened."""

    async def append(self, entries: Sequence[JournalEntry]) -> Sequence[StoredEntry]:
        """Store these facts, in this order."""

    async def read(self, query: JournalQuery) -> JournalPage:
        """Return a page, newest first. It may be short or empty although `next_seq` shows that there is more."""

    async def read_on(self, query: JournalQuery, after_seq: int) -> JournalPage:
        """Return a page of facts after `after_seq`, oldest first; the next one starts after `next_seq`."""

    async def prune(self, before: UnixMillis, max_bytes: int) -> int:
        """Delete a slice of what is older than `before` or beyond `max_bytes`. Returns how many, 0 at the end."""
