"""The log of a trial: everything that was answered, that Microsoft took, and that the database did and holds.

Instants `at` are Unix milliseconds, `second` is a conversion's time in Unix seconds.
Accounts go by their configured name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

What = Literal["conversion", "adjustment", "click"]


@dataclass(frozen=True, slots=True)
class Item:
    """What a caller posts, and posts again until it is answered."""

    what: What
    account: str
    order: str
    """The order id; of a click its visitor."""
    click: str = ""
    value: Decimal | None = None
    is_retract: bool = False
    key: str = ""
    """The Idempotency-Key of an adjustment."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A post by a caller, and its answer: 0 where there was none."""

    at: int
    replica: str
    item: Item
    status: int
    id: str | None = None
    """The row's; None where nothing was stored."""

    @property
    def is_stored(self) -> bool:
        """Whether the caller was told that it is on disk."""
        return self.status in (200, 202) and (self.id is not None or self.item.what == "click")


@dataclass(frozen=True, slots=True)
class Disaster:
    """Something that may cost an answer: from then on, and until others have noticed it."""

    at: int
    until: int
    what: str


# --- Microsoft -------------------------------------------------------------------------------------------------------

Place = tuple[str, str, str, int]
"""A conversion at Microsoft: account, click id, goal, second."""


@dataclass(frozen=True, slots=True)
class Requested:
    """A request that arrived at Microsoft and counts for the account's limit."""

    at: int
    account: str
    tracking_id: str
    answer: str = "ok"


@dataclass(frozen=True, slots=True)
class Taken:
    """A conversion that Microsoft holds, and what adjusted it last."""

    at: int
    place: Place
    value: Decimal | None
    seen: int = 1
    changed: int = 0
    """How many of the repeats had other bytes."""
    is_retracted: bool = False
    adjusted_value: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Adjusted:
    """An adjustment that Microsoft holds. `number` is its place in order of arrival."""

    at: int
    number: int
    original: Place
    adjusted_at: int
    is_retract: bool = False
    value: Decimal | None = None
    seen: int = 1
    changed: int = 0


# --- The database ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it is in the end."""

    id: str
    what: What
    state: str
    account: str
    order: str
    place: Place | None = None
    """Where it is at Microsoft, of an adjustment its original; None where it was never claimed."""
    original: str | None = None
    adjusted_at: int | None = None
    may_be_sent: bool = False


@dataclass(frozen=True, slots=True)
class StoredClick:
    """A click as it is in the end."""

    account: str
    visitor: str
    click: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """A claim of a batch; `number` is its place in the order in which the database changed batches."""

    at: int
    number: int
    batch: int


@dataclass(frozen=True, slots=True)
class Settled:
    """The outcome of a batch was written: it is over, or goes again where `is_closed` is false."""

    at: int
    number: int
    batch: int
    tracking_id: str | None
    answer: str | None = None
    is_closed: bool = True


@dataclass(frozen=True, slots=True)
class Carried:
    """A row came into a batch."""

    at: int
    number: int
    batch: int
    row: str


@dataclass(frozen=True, slots=True)
class TookOver:
    """A replica has the account from then on; `holder` is a random id of that life of a replica."""

    at: int
    account: str
    holder: str


@dataclass(frozen=True, slots=True)
class Counted:
    """How many rows of each state somebody counts."""

    by: str
    states: Mapping[str, int]


Event = (
    Answered
    | Disaster
    | Requested
    | Taken
    | Adjusted
    | Row
    | StoredClick
    | Claimed
    | Settled
    | Carried
    | TookOver
    | Counted
)
