"""A goal as Microsoft has it, and the goals of an account as they were last read."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sidecar.core.instant import UnixMillis

OFFLINE = "OfflineConversion"
"""The type of the goals that take uploaded conversions. The fields of a goal hold Microsoft's own words."""


@dataclass(frozen=True, slots=True)
class Revenue:
    """What a conversion of a goal is worth: `NoValue`, `FixedValue`, or `VariableValue` with a default."""

    type: str
    value: str | None = None
    """Exact decimal text."""
    currency: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A conversion goal as Microsoft has it. None stands for a value that its answer lacked."""

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
    """Whether it was missing from an earlier reading of the account's goals. The age of the others is not known."""

    def settles_at(self, settle_millis: int) -> UnixMillis | None:
        """Return when it is old enough to take conversions; None for one that was there at the first reading.

        Microsoft gives no time of creation, and data sent within two hours of it "might not be applied":
        https://learn.microsoft.com/advertising/campaign-management-service/applyofflineconversions
        """
        if not self.is_new or self.first_seen_at is None:
            return None
        return UnixMillis(self.first_seen_at + settle_millis)


def find_goal(name: str, goals: Iterable[Goal]) -> Goal | None:
    """Find the goal of exactly that name, the most useful one of several. Deleted goals do not count."""
    found = [goal for goal in goals if goal.name == name and goal.status != "Deleted"]
    return min(found, key=lambda goal: (goal.type != OFFLINE, goal.status != "Active"), default=None)


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
    """Goals of earlier readings that the last one lacked. One that comes back is no newer than it was."""


def remembered(
    former: Catalogue | None, account: str, identity: str, read: Iterable[Goal], now: UnixMillis
) -> Catalogue:
    """Return the catalogue after a reading at `now` found the goals `read`.

    Every goal of the first reading counts as old; one that appears in a later reading is new. A `former` catalogue of
    another account at Microsoft is ignored: the configuration had other ids then.
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
