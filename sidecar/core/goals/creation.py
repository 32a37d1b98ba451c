"""A goal to create, and the result of creating it."""

from dataclasses import dataclass

from sidecar.core.entry import Fault
from sidecar.core.goals.goal import Revenue
from sidecar.core.goals.rule import GoalRule

DEFAULT_WINDOW_SECONDS = 90 * 86_400
"""The longest window that Microsoft allows; its own default is 30 days.

https://learn.microsoft.com/advertising/campaign-management-service/conversiongoal#conversionwindowinminutes
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewGoal:
    """A goal to create, with every setting that Microsoft needs."""

    name: str
    category: str
    count_type: str
    window_seconds: int
    revenue: Revenue
    enhanced: bool
    scope: str = "Account"
    """`Account`, or `Customer` for all accounts of the customer."""


def assumed(rule: GoalRule) -> tuple[str, ...]:
    """Return the settings, named as in `events:`, that the rule leaves to the sidecar. The scope always is one."""
    settings = {
        "category": rule.category,
        "count_type": rule.count_type,
        "window": rule.window_seconds,
        "revenue": rule.revenue,
        "enhanced": rule.enhanced,
    }
    return (*(name for name, value in settings.items() if value is None), "scope")


def new_goal(rule: GoalRule, *, is_shared: bool = False) -> NewGoal:
    """Return the goal that a rule asks for.

    By default it counts every conversion within 90 days of a click, at its own value, and matches by hashes too. Names
    are unique per customer, so that a goal which several accounts want (`is_shared`) is created once for all of them.
    """
    # Across accounts Microsoft requires the currency of a value, and the configuration may have none.
    kind = rule.revenue or ("NoValue" if is_shared and rule.currency is None else "VariableValue")
    value = None if kind == "NoValue" else rule.value or "0"
    return NewGoal(
        name=rule.name,
        category=rule.category or "Purchase",
        count_type=rule.count_type or "All",
        window_seconds=rule.window_seconds or DEFAULT_WINDOW_SECONDS,
        revenue=Revenue(kind, value, None if kind == "NoValue" else rule.currency),
        enhanced=rule.enhanced is not False,
        scope="Customer" if is_shared else "Account",
    )


@dataclass(frozen=True, slots=True)
class Created:
    """Microsoft created the goal, with this id."""

    id: str


@dataclass(frozen=True, slots=True)
class Exists:
    """The customer already has a goal of that name, perhaps for another account."""

    fault: Fault


@dataclass(frozen=True, slots=True)
class NotCreated:
    """Microsoft refused to create the goal."""

    fault: Fault


Creation = Created | Exists | NotCreated
