"""What the reading of Microsoft's verdict asks of the ad platform and of the store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sidecar.core.answer import Lost, RefusedBatch
from sidecar.core.goal_days import DayVerdict, GoalDay, GoalSum
from sidecar.core.instant import UnixMillis, UnixSeconds
from sidecar.core.report import GoalReport, KnownDays, ReportCall


class ReportPlatform(Protocol):
    """Where verdicts come from. Each call counts against the account's rate; NotConnected when there is no token."""

    def identity(self, account: str) -> str | None:
        """As `Platform.identity`."""

    async def report(self, account: str, call: ReportCall) -> GoalReport | RefusedBatch | Lost:
        """Return the counts of the call's goals and days."""

    def sharing(self, account: str) -> Sequence[str]:
        """As `Platform.sharing`."""

    def throttled(self, account: str) -> None:
        """As `Platform.throttled`."""


@dataclass(frozen=True, slots=True)
class VerdictQuery:
    """Which days to list, newest first; each field narrows the choice."""

    account: str | None = None
    goal: str | None = None
    since: UnixSeconds | None = None
    """Only days that begin at this second or later."""
    before: tuple[UnixSeconds, str, str] | None = None
    """Where the page before ended: its last day, account and goal."""
    limit: int = 100


@dataclass(frozen=True, slots=True)
class VerdictPage:
    """Days of goals, newest first, and where the next page begins; None at the end."""

    days: Sequence[DayVerdict]
    next_before: tuple[UnixSeconds, str, str] | None


@dataclass(frozen=True, slots=True)
class Saved:
    """How the counts changed with a reading."""

    attributed: Mapping[str, int]
    """Rows by goal that are attributed now, and were not before."""
    unattributed: Mapping[tuple[str, str], int]
    """Rows by goal and reason that are unattributed now, and were not before."""
    fell: Sequence[GoalDay]
    """Days of which Microsoft counts fewer rows than before, as they were before."""


class StoredVerdicts(Protocol):
    """Stores what was sent and what Microsoft made of it, by goal and day. Writes are fsynced when calls return."""

    async def known(self, account: str) -> KnownDays:
        """Return what is stored of the account: days of each goal, and when they were all read last."""

    async def save(self, account: str, days: Sequence[GoalDay], at: UnixMillis) -> Saved:
        """Store what was read at `at`; days that are not among `days` stay as they are."""

    async def finish(self, account: str, at: UnixMillis) -> None:
        """Store that every day of the account that was to be read had been read at `at`."""

    async def find(self, query: VerdictQuery) -> VerdictPage:
        """Return days on which something was sent or counted, newest first; within a day by account and goal."""

    async def sums(self, since: UnixSeconds, account: str | None = None) -> Sequence[GoalSum]:
        """Add up the days from `since` on of each goal, of one account or of all."""

    async def prune(self, before: UnixSeconds, limit: int) -> bool:
        """Forget up to `limit` days that began before `before`. Returns whether there may be more."""
