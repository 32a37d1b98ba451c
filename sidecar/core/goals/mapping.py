"""Whether the goal that an event is mapped to takes conversions. A name is compared exactly, as Microsoft does it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from sidecar.core.did_you_mean import did_you_mean
from sidecar.core.goals.goal import OFFLINE, Goal, find_goal
from sidecar.core.goals.rule import GoalRule
from sidecar.core.instant import UnixMillis
from sidecar.core.states_and_reasons import Reason


class MappingState(StrEnum):
    """Whether an event's goal takes conversions, and if not, why. The value is the code of its trouble, if any."""

    OK = "ok"
    UNKNOWN = "unknown"  # the goals were not read yet
    NOT_FOUND = "goal_not_found"
    PAUSED = "goal_paused"
    WRONG_TYPE = "goal_wrong_type"  # a goal of that name exists and takes no uploads
    SETTLING = "goal_settling"
    NOT_ENHANCED = "goal_not_enhanced"  # takes conversions, but only by click id

    @property
    def is_trouble(self) -> bool:
        """Whether a trouble has this code."""
        return self is not MappingState.OK and self is not MappingState.UNKNOWN


_HOLDS: Mapping[MappingState, Reason] = {
    MappingState.NOT_FOUND: Reason.GOAL_NOT_FOUND,
    MappingState.WRONG_TYPE: Reason.GOAL_NOT_FOUND,
    MappingState.PAUSED: Reason.GOAL_PAUSED,
    MappingState.SETTLING: Reason.GOAL_SETTLING,
}


@dataclass(frozen=True, slots=True)
class Mapped:
    """The result of looking up an event's goal. `near` is the name that was probably meant."""

    state: MappingState
    goal: Goal | None = None
    near: str | None = None
    settles_at: UnixMillis | None = None
    owner: str | None = None
    """The account of the same customer that has the goal for itself, so that it cannot be created here."""
    is_answered: bool = False
    """Whether the state comes from Microsoft's answer to conversions of the goal, not from its list of goals."""

    def closed_by(self, answer: Reason | None) -> "Mapped":
        """Return this with the reason that closed the goal, if one did: rows wait, even if the list looks right."""
        if answer is None or self.holds is not None:
            return self
        return replace(self, state=MappingState(answer.value), is_answered=True)

    @property
    def holds(self) -> Reason | None:
        """Why rows of the goal wait; None if they may be sent."""
        return _HOLDS.get(self.state)


OtherGoals = Mapping[str, Sequence[Goal]]
"""The known goals of the other accounts of the same customer; names are unique per customer."""


def owner_of(name: str, others: OtherGoals) -> str | None:
    """Return the other account of the customer that has a goal of that name."""
    return next((account for account, theirs in others.items() if find_goal(name, theirs)), None)


def mapping(
    rule: GoalRule, goals: Sequence[Goal] | None, now: UnixMillis, settle_millis: int, others: OtherGoals | None = None
) -> Mapped:
    """Look up the goal that `rule` names among the account's `goals`, which are None until they have been read."""
    if goals is None:
        return Mapped(MappingState.UNKNOWN)
    goal = find_goal(rule.name, goals)
    if goal is None:
        there = [each for each in goals if each.status != "Deleted"]
        usable = (each.name for each in there if each.type == OFFLINE)
        near = did_you_mean(rule.name, usable) or did_you_mean(rule.name, (each.name for each in there))
        return Mapped(MappingState.NOT_FOUND, near=near, owner=owner_of(rule.name, others or {}))
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
