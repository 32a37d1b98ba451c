"""The by-goal report as values: what an answer holds, what is known of an account, and which calls are to be made.

Decides which days are read again: Microsoft counts for days after an upload, and then no more.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

from sidecar.core.entry import Fault
from sidecar.core.goal_days import GoalDay
from sidecar.core.instant import DAY_SECONDS, UnixMillis, UnixSeconds

MAX_GOALS = 20
MAX_DAYS = 7
"""The limits of one call.

https://learn.microsoft.com/advertising/campaign-management-service/getofflineconversionreportbygoalids
"""

RECENT_DAYS = 14
"""How many days, today included, are read in every round. An older one is read until two readings were the same."""


@dataclass(frozen=True, slots=True)
class ReportedDay:
    """One day of one goal in an answer."""

    goal_id: str
    day: UnixSeconds
    attributed: int
    unattributed: int
    reasons: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GoalReport:
    """An answer, as far as it could be read."""

    days: Sequence[ReportedDay] = ()
    failed: Mapping[str, Fault] = field(default_factory=dict)
    """Goals without an answer, by their id."""
    oddities: Sequence[str] = ()
    """What was left out or made fit, in words."""


@dataclass(frozen=True, slots=True)
class KnownDay:
    """A stored day of a goal."""

    line: GoalDay
    is_settled: bool
    """Whether the last two readings were the same."""


@dataclass(frozen=True, slots=True)
class KnownDays:
    """What is stored of an account, by the names of its goals."""

    sent: Mapping[str, Set[UnixSeconds]] = field(default_factory=dict)
    """The days on which something was delivered to each goal."""
    read: Mapping[str, Mapping[UnixSeconds, KnownDay]] = field(default_factory=dict)
    read_at: UnixMillis | None = None
    """When the last complete round of readings began."""


@dataclass(frozen=True, slots=True)
class ReportCall:
    """One call: ids of goals, and the beginning of its first and last day."""

    goal_ids: tuple[str, ...]
    first: UnixSeconds
    last: UnixSeconds

    @property
    def days(self) -> range:
        """The beginning of each of its days."""
        return range(self.first, self.last + 1, DAY_SECONDS)


def wanted_days(known: KnownDays, goal: str, today: UnixSeconds) -> set[UnixSeconds]:
    """Return the days of a goal that are to be read now: none before the first day on which it was delivered to."""
    sent, read = known.sent.get(goal, frozenset()), known.read.get(goal, {})
    if not sent:
        return set()
    recent = UnixSeconds(today - (RECENT_DAYS - 1) * DAY_SECONDS)
    days = {UnixSeconds(day) for day in range(max(recent, min(sent)), today + 1, DAY_SECONDS)}
    return days | {day for day in sent | read.keys() if day < recent and not (day in read and read[day].is_settled)}


def calls(wanted: Mapping[str, Collection[UnixSeconds]]) -> Iterator[ReportCall]:
    """Return the fewest calls for the wanted days of each goal id, newest days first."""
    left = {goal_id: set(days) for goal_id, days in wanted.items() if days}
    while left:
        last = max(max(days) for days in left.values())
        span = {UnixSeconds(last - number * DAY_SECONDS) for number in range(MAX_DAYS)}
        ids = sorted(goal_id for goal_id, days in left.items() if days & span)
        first = min(min(left[goal_id] & span) for goal_id in ids)
        for start in range(0, len(ids), MAX_GOALS):
            yield ReportCall(tuple(ids[start : start + MAX_GOALS]), first, last)
        left = {goal_id: rest for goal_id, days in left.items() if (rest := days - span)}


def lines_of(
    account: str, names: Mapping[str, str], known: KnownDays, call: ReportCall, report: GoalReport
) -> list[GoalDay]:
    """Return the lines to be stored after an answer; `names` are those of the goals by their id.

    A day that is missing in the answer counts as zero where something was sent and nothing was counted before. It
    lowers no count: only a number does.
    """
    found = {(day.goal_id, day.day): day for day in report.days}
    lines = []
    for goal_id in call.goal_ids:
        name = names[goal_id]
        sent, read = known.sent.get(name, frozenset()), known.read.get(name, {})
        for day in map(UnixSeconds, call.days if goal_id not in report.failed else ()):
            reported, before = found.get((goal_id, day)), read.get(day)
            line = _line(account, goal_id, name, reported or ReportedDay(goal_id, day, 0, 0))
            if line.rows or (before is None and day in sent) or (before and (reported or not before.line.rows)):
                lines.append(line)
    return lines


def _line(account: str, goal_id: str, name: str, reported: ReportedDay) -> GoalDay:
    return GoalDay(
        account=account,
        goal_id=goal_id,
        goal=name,
        day=reported.day,
        attributed=reported.attributed,
        unattributed=reported.unattributed,
        reasons=reported.reasons,
    )
