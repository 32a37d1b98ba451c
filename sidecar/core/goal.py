"""Goals: what Microsoft has, what the configuration asks for, and whether the two fit.

Decides; reads nothing. A goal's name is compared exactly, as Microsoft does it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from enum import StrEnum

from sidecar.core.did_you_mean import did_you_mean
from sidecar.core.entry import Fault, Reason
from sidecar.core.instant import UnixMillis

OFFLINE = "OfflineConversion"
"""The type of the goals that take conversions by upload; its values are Microsoft's own words."""

DEFAULT_WINDOW_SECONDS = 90 * 86_400
"""The longest that Microsoft takes; its own default is 30 days.

https://learn.microsoft.com/advertising/campaign-management-service/conversiongoal#conversionwindowinminutes
"""


@dataclass(frozen=True, slots=True)
class Revenue:
    """What a conversion of a goal is worth: `NoValue`, `FixedValue`, or `VariableValue` with a default."""

    type: str
    value: str | None = None
    """Exact decimal text."""
    currency: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A conversion goal as Microsoft has it. None stands for what Microsoft did not say."""

    id: str
    name: str
    type: str
    status: str = "Active"
    count_type: str | None = None
    window_seconds: int | None = None
    """How long after the click a conversion counts."""
    category: str | None = None
    revenue: Revenue | None = None
    enhanced: bool | None = None
    """Whether it also matches by hashed e-mail and phone."""
    externally_attributed: bool | None = None
    first_seen_at: UnixMillis | None = None
    is_new: bool = False
    """It was not there when the account's goals were first read; how much older it is nobody knows."""

    def settles_at(self, settle_millis: int) -> UnixMillis | None:
        """When it is old enough to take conversions; None for one that was old when it was first seen.

        Microsoft names no time of creation, and data that comes within two hours of it "might not be applied":
        https://learn.microsoft.com/advertising/campaign-management-service/applyofflineconversions
        """
        if not self.is_new or self.first_seen_at is None:
            return None
        return UnixMillis(self.first_seen_at + settle_millis)


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """The goals of one account as they were last read."""

    account: str
    identity: str
    """Which account this is at Microsoft."""
    read_at: UnixMillis
    auto_tagging: bool | None = None
    """Whether Microsoft adds the click id to landing addresses."""
    goals: tuple[Goal, ...] = ()
    gone: tuple[Goal, ...] = ()
    """Known from earlier readings, not in the last one: if one comes back it is no newer than it was."""


def remembered(
    former: Catalogue | None, account: str, identity: str, read: Iterable[Goal], now: UnixMillis
) -> Catalogue:
    """The catalogue after a reading at `now` found the goals `read`.

    In the first reading every goal counts as old; one that appears in a later reading is new. What was read of another
    account of Microsoft's (the configuration had another id then) says nothing of this one.
    """
    if former is not None and former.identity != identity:
        former = None
    known = {} if former is None else {goal.id: goal for goal in (*former.gone, *former.goals)}
    stamped = (_stamped(goal, known.get(goal.id), now, is_new=former is not None) for goal in read)
    there = {goal.id: goal for goal in stamped}
    gone = tuple(goal for goal in known.values() if goal.id not in there)
    tagging = None if former is None else former.auto_tagging
    return Catalogue(
        account=account, identity=identity, read_at=now, auto_tagging=tagging, goals=tuple(there.values()), gone=gone
    )


def _stamped(goal: Goal, known: Goal | None, now: UnixMillis, *, is_new: bool) -> Goal:
    if known is not None:  # seen in the future: before the clock was set back
        seen_at = now if known.first_seen_at is None else min(known.first_seen_at, now)
        return replace(goal, first_seen_at=seen_at, is_new=known.is_new)
    return replace(goal, first_seen_at=now, is_new=is_new)


# --- What the configuration asks for ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalRule:
    """What `events:` says of a goal; None where it leaves that to us."""

    name: str
    category: str | None = None
    count_type: str | None = None
    window_seconds: int | None = None
    revenue: str | None = None
    value: str | None = None
    """Exact decimal text."""
    currency: str | None = None
    enhanced: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewGoal:
    """A goal to be created, with everything that has to be said of it."""

    name: str
    category: str
    count_type: str
    window_seconds: int
    revenue: Revenue
    enhanced: bool
    scope: str = "Account"
    """`Account`, or `Customer` for all accounts of the customer."""


