"""Lines of Microsoft's by-goal report, and the days that they are about."""

from typing import Any

from instant_kit import NOW

from sidecar.core.goal_days import GoalDay, day_of
from sidecar.core.instant import DAY_SECONDS, UnixSeconds

TODAY = day_of(NOW)


def days_ago(days: int) -> UnixSeconds:
    """When the UTC day began that was `days` days before that of NOW."""
    return UnixSeconds(TODAY - days * DAY_SECONDS)


def goal_day(ago: int = 0, attributed: int = 0, /, goal: str = "Sidecar Purchase", **given: Any) -> GoalDay:
    """The line of a day `ago` days before NOW; `reasons` make up its unattributed rows."""
    fields = {"account": "main", "goal_id": "48210331", "goal": goal, "day": days_ago(ago), "reasons": {}, **given}
    return GoalDay(attributed=attributed, **{"unattributed": sum(fields["reasons"].values()), **fields})
