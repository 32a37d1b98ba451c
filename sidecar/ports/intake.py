"""What intake asks of the store: to keep what came in, and to say what it knew of it before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from sidecar.core.adjustment import Adjustment
from sidecar.core.conversion import Click, Conversion
from sidecar.core.difference import FieldDifference
from sidecar.core.entry import Entry
from sidecar.core.instant import UnixMillis, UnixSeconds
from sidecar.core.problem import Problem
from sidecar.core.record import Record
from sidecar.core.waiting import Waiting as Waiting  # what `Outbox` answers with


class Arrival(NamedTuple):
    """A conversion as it came in: when, and by which request."""

    conversion: Conversion
    received_at: UnixMillis
    request_id: str


@dataclass(frozen=True, slots=True)
class Stored:
    """It is on disk, fsynced; new, or in place of a row that was dead or skipped."""

    record: Record
    late_click: UnixSeconds | None = None
    """When its click happened, as it was captured, where that is after the conversion."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """The same was stored before; the row as it is now."""

    record: Record
    overtaken: bool = False
    """Of an adjustment: a later one of its conversion stands, so that this one says no more how things are."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """Another conversion with this key is stored already; `differences` are the fields in which it is another one."""

    record: Record
    differences: tuple[FieldDifference, ...] = ()


PutResult = Stored | Replayed | Conflict


@dataclass(frozen=True, slots=True)
class Captured:
    """A click as it came in, and when."""

    click: Click
    captured_at: UnixMillis


@dataclass(frozen=True, slots=True)
class ClickPage:
    """Clicks of a visitor, the last click first; `next_seq` is where the next page starts, None at the end."""

    clicks: tuple[Captured, ...]
    next_seq: int | None = None


@dataclass(frozen=True, slots=True)
class Adjusting:
    """An adjustment as it came in: when, and by which request."""

    adjustment: Adjustment
    received_at: UnixMillis
    request_id: str


@dataclass(frozen=True, slots=True)
class OriginalNotSent:
    """Its conversion is not at Microsoft and will not be: there is nothing to adjust, and nothing was stored."""

    original: Record


@dataclass(frozen=True, slots=True)
class NoOriginal:
    """There is no such conversion."""


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Several conversions fit, and the request does not say which."""

    originals: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class AlreadyRetracted:
    """Its conversion was taken back: there is no value to restate."""

    original: Record


@dataclass(frozen=True, slots=True)
class Unadjustable:
    """It cannot be done with this conversion."""

    problem: Problem


AdjustResult = PutResult | OriginalNotSent | NoOriginal | Ambiguous | AlreadyRetracted | Unadjustable


class Intake(Protocol):
    """Takes conversions and adjustments in. Every write is on disk, fsynced, when its call returns."""

    async def open_lanes(self, lanes: Sequence[tuple[str, str]]) -> None:
        """Make sure that each (account, event) has its lane."""

    async def put(self, arrivals: Sequence[Arrival]) -> list[PutResult]:
        """Store what is new, find what is known; one transaction for all of them."""

    async def adjust(self, adjustings: Sequence[Adjusting]) -> list[AdjustResult]:
        """Carry out what can be done at once, store what has to go to Microsoft; one transaction for all of them."""


class Clicks(Protocol):
    """Clicks of visitors. Every write is on disk, fsynced, when its call returns."""

    async def capture(self, captures: Sequence[Captured]) -> Mapping[str, int]:
        """Keep these clicks, of each its earliest time; how many rows of each account are due again with them."""

    async def seen(self, entries: Sequence[Entry]) -> Mapping[int, Click]:
        """By seq, for each entry whose visitor has one: its own click if it names one, else the last one before it."""

    async def of_visitor(
        self, visitor_id: str, accounts: Sequence[str], before_seq: int | None, limit: int
    ) -> ClickPage:
        """What is kept of a visitor in these accounts: `limit` clicks, behind the one numbered `before_seq`."""

    async def prune(self, before: UnixSeconds, after_seq: int, limit: int) -> int | None:
        """Forget clicks from before `before` among the `limit` after `after_seq`; where to go on, None at the end."""
