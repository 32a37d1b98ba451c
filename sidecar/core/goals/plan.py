"""The plan: which goals to create, and which existing ones differ from the configuration or cannot be used."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from sidecar.core.goals.creation import NewGoal, assumed, new_goal
from sidecar.core.goals.goal import Goal
from sidecar.core.goals.mapping import MappingState, OtherGoals, mapping
from sidecar.core.goals.rule import GoalRule, by_goal
from sidecar.core.instant import UnixMillis


@dataclass(frozen=True, slots=True)
class Missing:
    """A goal to create, and the events that are mapped to it. `near` as in `Mapped`."""

    goal: NewGoal
    events: tuple[str, ...]
    near: str | None
    assumed: tuple[str, ...] = ()
    """The settings that `events:` leaves open."""


@dataclass(frozen=True, slots=True)
class GoalDifference:
    """A setting of a goal that differs from `events:`. It is never changed: others may rely on it."""

    goal: str
    event: str
    field: str
    wanted: str | bool
    found: str | bool | None


@dataclass(frozen=True, slots=True)
class Blocked:
    """A goal that exists and takes no conversions, so that it cannot be created; `owner` as in `Mapped`."""

    goal: str
    events: tuple[str, ...]
    state: str
    """The code of the trouble."""
    owner: str | None = None


NAME_TAKEN = "goal_name_taken"
"""The code of the trouble where another account of the customer has the goal for itself."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The difference between an account's goals and the configuration."""

    missing: tuple[Missing, ...] = ()
    differences: tuple[GoalDifference, ...] = ()
    blocked: tuple[Blocked, ...] = ()

    def goals_to_create(self, names: Set[str] | None) -> tuple[NewGoal, ...]:
        """Return the missing goals, or those of them that are named."""
        return tuple(each.goal for each in self.missing if names is None or each.goal.name in names)

    def only(self, goals: Set[str]) -> "Plan":
        """Return the part of the plan that concerns these goals."""
        return Plan(
            tuple(each for each in self.missing if each.goal.name in goals),
            tuple(each for each in self.differences if each.goal in goals),
            tuple(each for each in self.blocked if each.goal in goals),
        )


def plan(
    rules: Mapping[str, GoalRule],
    goals: Sequence[Goal],
    now: UnixMillis,
    shared: Set[str] = frozenset(),
    others: OtherGoals | None = None,
) -> Plan:
    """Compare an account's `goals` with the `rules` of its events.

    `shared` are the names that other accounts of the customer want too, `others` the goals of those accounts.
    """
    missing, differences, blocked = [], [], []
    for name, events in by_goal(rules).items():
        mapped = mapping(events.rule, goals, now, 0, others)
        if mapped.owner is not None:
            blocked.append(Blocked(name, tuple(events.names), NAME_TAKEN, mapped.owner))
        elif mapped.goal is None:
            goal = new_goal(events.rule, is_shared=name in shared)
            missing.append(Missing(goal, tuple(events.names), mapped.near, assumed(events.rule)))
        elif mapped.state in (MappingState.WRONG_TYPE, MappingState.PAUSED):
            blocked.append(Blocked(name, tuple(events.names), mapped.state))
        if mapped.goal is not None and mapped.state is not MappingState.WRONG_TYPE:
            differences += [each for event in events.names for each in _differences(event, rules[event], mapped.goal)]
    return Plan(tuple(missing), tuple(differences), tuple(blocked))


def _differences(event: str, rule: GoalRule, goal: Goal) -> Iterator[GoalDifference]:
    """Compare the settings that the file has; defaults are not compared."""
    revenue = goal.revenue.type if goal.revenue else None
    compared: Sequence[tuple[str, str | int | None, str | int | None]] = (
        ("category", rule.category, goal.category),
        ("count_type", rule.count_type, goal.count_type),
        ("window", rule.window_seconds, goal.window_seconds),
        ("revenue", rule.revenue, revenue),
        ("enhanced", rule.enhanced, goal.enhanced),
    )
    for name, wanted, found in compared:
        if wanted is None or found is None or wanted == found:
            continue
        if name == "window":
            yield GoalDifference(goal.name, event, name, window_text(int(wanted)), window_text(int(found)))
        else:
            yield GoalDifference(goal.name, event, name, _shown(wanted), _shown(found))


def _shown(value: str | int) -> str | bool:
    return value if isinstance(value, str | bool) else str(value)


def window_text(seconds: int) -> str:
    """Write a conversion window as `events:` has it, in the largest unit that fits: `90d`, `36h`, `90m`."""
    unit, size = next((unit, size) for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)) if not seconds % size)
    return f"{seconds // size}{unit}"
