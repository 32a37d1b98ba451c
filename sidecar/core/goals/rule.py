"""What the configuration asks of a goal."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalRule:
    """The settings of a goal under `events:`; None where the file has none."""

    name: str
    category: str | None = None
    count_type: str | None = None
    window_seconds: int | None = None
    revenue: str | None = None
    value: str | None = None
    """Exact decimal text."""
    currency: str | None = None
    enhanced: bool | None = None


@dataclass(slots=True)
class EventsOfGoal:
    """The events of one goal; of rules that contradict each other the last one counts."""

    rule: GoalRule
    names: list[str] = field(default_factory=list)


def by_goal(rules: Mapping[str, GoalRule]) -> dict[str, EventsOfGoal]:
    """The events of each goal, from the rule of each event."""
    found: dict[str, EventsOfGoal] = {}
    for event, rule in rules.items():
        events = found.setdefault(rule.name, EventsOfGoal(rule))
        events.rule = rule
        events.names.append(event)
    return found


def goal_rules(rules: Mapping[str, GoalRule]) -> dict[str, GoalRule]:
    """The rule of each goal, by its name."""
    return {name: events.rule for name, events in by_goal(rules).items()}
