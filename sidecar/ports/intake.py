"""What intake asks of the store: to store received items, or to return what is stored of them already."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from msgspec import Struct

from sidecar.core.adjustment import Adjustment
from sidecar.core.conversion import Click, Conversion
from sidecar.core.difference import FieldDifference
from sidecar.core.entry import Entry
from sidecar.core.instant import UnixMillis, UnixSeconds
from sidecar.core.intake.problem import Problem
from sidecar.core.record import Record


class Arrival(Struct, frozen=True, gc=False):
    """A received conversion, with the time and the request."""

    conversion: Conversion
    received_at: UnixMillis
    request_id: str


class Stored(Struct, frozen=True, gc=False):
    """The item is on disk, fsynced: as a new row, or in place of a dead or skipped one."""

    record: Record
    late_click: UnixSeconds | None = None
    """The time of its captured click, if that is later than the conversion."""


class Replayed(Struct, frozen=True, gc=False):
    """The same item was stored before; `record` is its row as it is now."""

    record: Record
    overtaken: bool = False
    """Whether a later adjustment of the same conversion is in force instead."""


class Conflict(Struct, frozen=True, gc=False):
    """A different conversion with this key is stored; `differences` are the fields that differ."""

    record: Record
    differences: tuple[FieldDifference, ...] = ()


PutResult = Stored | Replayed | Conflict


@dataclass(frozen=True, slots=True)
class Captured:
    """A received click, with the time."""

    click: Click
    captured_at: UnixMillis


@dataclass(frozen=True, slots=True)
class ClickPage:
    """A page of a visitor's clicks, newest first; the next page starts at `next_seq`, None at the end."""

    clicks: tuple[Captured, ...]
    next_seq: int | None = None


@dataclass(frozen=True, slots=True)
class Adjusting:
    """A received adjustment, with the time and the request."""

    adjustment: Adjustment
    received_at: UnixMillis
    request_id: str


@dataclass(frozen=True, slots=True)
class OriginalNotSent:
    """Nothing was stored: the conversion is not at Microsoft and will not be sent."""

    original: Record


@dataclass(frozen=True, slots=True)
class NoOriginal:
    """There is no such conversion."""


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Several conversions match, and the request does not say which is meant."""

    originals: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class AlreadyRetracted:
    """The conversion was retracted, so that there is no value to restate."""

    original: Record


@dataclass(frozen=True, slots=True)
class Unadjustable:
    """This conversion cannot be adjusted in that way."""

    problem: Problem


AdjustResult = PutResult | OriginalNotSent | NoOriginal | Ambiguous | AlreadyRetracted | Unadjustable


class Intake(Protocol):
    """Stores conversions and adjustments. Every write is on disk, fsynced, when its call returns."""

    async def open_lanes(self, lanes: Sequence[tuple[str, str]]) -> None:
        """Create the lane of each (account, event) that has none."""

    async def put(self, arrivals: Sequence[Arrival]) -> list[PutResult]:
        """Store what is new and find what is known, all in one transaction."""

    async def adjust(self, adjustings: Sequence[Adjusting]) -> list[AdjustResult]:
        """Apply what needs no request, and store what must be sent to Microsoft, all in one transaction."""


class Clicks(Protocol):
    """Stores clicks of visitors. Every write is on disk, fsynced, when its call returns."""

    async def capture(self, captures: Sequence[Captured]) -> Mapping[str, int]:
        """Store these clicks, each with its earliest time. Returns how many rows of each account they make due."""

    async def seen(self, entries: Sequence[Entry]) -> Mapping[int, Click]:
        """Return, by seq, the click that each entry names itself, or else the last one of its visitor before it."""

    async def of_visitor(
        self, visitor_id: str, accounts: Sequence[str], before_seq: int | None, limit: int
    ) -> ClickPage:
        """Return up to `limit` clicks of a visitor in these accounts, older than the one numbered `before_seq`."""

    async def prune(self, before: UnixSeconds, after_seq: int, limit: int) -> int | None:
        """Delete old clicks among the `limit` after `after_seq`. Returns where to continue, None at the end."""
