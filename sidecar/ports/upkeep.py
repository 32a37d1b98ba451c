"""What operators and periodic maintenance ask of the store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sidecar.core.entry import LongestWaits, State
from sidecar.core.goals.goal import Catalogue
from sidecar.core.instant import UnixMillis
from sidecar.core.record import Record
from sidecar.core.waiting import Waiting as Waiting  # what `Outbox` answers with


@dataclass(frozen=True, slots=True)
class ReplayQuery:
    """Which ended rows are to be due again: those of `state` (dead or skipped); every other field narrows it."""

    state: State
    reason: str | None = None
    event: str | None = None
    since: UnixMillis | None = None
    """Received at this instant or later."""


@dataclass(frozen=True, slots=True)
class ReplaySlice:
    """What a slice of ended rows held: how many fitted (of which account), and how many of those were too old."""

    matched: int
    too_old: int
    accounts: Mapping[str, int]
    next_seq: int | None
    """Where the next slice starts; None at the end."""


@dataclass(frozen=True, slots=True)
class Moved:
    """An operator's wish was done; the row as it is now."""

    record: Record


@dataclass(frozen=True, slots=True)
class Unmoved:
    """The row may not be moved so, and is as it was."""

    record: Record


class Operations(Protocol):
    """Does what an operator asks of rows. Every write is on disk, fsynced, when its call returns."""

    async def replay(self, seq: int, now: UnixMillis) -> Moved | Unmoved | None:
        """Make a dead or skipped row due again, unless it is too old; None when there is no such row."""

    async def replay_slice(
        self, query: ReplayQuery, after_seq: int, limit: int, now: UnixMillis, *, dry_run: bool
    ) -> ReplaySlice:
        """Make due again what fits among the next `limit` rows of that state; with `dry_run` only say what would be.

        StorageUnavailable when the outbox has no room for them.
        """

    async def discard(self, seq: int, now: UnixMillis, ids: str | None = None) -> Moved | Unmoved | None:
        """End a dead or pending row as canceled, unless it may have been sent; None when there is no such row.

        A waiting row may be given up that went to another account at Microsoft than `ids`.
        """


class Upkeep(Protocol):
    """Ends and deletes rows in slices. Every write is on disk, fsynced, when its call returns."""

    async def clock_stepped_back(self, now: UnixMillis, limit: int, waits: LongestWaits | None = None) -> bool:
        """The clock may have been ahead before `now`: look again at up to `limit` rows that are due too late for it.

        Those that would wait longer than `waits` allows for their reason. Whether that was all; else call it again.
        """

    async def expire(self, now: UnixMillis, limit: int) -> list[Record]:
        """End up to `limit` pending rows that are too old, unless a request that carries them is on its way."""

    async def prune(self, before: UnixMillis, after_seq: int, limit: int) -> int | None:
        """Delete old settled rows among the `limit` after `after_seq`; where to go on, None at the end."""

    async def probe(self) -> None:
        """Write something small; raises StorageUnavailable when that does not work."""


class Pauses(Protocol):
    """Which accounts an operator has paused. Every write is on disk, fsynced, when its call returns."""

    async def all(self) -> Mapping[str, UnixMillis]:
        """The paused ones, and since when."""

    async def put(self, account: str, since: UnixMillis) -> None:
        """It is paused from now on; a pause that stands keeps its beginning."""

    async def remove(self, account: str) -> None:
        """It is paused no more."""


class Goals(Protocol):
    """Where the catalogues are kept, so that a restart does not take old goals for new ones."""

    async def load(self) -> Sequence[Catalogue]:
        """The catalogue of each account, as it was last saved."""

    async def save(self, catalogue: Catalogue) -> None:
        """Keep an account's catalogue in place of the one before; durably."""


class Secrets(Protocol):
    """Small sealed values: tokens and generated keys."""

    async def get(self, name: str) -> str | None:
        """The stored value."""

    async def put(self, name: str, value: str) -> None:
        """Store a value, durably; a sealed one leaves nothing of a plain one before it."""