def assumed(rule: GoalRule) -> tuple[str, ...]:
    """What a rule leaves to us of the goal that it asks for, by the names that `events:` has. Scope always is."""
    said = {
        "category": rule.category,
        "count_type": rule.count_type,
        "window": rule.window_seconds,
        "revenue": rule.revenue,
        "enhanced": rule.enhanced,
    }
    return (*(name for name, value in said.items() if value is None), "scope")


def new_goal(rule: GoalRule, *, is_shared: bool = False) -> NewGoal:
    """The goal that a rule asks for: every conversion of a click, 90 days long, with its own value, also by hashes.

    Names are unique per customer: a goal that several of its accounts want can only be one goal for all of them.
    """
    # Across accounts Microsoft wants the currency of a value; where none is configured there is none to give.
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


# --- Whether the two fit ---------------------------------------------------------------------------------------------


class MappingState(StrEnum):
    """How an event's goal stands at Microsoft. The value is the trouble's code, where there is one."""

    OK = "ok"
    UNKNOWN = "unknown"  # the goals were not read yet
    NOT_FOUND = "goal_not_found"
    PAUSED = "goal_paused"
    WRONG_TYPE = "goal_wrong_type"  # there is a goal of that name, but it takes no uploads
    SETTLING = "goal_settling"
    NOT_ENHANCED = "goal_not_enhanced"  # takes conversions, but only by click id


_HOLDS: Mapping[MappingState, Reason] = {
    MappingState.NOT_FOUND: Reason.GOAL_NOT_FOUND,
    MappingState.WRONG_TYPE: Reason.GOAL_NOT_FOUND,
    MappingState.PAUSED: Reason.GOAL_PAUSED,
    MappingState.SETTLING: Reason.GOAL_SETTLING,
}


GOAL_TROUBLES = frozenset(state.value for state in MappingState) - {MappingState.OK, MappingState.UNKNOWN}
"""The codes of the troubles that a goal can have."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """What became of looking an event's goal up. `near` is the name that was probably meant."""

    state: MappingState
    goal: Goal | None = None
    near: str | None = None
    settles_at: UnixMillis | None = None
    owner: str | None = None
    """Another account of the customer that has a missing goal for itself alone, so that it cannot be created here."""
    is_answered: bool = False
    """Whether this is what Microsoft answered to conversions of the goal, and not what its list of goals shows."""

    def closed_by(self, answer: Reason | None) -> "Mapped":
        """The same beside the answer that closed the goal, where one did: rows wait, whatever the list shows."""
        if answer is None or self.holds is not None:
            return self
        return replace(self, state=MappingState(answer.value), is_answered=True)

    @property
    def holds(self) -> Reason | None:
        """The reason for which rows of the goal wait; None when they may go out."""
        return _HOLDS.get(self.state)


Others = Mapping[str, Sequence[Goal]]
"""The goals of the other accounts of the same customer, as far as they are known: names are unique per customer."""


def mapping(
    rule: GoalRule, goals: Sequence[Goal] | None, now: UnixMillis, settle_millis: int, others: Others | None = None
) -> Mapped:
    """How the goal that `rule` names stands among `goals`, those of an account; None while they were not read."""
    if goals is None:
        return Mapped(MappingState.UNKNOWN)
    goal = named(rule.name, goals)
    if goal is None:
        owner = next((account for account, theirs in (others or {}).items() if named(rule.name, theirs)), None)
        return Mapped(MappingState.NOT_FOUND, near=_near(rule.name, goals), owner=owner)
    if goal.type != OFFLINE:
        return Mapped(MappingState.WRONG_TYPE, goal)
    if goal.status != "Active":
        return Mapped(MappingState.PAUSED, goal)
    settles_at = goal.settles_at(settle_millis)
    if settles_at is not None and settles_at > now:
        return Mapped(MappingState.SETTLING, goal, settles_at=settles_at)
    if goal.enhanced is False and rule.enhanced is not False:
        return Mapped(MappingState.NOT_ENHANCED, goal)
    return Mapped(MappingState.OK, goal)


