"""What operators and periodic maintenance ask of the store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sidecar.core.entry import LongestWaits
from sidecar.core.goals.goal import Catalogue
from sidecar.core.instant import UnixMillis
from sidecar.core.record import Record
from sidecar.core.states_and_reasons import State


@dataclass(frozen=True, slots=True)
class ReplayQuery:
    """Which ended rows to make due again: those in `state`, dead or skipped; every other field narrows the choice."""

    state: State
    reason: str | None = None
    event: str | None = None
    account: str | None = None
    since: UnixMillis | None = None
    """Only rows that were received at this instant or later."""


@dataclass(frozen=True, slots=True)
class ReplaySlice:
    """The result for a slice of ended rows: how many matched, how many of those were too old, and their accounts."""

    matched: int
    too_old: int
    accounts: Mapping[str, int]
    next_seq: int | None
    """Where the next slice starts; None at the end."""


@dataclass(frozen=True, slots=True)
class Moved:
    """The change was made; `record` is the row as it is now."""

    record: Record


@dataclass(frozen=True, slots=True)
class Unmoved:
    """The row's state does not allow the change; `record` is unchanged."""

    record: Record


class Operations(Protocol):
    """Changes rows for an operator. Every write is on disk, fsynced, when its call returns."""

    async def replay(self, seq: int, now: UnixMillis) -> Moved | Unmoved | None:
        """Make a dead or skipped row due again, unless it is too old; None when there is no such row."""

    async def replay_slice(
        self, query: ReplayQuery, after_seq: int, limit: int, now: UnixMillis, *, dry_run: bool
    ) -> ReplaySlice:
        """Make matching rows due again among the next `limit` of that state; with `dry_run` only count them.

        StorageUnavailable when the outbox has no room for them.
        """

    async def discard(self, seq: int, now: UnixMillis, ids: str | None = None) -> Moved | Unmoved | None:
        """End a dead or pending row as canceled, unless it may have been sent; None when there is no such row.

        A waiting row that was sent to another account at Microsoft than `ids` may be discarded too.
        """


class Upkeep(Protocol):
    """Ends and deletes rows in slices. Every write is on disk, fsynced, when its call returns."""

    async def clock_stepped_back(self, now: UnixMillis, limit: int, waits: LongestWaits | None = None) -> bool:
        """After the clock stepped back to `now`, correct up to `limit` rows that are due too late.

        These are rows that would wait longer than `waits` allows. Returns whether that was all; if not, call it again.
        """

    async def expire(self, now: UnixMillis, limit: int) -> list[Record]:
        """End up to `limit` pending rows that are too old, unless a request that carries them is on its way."""

    async def prune(self, before: UnixMillis, after_seq: int, limit: int) -> int | None:
        """Delete old settled rows among the `limit` after `after_seq`. Returns where to continue, None at the end."""

    async def probe(self) -> None:
        """Write something small; StorageUnavailable if that fails."""


class Pauses(Protocol):
    """Stores which accounts an operator paused. Every write is on disk, fsynced, when its call returns."""

    async def all(self) -> Mapping[str, UnixMillis]:
        """Return the paused accounts, and since when."""

    async def put(self, account: str, since: UnixMillis) -> None:
        """Store a pause; one that exists keeps its beginning."""

    async def remove(self, account: str) -> None:
        """End a pause."""


class Goals(Protocol):
    """Stores the catalogues, so that a restart does not take old goals for new ones."""

    async def load(self) -> Sequence[Catalogue]:
        """Return the catalogue of each account, as last saved."""

    async def save(self, catalogue: Catalogue) -> None:
        """Replace an account's catalogue, durably."""


class Secrets(Protocol):
    """Small sealed values: tokens and generated keys."""

    async def get(self, name: str) -> str | None:
        """Return the stored value; None when there is none."""

    async def put(self, name: str, value: str) -> None:
        """Store a value, durably. A sealed value leaves no trace of a plain one before it."""

    async def add(self, name: str, value: str) -> str:
        """Store a value unless there is one of that name, durably. Return the one that is stored."""

    async def take(self, name: str, kind: str, since: UnixMillis) -> str | None:
        """Delete a value and return it; None when there is none, or it is older than `since`.

        Others whose name begins with `kind`, and that are older, are deleted too.
        """
