"""What readers ask of the store; nothing here writes a row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from sidecar.core.entry import Fault, Lane, State
from sidecar.core.instant import UnixMillis
from sidecar.core.receipts.trace import Trace
from sidecar.core.record import Record
from sidecar.core.unstored import Unstored
from sidecar.core.waiting import Waiting as Waiting  # what `Outbox` answers with


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
    """What waits: when the oldest became due, and when the first gets too old."""

    oldest_due_at: UnixMillis | None
    first_expiry_at: UnixMillis | None


class Retried(NamedTuple):
    """Why some rows of an account wait for their next attempt; `goal` is the one that they are frozen for."""

    account: str
    fault: Fault
    goal: str | None
    is_refused: bool = False
    """Whether a request that carried them was refused as a whole, so that they stand alone in theirs."""


@dataclass(frozen=True, slots=True)
class Query:
    """Which rows a list wants; every field narrows it."""

    order_id: str | None = None
    event: str | None = None
    state: State | None = None
    account: str | None = None
    since: UnixMillis | None = None
    before_seq: int | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Page:
    """Rows newest first; `next_seq` is where the next page starts, None at the end."""

    records: tuple[Record, ...]
    next_seq: int | None


class Queries(Protocol):
    """Answers what is stored; a question never waits for a write."""

    def lanes(self) -> Sequence[Lane]:
        """Every lane that ever held a row, from memory; one that another process opens comes a little later."""

    def counts(self) -> Counts:
        """Rows by state, from memory: exact but for what another process has just committed."""

    async def adjustments(self, seq: int) -> Sequence[Record]:
        """Every adjustment of the conversion with that number, oldest first."""

    async def waiting_elsewhere(self, account: str, ids: str) -> Mapping[str, Waiting]:
        """Rows that may be at another account of Microsoft's than `ids`, by that account: they wait for its return."""

    async def waiting_by_goal(self, account: str) -> Mapping[str, Waiting]:
        """By goal the account's rows that keep it: those of its open batches, and those that wait by themselves."""

    async def backlog(self) -> Backlog:
        """What waits, for the health page."""

    async def waiting(self, lanes: Sequence[Lane]) -> Waiting:
        """What waits in these lanes and is in no open batch, counted up to a bound."""

    async def at_stake(self, lanes: Sequence[Lane]) -> Waiting:
        """What waits in these lanes, in open batches too, with what it is worth; counted up to a smaller bound."""

    async def retried(self, lanes: Sequence[Lane], now: UnixMillis) -> Sequence[Retried]:
        """Errors for which rows of these lanes wait to be sent again, each once; a few rows of each lane are asked."""

    async def get(self, seq: int) -> Record | None:
        """One row."""

    async def find(self, query: Query) -> Page:
        """A page of rows. It may be short, even empty, while `next_seq` tells that there is more to look through."""


class Traces(Protocol):
    """All that is stored of single rows, for their receipts."""

    async def of(self, seq: int) -> Trace | None:
        """The row's trace; None when there is no such row."""


class UnstoredItems(Protocol):
    """Where traces of items lie that were not stored: the newest so many, and none that is too old."""

    async def append(self, traces: Sequence[Unstored]) -> None:
        """Keep these, in this order; one that is there already counts up and is the newest again."""

    async def of_order(self, order_id: str) -> Sequence[Unstored]:
        """The newest of an order, newest first."""

    async def prune(self, before: UnixMillis) -> int:
        """Delete a slice of what is older than `before`; how many were deleted, 0 at the end."""
