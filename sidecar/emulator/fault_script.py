"""The script of an emulator: its active rules, and the faults that they plan for each request."""

import asyncio
import hashlib
import json
from dataclasses import dataclass, field

from sidecar.emulator.call import Call
from sidecar.emulator.faults import Ending, ExpireTokens, Match, Preparation, RevokeRefreshTokens, Rule, SetDate, Slow


@dataclass(slots=True)
class ActiveRule:
    """A rule, with how often it matched and fired."""

    id: int
    rule: Rule
    matched: int = 0
    fired: int = 0
    removed: asyncio.Event = field(default_factory=asyncio.Event, repr=False, compare=False)
    """Set when the rule is removed, which ends the waits that it caused."""

    def fires(self, call: Call) -> bool:
        """Counts the request; True when the rule applies to it."""
        if not matches(self.rule.match, call) or self.is_spent:
            return False
        self.matched += 1
        digest = hashlib.blake2b(f"{self.rule.seed}:{self.matched}".encode(), digest_size=8).digest()
        is_selected = int.from_bytes(digest, "big") < self.rule.probability * 2**64
        if self.matched <= self.rule.after or not is_selected:
            return False
        self.fired += 1
        return True

    @property
    def is_spent(self) -> bool:
        """Whether it fired as often as `times` allows."""
        return self.rule.times is not None and self.fired >= self.rule.times


@dataclass(frozen=True, slots=True)
class Plan:
    """The faults of one request."""

    preparations: tuple[tuple[Preparation, asyncio.Event], ...] = ()
    """Each with the event that is set once its rule is removed."""
    ending: Ending | None = None

    @property
    def date_offset_seconds(self) -> int | None:
        """How far the `Date` of the answer is from the right one; None where it is right."""
        offsets = [action.seconds for action, _ in self.preparations if isinstance(action, SetDate)]
        return offsets[-1] if offsets else None

    @property
    def name(self) -> str | None:
        """The name in the ledger."""
        actions = (*(preparation for preparation, _ in self.preparations), self.ending)
        kinds = [action.type for action in actions if action is not None]
        return " ".join(kinds) or None


@dataclass(slots=True)
class Script:
    """All rules in the order in which they were added."""

    active: list[ActiveRule] = field(default_factory=list)
    _last_id: int = 0

    def add(self, rule: Rule) -> ActiveRule:
        """Adds a rule."""
        self._last_id += 1
        self.active.append(ActiveRule(self._last_id, rule))
        return self.active[-1]

    def remove(self, rule_id: int) -> bool:
        """Removes a rule; False when there is none of that id."""
        for active in self.active:
            if active.id == rule_id:
                self.active.remove(active)
                active.removed.set()
                return True
        return False

    def clear(self) -> None:
        """Removes all rules."""
        removed, self.active = self.active, []
        for active in removed:
            active.removed.set()

    def plan(self, call: Call) -> Plan:
        """The faults of this request: every preparation, and the first ending, whose rules fire."""
        preparations: list[tuple[Preparation, asyncio.Event]] = []
        for active in self.active:
            action = active.rule.action
            if not active.fires(call):
                continue
            if not isinstance(action, Slow | ExpireTokens | RevokeRefreshTokens | SetDate):
                return Plan(tuple(preparations), action)
            preparations.append((action, active.removed))
        return Plan(tuple(preparations))


def matches(match: Match, call: Call) -> bool:
    """Whether the rule matches the request."""
    if match.operation not in (None, call.operation):
        return False
    if match.account not in (None, call.headers.get("CustomerAccountId")):
        return False
    # The body holds the name as a JSON string, with or without escapes beyond ASCII.
    names = [json.dumps(match.goal, ensure_ascii=ascii_only).encode() for ascii_only in (True, False)]
    return match.goal is None or any(name in call.body for name in names)
