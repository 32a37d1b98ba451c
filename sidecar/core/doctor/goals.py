"""The checks of the goals that events are mapped to: they take conversions, match by hashes, count a sale once."""

import re
from collections.abc import Iterator

from sidecar.core.doctor.check import Area, Checked, CheckStatus, Finding, Unchecked, ok
from sidecar.core.doctor.facts import AccountFacts, FailedCall, MappedGoalFacts, ReadAccount
from sidecar.core.goals.goal import OFFLINE, Goal
from sidecar.core.goals.mapping import MappingState
from sidecar.core.instant import text_of_millis

_MESSAGES = {
    MappingState.NOT_FOUND: "Microsoft has no goal of that name in this account",
    MappingState.PAUSED: "The goal is paused",
    MappingState.WRONG_TYPE: "The goal takes no uploads",
    MappingState.SETTLING: "The goal is too young to take conversions",
}
_VAGUE = (None, "Other")
"""Categories that say nothing of what a goal counts."""

_WORD = re.compile(r"[a-z]{4,}")
_NO_HINT = frozenset(
    {"sidecar", "goal", "conversion", "conversions", "offline", "import", "upload", "event", "microsoft"}
)
"""Words in the names of goals that say nothing of what they count."""


def goal_checks(account: AccountFacts) -> Iterator[Finding]:
    """Every check of the account's mapped goals."""
    reading = account.reading
    if not isinstance(reading, ReadAccount):
        why = reading.detail.rstrip(".") if isinstance(reading, FailedCall) else "they were not read"
        yield Unchecked(Area.GOAL, f"its goals are not known now ({why})", account.name)
        return
    for name, facts in reading.mapped.items():
        yield goal(account.name, name, facts)
        yield from enhanced(account.name, name, facts)
        if facts.mapped.goal is not None and facts.mapped.goal.type == OFFLINE:
            yield double_counting(account.name, facts, facts.mapped.goal, reading.goals)


def goal(account: str, name: str, facts: MappedGoalFacts) -> Finding:
    """Whether the goal is there, active, of the right type and old enough."""
    mapped, of_events = facts.mapped, f"events: {', '.join(facts.events)}"
    if mapped.state is MappingState.UNKNOWN:
        return Unchecked(Area.GOAL, "the goals were not read yet", account, name)
    if (message := _MESSAGES.get(mapped.state)) is None:
        return ok(Area.GOAL, f"The goal is active and takes conversions ({of_events}).", account, name)
    trouble = "goal_name_taken" if mapped.owner else mapped.state.value
    status = CheckStatus.WARNING if mapped.state is MappingState.SETTLING else CheckStatus.FAILED
    shown = f"{message}{_hint(facts)} ({of_events})."
    return Checked(Area.GOAL, status, shown, account, name, trouble, event=facts.events[0] if facts.events else None)


def _hint(facts: MappedGoalFacts) -> str:
    mapped = facts.mapped
    if mapped.owner:
        return f"; account {mapped.owner} has it for itself"
    if mapped.near:
        return f"; did you mean {mapped.near}?"
    if mapped.state is MappingState.WRONG_TYPE and mapped.goal is not None:
        return f": its type is {mapped.goal.type}"
    return f" until {text_of_millis(mapped.settles_at)}" if mapped.settles_at is not None else ""


def enhanced(account: str, name: str, facts: MappedGoalFacts) -> Iterator[Checked]:
    """Whether the goal matches by hashed e-mail and phone; nothing where there is no such goal or it is not known."""
    found = facts.mapped.goal
    if found is None or found.type != OFFLINE or found.enhanced is None:
        return
    if found.enhanced:
        yield ok(Area.ENHANCED, "The goal matches by hashed e-mail and phone, too.", account, name)
    elif facts.rule.enhanced is False:
        yield ok(Area.ENHANCED, "The goal matches by click id only, as the configuration wants it.", account, name)
    else:
        message = "The goal matches by click id only."
        event = facts.events[0] if facts.events else None
        trouble = MappingState.NOT_ENHANCED.value
        yield Checked(Area.ENHANCED, CheckStatus.WARNING, message, account, name, trouble, event=event)


def double_counting(account: str, facts: MappedGoalFacts, ours: Goal, goals: tuple[Goal, ...]) -> Checked:
    """Whether a goal of another type, such as one of a UET tag, probably counts the same conversions again."""
    twins = [each.name for each in goals if _counts_the_same(each, ours, facts)]
    if not twins:
        return ok(Area.DOUBLE_COUNTING, "No other goal seems to count the same conversions.", account, ours.name)
    listed = f"The goal{'' if len(twins) == 1 else 's'} {', '.join(twins)}"
    counts, is_ = ("counts", "is an active goal") if len(twins) == 1 else ("count", "are active goals")
    return Checked(
        Area.DOUBLE_COUNTING,
        CheckStatus.WARNING,
        f"{listed} probably {counts} the same conversions on the website.",
        account,
        ours.name,
        cause=f"{listed} {is_} of another type, of the same category or with a similar name. Microsoft "
        "cannot know that the UET tag and an upload bring the same conversion: it counts twice.",
        fix="If both count the same sale, take one of them out of bidding and reports in Microsoft Advertising (the "
        "goal's setting Include in conversions), or pause it. If they count different things, nothing is to be done.",
    )


def _counts_the_same(other: Goal, ours: Goal, facts: MappedGoalFacts) -> bool:
    """An active goal of another type with our category; where a category says nothing, with a word of our name."""
    if other.type == OFFLINE or other.status != "Active":
        return False
    if ours.category not in _VAGUE and other.category not in _VAGUE:
        return other.category == ours.category
    return bool(_words(other.name) & _words(" ".join((ours.name, *facts.events))))


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower())) - _NO_HINT
