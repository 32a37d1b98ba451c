"""The configuration as each part of the service wants it, always the one that is in force.

A reload swaps the configuration here; whoever asks next gets the new answer.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from zlib import crc32

from sidecar.config import RELOADABLE, Config, EventSection
from sidecar.core.attribution import AttributionRules
from sidecar.core.conversion import plain_decimal
from sidecar.core.entry import LongestWaits
from sidecar.core.goals.creation import NewGoal, new_goal
from sidecar.core.goals.rule import GoalRule, goal_rules
from sidecar.core.intake.click import CaptureRules
from sidecar.core.intake.conversion import EventRule, Rules
from sidecar.core.schedule import DeliveryRules
from sidecar.emulator import ACCOUNT_ID, CUSTOMER_ID, MappedGoal
from sidecar.goals.known import CatalogueRules
from sidecar.microsoft.account_ids import AccountIds
from sidecar.upkeep.housekeeping import HousekeepingRules

LEASE_MARGIN_SECONDS = 30.0
"""A claim outlives the two requests it may take (a 109 is repeated once) and the waits between them by so much."""


@dataclass(slots=True)
class Settings:
    """Holds the configuration in force; each method derives what one part needs of it."""

    config: Config
    _intake: tuple[Config, Rules] | None = None
    """What intake is told of which configuration: it asks with each request."""

    def with_reloaded(self, config: Config) -> "Settings":
        """These settings with what may change while they are in force; everything else stays as at the start."""
        return Settings(self.config.model_copy(update={name: getattr(config, name) for name in RELOADABLE}))

    def secrets(self) -> list[str]:
        """Every secret of the configuration, to be masked wherever it might turn up."""
        microsoft = self.config.microsoft
        named = (microsoft.client_secret, microsoft.developer_token, microsoft.refresh_token)
        every = (*named, self.config.storage.encryption_key, *self.config.server.api_keys)
        return [text for secret in every if (text := secret.get_secret_value())]

    @property
    def embeds_emulator(self) -> bool:
        """Whether the emulator runs inside this process: it does, unless the addresses of another one are given."""
        microsoft = self.config.microsoft
        return microsoft.environment == "emulator" and not microsoft.endpoints.given()

    def intake(self) -> Rules:
        """What intake needs to know."""
        config = self.config
        if self._intake is None or self._intake[0] is not config:
            self._intake = config, _intake_rules(config)
        return self._intake[1]

    def capture(self) -> CaptureRules:
        """What capturing a click needs to know."""
        return CaptureRules(tuple(self.config.accounts), self.config.privacy.consent)

    def attribution(self) -> AttributionRules:
        """How conversions find their clicks."""
        clicks = self.config.clicks
        return AttributionRules(
            wait_millis=int(clicks.wait * 1000),
            settle_millis=int(self.config.delivery.click_settle * 1000),
            retention_seconds=int(clicks.retention),
        )

    def goals(self, account: str | None = None) -> Mapping[str, str]:
        """The goal of each event: by its name in the account, or as the event itself has it."""
        of = self.config.accounts.get(account or "")
        own = of.goals if of else {}
        return {name: own.get(name, event.goal) for name, event in self.config.events.items()}

    def goals_of_accounts(self) -> Set[tuple[str, str]]:
        """Each (account, goal) that some event may be counted for."""
        return {(account, goal) for account in self.config.accounts for goal in self.goals(account).values()}

    def names_goal(self, account: str, goal: str) -> bool:
        """Whether any event of that account goes to that goal."""
        return (account, goal) in self.goals_of_accounts()

    def goal_of(self, account: str, event: str) -> str | None:
        """The goal of an event's rows in that account; None where one of the two left the configuration."""
        rule, of = self.config.events.get(event), self.config.accounts.get(account)
        return of.goals.get(event, rule.goal) if rule and of else None

    def lanes(self) -> Sequence[tuple[str, str]]:
        """Each (account, event) that a conversion may have."""
        return [(account, event) for account in self.config.accounts for event in self.config.events]

    def delivery(self) -> DeliveryRules:
        """What a courier obeys."""
        delivery = self.config.delivery
        lease_seconds = 2 * delivery.request_timeout + LEASE_MARGIN_SECONDS
        return DeliveryRules(
            delivery.batch_size, int(delivery.linger * 1000), delivery.max_in_flight, int(lease_seconds * 1000)
        )

    def accounts(self) -> Mapping[str, AccountIds]:
        """Microsoft's ids of each account; some at the emulator where the file leaves them open."""
        accounts = self.config.accounts
        if self.config.microsoft.environment != "emulator":
            return {name: AccountIds(account.customer_id, account.account_id) for name, account in accounts.items()}
        found: dict[str, AccountIds] = {}
        taken = {account.account_id for account in accounts.values()}
        for name, account in accounts.items():
            account_id = account.account_id or _free_id(name, taken)
            taken.add(account_id)
            found[name] = AccountIds(account.customer_id or CUSTOMER_ID, account_id)
        return found

    def identities(self) -> Mapping[str, str]:
        """Which account each is at Microsoft, as `111/222`: its customer and account ids."""
        return {name: ids.identity for name, ids in self.accounts().items()}

    def customers(self) -> Mapping[str, str]:
        """The customer of each account: those of one customer share Microsoft's limit."""
        return {name: ids.customer_id for name, ids in self.accounts().items()}

    def keeping(self) -> HousekeepingRules:
        """What the keeper keeps, and how long."""
        storage, logging = self.config.storage, self.config.logging
        return HousekeepingRules(
            path=storage.path,
            retention_millis=int(storage.retention * 1000),
            click_millis=int(self.config.clicks.retention * 1000),
            min_free_bytes=storage.min_free_disk,
            max_pending=storage.max_pending,
            journal_millis=int(logging.retention * 1000),
            journal_bytes=logging.max_size,
            waits=LongestWaits(int(self.config.clicks.wait * 1000), int(self.config.delivery.click_settle * 1000)),
        )

    def mapped_goals(self) -> tuple[MappedGoal, ...]:
        """The goals that the embedded emulator has: one for each name that events are mapped to."""
        named: dict[str, GoalRule] = {}
        for account in self.config.accounts:
            named |= goal_rules(self.every_goal_rule(account))
        return tuple(_mapped(new_goal(rule)) for rule in named.values())

    def goal_rules(self, account: str | None = None) -> Mapping[str, GoalRule]:
        """What is said of each event's goal, by event: of all events, or of those that are meant for an account.

        An account's own name for an event's goal says that the event is meant for it too.
        """
        of = self.config.accounts.get(account or "")
        return {
            name: rule
            for name, rule in self.every_goal_rule(account).items()
            if account is None or self.config.events[name].account in (None, account) or (of and name in of.goals)
        }

    def every_goal_rule(self, account: str | None) -> Mapping[str, GoalRule]:
        """As `goal_rules`, of all events, since a request may name any account: by the names that the account has."""
        goals = self.goals(account)
        return {name: _goal_rule(event, goals[name]) for name, event in self.config.events.items()}

    def catalogue(self) -> CatalogueRules:
        """When goals are read, and how old they must be. The embedded emulator makes its goals old enough."""
        settle_seconds = 0 if self.embeds_emulator else self.config.delivery.goal_settle
        return CatalogueRules(int(self.config.goals.refresh * 1000), int(settle_seconds * 1000))


