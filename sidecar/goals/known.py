"""What is known of each account's goals, and how the goals of the configuration map to them. Asks Microsoft nothing."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from sidecar.core.attribution import GoalTraits
from sidecar.core.goals.goal import Catalogue, find_goal
from sidecar.core.goals.mapping import Mapped, MappingState, OtherGoals, mapping, owner_of
from sidecar.core.goals.rule import GoalRule, goal_rules
from sidecar.core.instant import UnixMillis
from sidecar.core.waiting_summary import Waiting
from sidecar.delivery.gates import Gates
from sidecar.ports.platform import GoalPlatform


@dataclass(frozen=True, slots=True)
class CatalogueRules:
    """How often goals are read, and how old a new one must be before it takes conversions."""

    refresh_millis: int
    settle_millis: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a call brought no result: a code of the catalogue of troubles, and a detail."""

    trouble: str
    detail: str
    tracking_id: str | None = None
    error: str | None = None
    """Microsoft's symbol, if it refused the call: then nothing was done, for certain."""


@dataclass(slots=True)
class ReadingState:
    """The readings of one account: the last result, the last failure, and when the next one is due."""

    is_expected: bool = False
    """Whether the account is read regularly."""
    catalogue: Catalogue | None = None
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    """By goal, the rows that are frozen for it, also for goals that no event names any more."""
    next_at: int = 0
    """Unix milliseconds."""
    is_wanted: bool = False
    """Whether a reading was asked for since the last one began."""
    is_together: bool = False
    """Whether the last reading was one that was asked for, mostly of all accounts together."""
    waits_for_token: bool = False
    failures: int = 0
    """Failed readings in a row."""
    failure: Failure | None = None
    raised: str | None = None
    """The trouble that the last failure raised."""
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    reporting: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True, slots=True)
class AccountGoals:
    """The goals of an account as they are known now, those of its events, and why the last reading failed."""

    account: str
    catalogue: Catalogue | None
    events: Mapping[str, tuple[GoalRule, Mapped]]
    failure: Failure | None


@dataclass(frozen=True, slots=True)
class KnownGoals:
    """The goals of all accounts. The configuration (`rules`, `accounts`, `events`, `all_events`) is asked each time.

    `events(account)` gives the rule of each event that is meant for the account, `all_events(account)` those of all
    events: a request may name another account than its event does. Both have the names of the goals in that account.
    """

    platform: GoalPlatform
    gates: Gates
    now: Callable[[], UnixMillis]
    rules: Callable[[], CatalogueRules]
    accounts: Callable[[], Collection[str]]
    events: Callable[[str], Mapping[str, GoalRule]]
    all_events: Callable[[str], Mapping[str, GoalRule]]
    states: defaultdict[str, ReadingState] = field(default_factory=lambda: defaultdict(ReadingState))

    def catalogue(self, account: str) -> Catalogue | None:
        """Return what was read last, if the account is still the same one at Microsoft."""
        catalogue = self.states[account].catalogue
        return catalogue if catalogue and catalogue.identity == self.platform.identity(account) else None

    def siblings(self, account: str) -> Sequence[str]:
        """Return the other accounts of the same customer."""
        return [name for name in self.platform.sharing(account) if name != account]

    def other_goals(self, account: str) -> OtherGoals:
        """Return the goals of the other accounts of the same customer, for those that were read."""
        known = {name: self.catalogue(name) for name in self.siblings(account)}
        return {name: catalogue.goals for name, catalogue in known.items() if catalogue is not None}

    def shared_names(self, account: str) -> Set[str]:
        """Return the names of goals that events of other accounts of the same customer are mapped to."""
        return {rule.name for name in self.siblings(account) for rule in self.events(name).values()}

    def look_up(self, account: str, rule: GoalRule) -> Mapped:
        """Look up the goal that `rule` names in the list of goals alone."""
        catalogue = self.catalogue(account)
        goals = catalogue.goals if catalogue else None
        mapped = mapping(rule, goals, self.now(), self.rules().settle_millis)
        if mapped.state is not MappingState.NOT_FOUND:
            return mapped  # the customer may have a thousand accounts, which each claim would look through
        return replace(mapped, owner=owner_of(rule.name, self.other_goals(account)))

    def mapped_goals(self, account: str) -> dict[str, Mapped]:
        """Look up each goal that some event is mapped to, or that waiting rows are frozen for."""
        frozen = {goal: GoalRule(name=goal) for goal in self.states[account].waiting}
        rules = frozen | goal_rules(self.all_events(account)) | goal_rules(self.events(account))
        return {goal: self.look_up(account, rule) for goal, rule in rules.items()}

    def mapped_event(self, account: str, event: str) -> Mapped | None:
        """Look up the goal of an event's new rows; None if event or account left the configuration."""
        rule = self.all_events(account).get(event) if account in self.accounts() else None
        return self._mapped_now(account, rule) if rule else None

    def mapped_goal(self, account: str, goal: str) -> Mapped | None:
        """Look up a goal that rows are frozen for, which no event may name any more; None if the account left."""
        return self._mapped_now(account, GoalRule(name=goal)) if account in self.accounts() else None

    def account_goals(self, account: str) -> AccountGoals:
        """Return the account's goals as they are known now."""
        events = {event: (rule, self._mapped_now(account, rule)) for event, rule in self.events(account).items()}
        return AccountGoals(account, self.catalogue(account), events, self.states[account].failure)

    def _mapped_now(self, account: str, rule: GoalRule) -> Mapped:
        """Look up a goal in the list of goals, and in Microsoft's last answer to its rows."""
        return self.look_up(account, rule).closed_by(self.gates.refusal_reason(account, rule.name))

    def drops(self, account: str, goal: str) -> bool:
        """Return whether Microsoft would silently drop rows of that goal, which no event may name any more."""
        return self.look_up(account, GoalRule(name=goal)).holds is not None

    def traits(self, account: str, goal: str) -> GoalTraits:
        """Return what is known of a goal that conversions of the account are for."""
        catalogue = self.catalogue(account) if account in self.accounts() else None
        found = find_goal(goal, catalogue.goals) if catalogue else None
        return GoalTraits(found.window_seconds, found.enhanced) if found else GoalTraits()
