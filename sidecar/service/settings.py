"""The configuration in force, in the form that each part of the service needs.

A reload replaces the configuration here; later calls return the new values.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import urlsplit

from sidecar.config import RELOADABLE, Config, EventSection
from sidecar.config.consistency import CALLBACK_PATH
from sidecar.core.ad_accounts import ConfiguredAccount
from sidecar.core.alerts import AlertRules
from sidecar.core.attribution import AttributionRules
from sidecar.core.conversion import plain_decimal
from sidecar.core.entry import LongestWaits
from sidecar.core.goals.creation import NewGoal, new_goal
from sidecar.core.goals.rule import GoalRule, goal_rules
from sidecar.core.intake.click import CaptureRules
from sidecar.core.intake.conversion import EventRule, Rules
from sidecar.core.schedule import DeliveryRules
from sidecar.core.server_url import passwords_in
from sidecar.emulator import MappedGoal
from sidecar.goals.known import CatalogueRules
from sidecar.microsoft.account_ids import NO_IDS, AccountIds
from sidecar.service.account_directory import AccountDirectory
from sidecar.store.store_url import folder_of
from sidecar.system.listening import is_loopback
from sidecar.upkeep.housekeeping import HousekeepingRules

SECRET_CHARACTERS = 16
"""A path shorter than this holds no token."""

LEASE_MARGIN_SECONDS = 30.0
"""How much longer a claim lasts than the two requests that it may need (a 109 is repeated once)."""


@dataclass(slots=True)
class Settings:
    """Holds the configuration in force; each method derives what one part needs of it."""

    config: Config
    warnings: Sequence[str] = ()
    """Probable mistakes in the file, each with its place."""
    _intake: tuple[Config, Rules] | None = None
    """The rules of intake, which each request asks for, and the configuration that they come from."""
    _directory: tuple[Config, AccountDirectory] | None = None
    """The same of the accounts."""

    def with_reloaded(self, config: Config) -> "Settings":
        """Return these settings with the reloadable sections of `config`; everything else stays as at the start."""
        return Settings(self.config.model_copy(update={name: getattr(config, name) for name in RELOADABLE}))

    def secrets(self) -> list[str]:
        """Return every secret of the configuration, to be masked in all texts."""
        microsoft = self.config.microsoft
        named = (microsoft.client_secret, microsoft.developer_token, microsoft.refresh_token)
        every = (*named, self.config.storage.encryption_key, self.config.alerts.webhook, *self.config.server.api_keys)
        texts = [secret.get_secret_value() for secret in every]
        return [text for text in (*texts, *passwords_in(self.config.storage.url)) if text] + self._webhook_path()

    def _webhook_path(self) -> list[str]:
        """The path of the webhook where its token stands: an answer may quote it without the host."""
        parts = urlsplit(self.config.alerts.webhook.get_secret_value())
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        return [path] if len(path) >= SECRET_CHARACTERS else []

    def alerts(self) -> AlertRules:
        """The rules of alerts."""
        return AlertRules(repeat_millis=int(self.config.alerts.repeat * 1000))

    def dashboard(self, local_url: str) -> str:
        """Return the page for people: at the host that the sign-in leads browsers back to, unless that is loopback."""
        parts = urlsplit(self.config.microsoft.redirect_uri)
        is_public = not is_loopback(parts.hostname or "") and parts.path == CALLBACK_PATH
        return f"{parts.scheme}://{parts.netloc}/" if is_public else f"{local_url}/"

    @property
    def embeds_emulator(self) -> bool:
        """Whether the emulator runs inside this process: it does, unless the addresses of another one are given."""
        microsoft = self.config.microsoft
        return microsoft.environment == "emulator" and not microsoft.endpoints.given()

    def intake(self) -> Rules:
        """The rules of intake."""
        config = self.config
        if self._intake is None or self._intake[0] is not config:
            self._intake = config, _intake_rules(config)
        return self._intake[1]

    def capture(self) -> CaptureRules:
        """The rules of captured clicks."""
        return CaptureRules(tuple(self.config.accounts), self.config.privacy.consent)

    def attribution(self) -> AttributionRules:
        """The rules of attribution."""
        clicks = self.config.clicks
        return AttributionRules(
            wait_millis=int(clicks.wait * 1000),
            settle_millis=int(self.config.delivery.click_settle * 1000),
            retention_seconds=int(clicks.retention),
        )

    def goals(self, account: str | None = None) -> Mapping[str, str]:
        """Return the goal of each event: the account's own name for it, or else the event's."""
        of = self.config.accounts.get(account or "")
        own = of.goals if of else {}
        return {name: own.get(name, event.goal) for name, event in self.config.events.items()}

    def goals_of_accounts(self) -> Set[tuple[str, str]]:
        """Return each (account, goal) that some event is mapped to."""
        return {(account, goal) for account in self.config.accounts for goal in self.goals(account).values()}

    def names_goal(self, account: str, goal: str) -> bool:
        """Return whether any event of that account is mapped to that goal."""
        return account in self.config.accounts and goal in self.goals(account).values()

    def goal_of(self, account: str, event: str) -> str | None:
        """Return the goal of an event's rows in that account; None if one of the two left the configuration."""
        rule, of = self.config.events.get(event), self.config.accounts.get(account)
        return of.goals.get(event, rule.goal) if rule and of else None

    def lanes(self) -> Sequence[tuple[str, str]]:
        """Return each (account, event) that a conversion may have."""
        return [(account, event) for account in self.config.accounts for event in self.config.events]

    def delivery(self) -> DeliveryRules:
        """The rules of delivery."""
        delivery = self.config.delivery
        lease_seconds = 2 * delivery.request_timeout + LEASE_MARGIN_SECONDS
        return DeliveryRules(
            delivery.batch_size, int(delivery.linger * 1000), delivery.max_in_flight, int(lease_seconds * 1000)
        )

    def request_timeout(self) -> float:
        """Seconds after which a request to Microsoft is given up."""
        return self.config.delivery.request_timeout

    def requests_per_minute(self) -> float:
        """How many requests each account may make."""
        return self.config.delivery.requests_per_minute

    @property
    def directory(self) -> AccountDirectory:
        """Which account each name is at Microsoft."""
        config = self.config
        if self._directory is None or self._directory[0] is not config:
            self._directory = config, AccountDirectory.of(config)
        return self._directory[1]

    def accounts(self) -> Mapping[str, AccountIds]:
        """Return Microsoft's ids of each account that has some. The emulator gets ids for accounts without any."""
        return self.directory.ids

    def configured_accounts(self) -> Sequence[ConfiguredAccount]:
        """Return each account with Microsoft's ids, which are empty where none are set."""
        ids = self.accounts()
        return [
            ConfiguredAccount(name, known.customer_id, known.account_id, account.goals)
            for name, account in self.config.accounts.items()
            for known in [ids.get(name, NO_IDS)]
        ]

    def identities(self) -> Mapping[str, str]:
        """Return which account each is at Microsoft, as `111/222`: its customer and account ids."""
        return self.directory.identities

    def sharing(self, account: str) -> Sequence[str]:
        """Return the accounts of the same customer, this one included: they share Microsoft's rate limit."""
        return self.directory.sharing(account)

    def housekeeping(self) -> HousekeepingRules:
        """The rules of periodic maintenance."""
        storage, logging = self.config.storage, self.config.logging
        return HousekeepingRules(
            folder=folder_of(storage.url),
            retention_millis=int(storage.retention * 1000),
            click_millis=int(self.config.clicks.retention * 1000),
            min_free_bytes=storage.min_free_disk,
            max_pending=storage.max_pending,
            journal_millis=int(logging.retention * 1000),
            journal_bytes=logging.max_size,
            waits=LongestWaits(int(self.config.clicks.wait * 1000), int(self.config.delivery.click_settle * 1000)),
        )

    def report_millis(self) -> int:
        """How often Microsoft's verdict is read."""
        return int(self.config.reports.refresh * 1000)

    def mapped_goals(self) -> tuple[MappedGoal, ...]:
        """Return the goals of the embedded emulator: one for each name that events are mapped to."""
        named: dict[str, GoalRule] = {}
        for account in self.config.accounts:
            named |= goal_rules(self.every_goal_rule(account))
        return tuple(_mapped(new_goal(rule)) for rule in named.values())

    def goal_rules(self, account: str | None = None) -> Mapping[str, GoalRule]:
        """Return the rule of each event's goal, for all events or for those that are meant for an account.

        An event is meant for an account too if the account has its own name for the event's goal.
        """
        of = self.config.accounts.get(account or "")
        return {
            name: rule
            for name, rule in self.every_goal_rule(account).items()
            if account is None or self.config.events[name].account in (None, account) or (of and name in of.goals)
        }

    def every_goal_rule(self, account: str | None) -> Mapping[str, GoalRule]:
        """Return the rules of all events, since a request may name any account, with the account's names of goals."""
        goals = self.goals(account)
        return {name: _goal_rule(event, goals[name]) for name, event in self.config.events.items()}

    def catalogue(self) -> CatalogueRules:
        """The rules of the catalogue of goals. The goals of the embedded emulator need not settle."""
        settle_seconds = 0 if self.embeds_emulator else self.config.delivery.goal_settle
        return CatalogueRules(int(self.config.goals.refresh * 1000), int(settle_seconds * 1000))


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
