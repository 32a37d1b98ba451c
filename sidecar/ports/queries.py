"""What readers ask of the store. Nothing here writes a row."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from sidecar.core.conversion import Kind
from sidecar.core.entry import Fault, Lane
from sidecar.core.instant import UnixMillis, UnixSeconds
from sidecar.core.receipts.trace import Trace
from sidecar.core.record import Record
from sidecar.core.states_and_reasons import State
from sidecar.core.tally import Figures, Tally
from sidecar.core.unstored import Unstored
from sidecar.core.waiting_summary import Waiting


@dataclass(frozen=True, slots=True)
class Counts:
    """How many rows are in each state, exact as of the last commit."""

    pending: int = 0
    delivered: int = 0
    skipped: int = 0
    dead: int = 0
    canceled: int = 0


@dataclass(frozen=True, slots=True)
class Backlog:
    """The waiting rows: when the oldest became due, and when the first expires."""

    oldest_due_at: UnixMillis | None
    first_expiry_at: UnixMillis | None


class Retried(NamedTuple):
    """An error for which rows of an account wait for their next attempt; `goal` is the one they are frozen for."""

    account: str
    fault: Fault
    goal: str | None
    is_refused: bool = False
    """Whether a request that carried them was refused as a whole, so that each is sent by itself."""


@dataclass(frozen=True, slots=True)
class Query:
    """Which rows to list; every field narrows the list."""

    order_id: str | None = None
    event: str | None = None
    state: State | None = None
    account: str | None = None
    since: UnixMillis | None = None
    reason: str | None = None
    """Of rows that ended. Pending rows are not narrowed by it: their reason may be that of account or goal."""
    visitor_id: str | None = None
    msclkid: str | None = None
    """The click id that the caller gave, or that was chosen; in any case of its letters."""
    kind: Kind = Kind.CONVERSION
    before_seq: int | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Page:
    """A page of rows, newest first; the next page starts at `next_seq`, None at the end."""

    records: tuple[Record, ...]
    next_seq: int | None


class Queries(Protocol):
    """Reads what is stored, without waiting for writes."""

    async def lanes(self) -> Sequence[Lane]:
        """Return every lane that ever held a row, other processes' too; cheap enough to ask before each batch."""

    async def lanes_of(self, account: str) -> Sequence[Lane]:
        """Return those lanes that are the account's."""

    async def next_due(self, account: str) -> UnixMillis | None:
        """Return when a row or a batch of the account is due next, or has been due since; None when none waits."""

    async def counts(self) -> Counts:
        """Return the rows by state, other processes' too; cheap enough for each scrape and each health check."""

    async def adjustments(self, seq: int) -> Sequence[Record]:
        """Return every adjustment of the conversion with that number, oldest first."""

    async def keeping_accounts(self) -> Collection[str]:
        """Return the accounts of which `waiting_elsewhere` or `waiting_by_goal` find rows; cheap for thousands."""

    async def waiting_elsewhere(self, account: str, ids: str) -> Mapping[str, Waiting]:
        """Return, by account at Microsoft, the rows that wait because they went to another one than `ids`."""

    async def waiting_by_goal(self, account: str) -> Mapping[str, Waiting]:
        """Return, by goal, the account's rows that are frozen for it, in open batches or outside."""

    async def backlog(self) -> Backlog:
        """Return what waits, for the health page."""

    async def waiting(self, lanes: Sequence[Lane]) -> Waiting:
        """Return what waits in these lanes outside open batches, counted up to a bound."""

    async def at_stake(self, lanes: Sequence[Lane]) -> Waiting:
        """Return what waits in these lanes, open batches included, with its worth; counted up to a smaller bound."""

    async def retried(self, lanes: Sequence[Lane], now: UnixMillis) -> Sequence[Retried]:
        """Return the distinct errors for which rows of these lanes are retried, from a few rows of each lane."""

    async def get(self, seq: int) -> Record | None:
        """Return a row; None when there is no such row."""

    async def find(self, query: Query) -> Page:
        """Return a page of rows. It may be short or empty although `next_seq` shows that there is more."""


class Tallies(Protocol):
    """Figures over time and of what is stored now, whose cost does not grow with the rows."""

    async def figures(self, since: UnixSeconds, now: UnixMillis) -> Figures:
        """Return what the overview is made of, all as of one moment; `since` is the start of an hour."""

    async def by_period(self, since: UnixSeconds, step_seconds: int) -> Sequence[Tally]:
        """Return what was received in each period since `since`, the start of one; whole hours, or days once old."""

    async def gather(self, before: UnixSeconds) -> bool:
        """Gather the hours of a day before `before` into that day. Returns whether there may be more."""


class Traces(Protocol):
    """Everything that is stored of single rows, for receipts."""

    async def of(self, seq: int) -> Trace | None:
        """Return the row's trace; None when there is no such row."""


class UnstoredItems(Protocol):
    """Stores the newest traces of items that were refused, up to a number and an age."""

    async def append(self, traces: Sequence[Unstored]) -> None:
        """Store these in order. A known one is counted once more and becomes the newest."""

    async def of_order(self, order_id: str) -> Sequence[Unstored]:
        """Return the traces of an order, newest first."""

    async def prune(self, before: UnixMillis) -> int:
        """Delete a slice of what is older than `before`. Returns how many were deleted, 0 at the end."""