def named(name: str, goals: Iterable[Goal]) -> Goal | None:
    """The goal of exactly that name, the most useful one if there are several; a deleted one is none."""
    found = [goal for goal in goals if goal.name == name and goal.status != "Deleted"]
    return min(found, key=lambda goal: (goal.type != OFFLINE, goal.status != "Active"), default=None)


def _near(name: str, goals: Sequence[Goal]) -> str | None:
    """Among the goals that would do, else among all."""
    there = [goal for goal in goals if goal.status != "Deleted"]
    usable = (goal.name for goal in there if goal.type == OFFLINE)
    return did_you_mean(name, usable) or did_you_mean(name, (goal.name for goal in there))


# --- What would have to be done --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Missing:
    """A goal that some events are mapped to and that would have to be created. `near` as in `Mapped`."""

    goal: NewGoal
    events: tuple[str, ...]
    near: str | None
    assumed: tuple[str, ...] = ()
    """The settings that `events:` does not say."""


@dataclass(frozen=True, slots=True)
class GoalDifference:
    """A setting of a goal that is not as `events:` asks for. It is never changed: others may rely on it."""

    goal: str
    event: str
    field: str
    wanted: str | bool
    found: str | bool | None


@dataclass(frozen=True, slots=True)
class Blocked:
    """A goal that is there and takes nothing, so that creating it would not help; `owner` as in `Mapped`."""

    goal: str
    events: tuple[str, ...]
    state: str
    """The code of the trouble that says why."""
    owner: str | None = None


NAME_TAKEN = "goal_name_taken"
"""The code of the trouble where another account of the customer has the goal for itself alone."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an account's goals lack."""

    missing: tuple[Missing, ...] = ()
    differences: tuple[GoalDifference, ...] = ()
    blocked: tuple[Blocked, ...] = ()

    def only(self, goals: Set[str]) -> "Plan":
        """Of all that, what concerns these goals."""
        return Plan(
            tuple(each for each in self.missing if each.goal.name in goals),
            tuple(each for each in self.differences if each.goal in goals),
            tuple(each for each in self.blocked if each.goal in goals),
        )


@dataclass(slots=True)
class _Events:
    """The events of one goal; of rules that contradict each other the last one counts."""

    rule: GoalRule
    names: list[str] = field(default_factory=list)


def plan(
    rules: Mapping[str, GoalRule],
    goals: Sequence[Goal],
    now: UnixMillis,
    shared: Set[str] = frozenset(),
    others: Others | None = None,
) -> Plan:
    """What `goals` lack of `rules` (by event): to create, different, and there but of no use.

    `shared` are the names that other accounts of the customer want too.
    """
    missing, differences, blocked = [], [], []
    for name, events in _by_goal(rules).items():
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


def _by_goal(rules: Mapping[str, GoalRule]) -> dict[str, _Events]:
    found: dict[str, _Events] = {}
    for event, rule in rules.items():
        events = found.setdefault(rule.name, _Events(rule))
        events.rule = rule
        events.names.append(event)
    return found


def goal_rules(rules: Mapping[str, GoalRule]) -> dict[str, GoalRule]:
    """The rule of each goal, by its name."""
    return {name: events.rule for name, events in _by_goal(rules).items()}


def _differences(event: str, rule: GoalRule, goal: Goal) -> Iterator[GoalDifference]:
    """Only what the file says is compared: a default is no wish."""
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
    """A conversion window as `events:` has it, in the largest unit that fits: `90d`, `36h`, `90m`."""
    unit, size = next((unit, size) for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)) if not seconds % size)
    return f"{seconds // size}{unit}"


def chosen(plan_: Plan, names: Set[str] | None) -> tuple[NewGoal, ...]:
    """The goals to create: those of the plan that are named, or all of them."""
    return tuple(each.goal for each in plan_.missing if names is None or each.goal.name in names)


# --- What came of creating one --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Created:
    """Microsoft made it, with this id."""

    id: str


@dataclass(frozen=True, slots=True)
class Exists:
    """The customer has a goal of that name already, though perhaps not for this account."""

    fault: Fault


@dataclass(frozen=True, slots=True)
class NotCreated:
    """Microsoft refused it."""

    fault: Fault


Creation = Created | Exists | NotCreated
