"""Microsoft's verdict on one day of a goal, and what was sent that day. Values alone; days are UTC days."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from sidecar.core.instant import DAY_SECONDS, UnixMillis, UnixSeconds, text_of_seconds

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


def day_of(at: UnixMillis) -> UnixSeconds:
    """Return when the UTC day began in which `at` lies."""
    return UnixSeconds(at // (DAY_SECONDS * 1000) * DAY_SECONDS)


def day_of_date(given: date) -> UnixSeconds:
    """Return when that UTC day began."""
    return UnixSeconds((given.toordinal() - _EPOCH_ORDINAL) * DAY_SECONDS)


def text_of_day(day: UnixSeconds) -> str:
    """`2026-11-20`, of a day's beginning."""
    return text_of_seconds(day)[:10]


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalDay:
    """A line of Microsoft's by-goal report: the rows that it processed for a goal on one day."""

    account: str
    goal_id: str
    goal: str
    """Its name, as rows are sent for it."""
    day: UnixSeconds
    """When the day began."""
    attributed: int
    unattributed: int
    reasons: Mapping[str, int] = field(default_factory=dict)
    """Unattributed rows by the names of `core.unattributed`. Their sum may differ from `unattributed`."""

    @property
    def rows(self) -> int:
        """How many rows it is about."""
        return self.attributed + self.unattributed


class SentRows(NamedTuple):
    """Rows that were delivered to a goal on one day, by kind."""

    conversions: int = 0
    adjustments: int = 0

    @property
    def rows(self) -> int:
        """Both: Microsoft's report counts adjustments among the rows too."""
        return self.conversions + self.adjustments


NOTHING_SENT = SentRows()


@dataclass(frozen=True, slots=True, kw_only=True)
class DayVerdict:
    """What was sent to a goal on one day, and Microsoft's verdict on that day as it was last read.

    The counts are zero while `read_at` is None: that day was not read yet.
    """

    account: str
    goal: str
    day: UnixSeconds
    attributed: int = 0
    unattributed: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    sent: SentRows = NOTHING_SENT
    read_at: UnixMillis | None = None

    @property
    def surplus(self) -> int:
        """By how many rows Microsoft counted more than was sent: others upload to the goal; below zero, fewer."""
        return self.attributed + self.unattributed - self.sent.rows


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalSum:
    """The verdicts on a goal over several days, added up."""

    account: str
    goal: str
    attributed: int = 0
    unattributed: int = 0
    sent: SentRows = NOTHING_SENT

    @property
    def attributed_share(self) -> float | None:
        """The attributed part of what Microsoft counted, 0 to 1; None where it counted nothing."""
        counted = self.attributed + self.unattributed
        return self.attributed / counted if counted else None
