"""What can be wrong."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The promise that is broken."""

    LOST = "lost"
    """Answered 202, but neither at Microsoft nor visible."""
    DOUBLED = "doubled"
    """Stored twice, or sent again without need."""
    REORDERED = "reordered"
    """Adjustments of one original in another order than they were posted in."""
    STALE = "stale"
    """Settled by a claim that had passed."""
    LIMIT = "limit"
    """More requests within a minute than an account may send."""
    BOOKS = "books"
    """The books of database, API and Microsoft disagree."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is wrong, in words."""

    kind: Kind
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"
