"""Erasures: whose data is removed, and how far that has come. The store finds and removes it."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from sidecar.core.instant import UnixMillis
from sidecar.core.states_and_reasons import State


class Subject(StrEnum):
    """By what the person's data is found."""

    EMAIL = "email"
    PHONE = "phone"
    VISITOR = "visitor"
    ORDER = "order"


class Phase(StrEnum):
    """What an erasure is doing, in this order."""

    ROWS = "rows"  # it walks through the outbox
    WAITING = "waiting"  # some rows may be at Microsoft: they are redacted once they are settled
    JOURNAL = "journal"  # it walks through the journal
    VACUUMING = "wiping"  # what was deleted leaves the files, too
    DONE = "done"


@dataclass(frozen=True, slots=True)
class ErasureRequest:
    """What is to be erased: the hash, visitor or order that finds it; whether what was uploaded is retracted first."""

    subject: Subject
    search_value: str
    retract: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """The present state of an erasure. `search_value` is None once nothing has to be found by it."""

    id: int
    subject: Subject
    search_value: str | None
    retract: bool
    phase: Phase
    after_seq: int
    last_seq: int
    requested_at: UnixMillis
    finished_at: UnixMillis | None = None
    conversions: int = 0
    """Rows that were redacted; of these `skipped` had not been sent, and ended with it."""
    skipped: int = 0
    retracted: int = 0
    clicks: int = 0
    log_entries: int = 0
    waiting: int = 0
    """Rows that have to be settled first."""


@dataclass(frozen=True, slots=True)
class Found:
    """Rows of a slice that match: all of them, those that are delivered, the visitors they name; where to go on."""

    seqs: tuple[int, ...] = ()
    delivered: tuple[int, ...] = ()
    visitors: tuple[tuple[str, str], ...] = ()
    """Each by account and visitor id."""
    next_seq: int | None = None
    """None at the end."""


class RowToErase(NamedTuple):
    """A row that an erasure found, as far as its state decides when it is redacted."""

    seq: int
    state: State
    is_conversion: bool
    has_pending_adjustment: bool
    """An adjustment that has to go out yet names the conversion as that was sent."""

    @property
    def is_delivered_adjustment(self) -> bool:
        """Whether it is an adjustment that Microsoft took."""
        return self.state is State.DELIVERED and not self.is_conversion


def must_wait(row: RowToErase, uploaded_since: Collection[int]) -> bool:
    """Whether a row keeps its bytes: it has to be settled, or was delivered since it was found and is to be retracted.

    `uploaded_since` are the numbers of rows that would have to be retracted if they are delivered.
    """
    if row.state is State.PENDING or row.has_pending_adjustment:
        return True
    return row.is_conversion and row.state is State.DELIVERED and row.seq in uploaded_since


RowsOf = tuple[str, str, str | None]
"""Account, event and frozen goal of rows; None where they were never claimed."""

_PREFIX = "erasure_"


def erasure_id(number: int) -> str:
    """`erasure_3`: its public id."""
    return f"{_PREFIX}{number}"


def erasure_number(id_: str) -> int | None:
    """The number in a public id; None when it is no such id."""
    digits = id_.removeprefix(_PREFIX)
    usable = digits != id_ and digits.isascii() and digits.isdigit() and len(digits) <= 18
    return int(digits) if usable else None