def _free_id(name: str, taken: Set[str]) -> str:
    """The emulator's own account for the first one; for each further one an account that follows from its name.

    Two names must not mean one account at the emulator either.
    """
    if ACCOUNT_ID not in taken:
        return ACCOUNT_ID
    wanted = int(ACCOUNT_ID) + 1 + crc32(name.encode()) % 90_000_000
    return next(id_ for number in count(wanted) if (id_ := str(number)) not in taken)


def _goal_rule(event: EventSection, goal: str) -> GoalRule:
    return GoalRule(
        name=goal,
        category=event.category,
        count_type=event.count_type,
        window_seconds=None if event.window is None else int(event.window),
        revenue=event.revenue,
        value=None if event.value is None else plain_decimal(event.value),
        currency=event.currency,
        enhanced=event.enhanced,
    )


def _mapped(goal: NewGoal) -> MappedGoal:
    return MappedGoal(
        name=goal.name,
        category=goal.category,
        count_type=goal.count_type,
        window_minutes=goal.window_seconds // 60,
        revenue=goal.revenue.type,
        value=None if goal.revenue.value is None else Decimal(goal.revenue.value),
        currency=goal.revenue.currency,
        enhanced=goal.enhanced,
    )


def _intake_rules(config: Config) -> Rules:
    events = {
        name: EventRule(event.goal, event.account, event.value, event.currency, _own_goals(config, name))
        for name, event in config.events.items()
    }
    country = config.matching.default_country or None
    return Rules(events, tuple(config.accounts), config.privacy.consent, country)


def _own_goals(config: Config, event: str) -> Mapping[str, str]:
    """The event's goal in those accounts that call it otherwise."""
    return {name: account.goals[event] for name, account in config.accounts.items() if event in account.goals}
