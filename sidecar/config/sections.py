"""The sections of the configuration: every key, its type and its default. Names equal those in the file.

`config.example.yaml` gives each key its reason; rules between keys are in `consistency`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from sidecar.config.address_types import Address, Authority, Database, Host, ListeningHost, Redirect, Tenant
from sidecar.config.value_types import (
    Amount,
    ApiKey,
    Boolean,
    Bytes,
    Country,
    Currency,
    EncryptionKey,
    Name,
    OneLine,
    Seconds,
    Secret,
    WebhookAddress,
    duration_between,
    integer_between,
    multiple_of,
    size_between,
)

AsTuple = BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)

HOUR = 3_600.0
DAY = 86_400.0
MIB = 2**20
NO_SECRET = SecretStr("")
DEFAULT_REDIRECT = "http://localhost:8077/oauth/callback"

Environment = Literal["production", "sandbox", "emulator"]

Category = Literal[
    "AddToCart",
    "BeginCheckout",
    "BookAppointment",
    "Contact",
    "GetDirections",
    "Other",
    "OutboundClick",
    "PageView",
    "Purchase",
    "RequestQuote",
    "Signup",
    "SubmitLeadForm",
    "Subscribe",
]
"""The categories that an offline goal may have.

https://learn.microsoft.com/advertising/campaign-management-service/conversiongoalcategory
"""


class Section(BaseModel):
    """A frozen section that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _without_absent(cls, given: Any) -> Any:
        """Drops keys with an empty value, which count as absent; unknown ones are left, to be refused."""
        if given is None:
            return {}
        if isinstance(given, Mapping):
            return {key: value for key, value in given.items() if value is not None or key not in cls.model_fields}
        return given


class ServerSection(Section):
    """The address to listen on, and what callers need."""

    host: ListeningHost = "127.0.0.1"
    port: Annotated[int, integer_between(0, 65_535)] = 8077
    api_keys: Annotated[tuple[ApiKey, ...], AsTuple] = ()
    allowed_hosts: Annotated[tuple[Host, ...], AsTuple] = ("127.0.0.1", "localhost")
    max_body: Annotated[Bytes, size_between("1KiB", "64MiB")] = 2 * MIB


class StorageSection(Section):
    """The outbox: where it is, how long settled rows stay, and when it is full."""

    url: Annotated[Database, Field(repr=False)] = "sqlite:///data/outbox.db"
    encryption_key: EncryptionKey = NO_SECRET
    retention: Annotated[Seconds, duration_between("90d", "3650d")] = 90 * DAY
    max_pending: Annotated[int, integer_between(1, 1_000_000_000)] = 10_000_000
    min_free_disk: Annotated[Bytes, size_between("0B", "1TiB")] = 256 * MIB


class EndpointOverrides(Section):
    """Addresses in place of the environment's own."""

    campaign: Address | None = None
    customer: Address | None = None
    authority: Authority | None = None

    def given(self) -> dict[str, str]:
        """The addresses that are set, by name."""
        return self.model_dump(exclude_none=True)


class MicrosoftSection(Section):
    """The environment at Microsoft, and the credentials. `ca_bundle` is empty or the path of a PEM file."""

    environment: Environment
    client_id: OneLine = ""
    client_secret: Secret = NO_SECRET
    developer_token: Secret = NO_SECRET
    tenant: Tenant = "common"
    redirect_uri: Redirect = DEFAULT_REDIRECT
    refresh_token: Secret = NO_SECRET
    endpoints: EndpointOverrides = EndpointOverrides()
    ca_bundle: OneLine = ""


class AccountSection(Section):
    """One ad account; ids are texts, as written. `goals` are the names of events' goals that differ here."""

    customer_id: OneLine = ""
    account_id: OneLine = ""
    goals: Mapping[str, Name] = {}


class EventSection(Section):
    """The goal that one of the app's events counts for; None leaves a setting to Microsoft or to the request."""

    goal: Name
    account: Name | None = None
    value: Amount | None = None
    currency: Currency | None = None
    category: Category | None = None
    count_type: Literal["All", "Unique"] | None = None
    window: Annotated[Seconds, duration_between("1m", "90d"), multiple_of("1m")] | None = None
    revenue: Literal["NoValue", "FixedValue", "VariableValue"] | None = None
    enhanced: Boolean | None = None


class DeliverySection(Section):
    """How conversions are batched and sent, per account."""

    batch_size: Annotated[int, integer_between(1, 1000)] = 1000
    linger: Annotated[Seconds, duration_between("0s", "60s")] = 2.0
    requests_per_minute: Annotated[int, integer_between(1, 1000)] = 1000
    max_in_flight: Annotated[int, integer_between(1, 64)] = 8
    request_timeout: Annotated[Seconds, duration_between("100ms", "10m")] = 60.0
    goal_settle: Annotated[Seconds, duration_between("0s", "7d")] = 2 * HOUR
    click_settle: Annotated[Seconds, duration_between("0s", "7d")] = HOUR


class ClicksSection(Section):
    """How long captured clicks stay, and how long a conversion waits for one."""

    retention: Annotated[Seconds, duration_between("1d", "90d"), multiple_of("1s")] = 90 * DAY
    wait: Annotated[Seconds, duration_between("0s", "90d")] = HOUR


class AdjustmentsSection(Section):
    """Restating and retracting of earlier conversions."""

    settle: Annotated[Seconds, duration_between("0s", "7d")] = 6 * HOUR


class MatchingSection(Section):
    """Defaults for matching a person."""

    default_country: Country = ""


class PrivacySection(Section):
    """The meaning of a missing `consent`."""

    consent: Literal["granted", "denied"] = "granted"


class GoalsSection(Section):
    """The catalogue of the accounts' goals."""

    refresh: Annotated[Seconds, duration_between("1m", "1d")] = 900.0


class ReportsSection(Section):
    """Microsoft's verdict on what was sent."""

    refresh: Annotated[Seconds, duration_between("15m", "7d")] = 6 * HOUR


class AlertsSection(Section):
    """Where troubles are posted, in which form, and how often one that lasts is repeated."""

    webhook: WebhookAddress = NO_SECRET
    format: Literal["json", "slack"] = "json"
    repeat: Annotated[Seconds, duration_between("1m", "30d")] = HOUR


class LoggingSection(Section):
    """What is logged, in which form, and how long the journal behind `/logs` holds it."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "json"
    retention: Annotated[Seconds, duration_between("1h", "3650d")] = 30 * DAY
    max_size: Annotated[Bytes, size_between("1MiB", "1TiB")] = 256 * MIB


DEFAULT_EVENTS = {
    "purchase": EventSection(goal="Sidecar Purchase", currency="USD", category="Purchase"),
    "lead": EventSection(goal="Sidecar Lead", category="SubmitLeadForm"),
    "signup": EventSection(goal="Sidecar Signup", category="Signup"),
}


class Config(Section):
    """The whole configuration. `accounts` and `events` replace the defaults as wholes."""

    server: ServerSection = ServerSection()
    storage: StorageSection = StorageSection()
    microsoft: MicrosoftSection
    accounts: Mapping[str, AccountSection] = {"default": AccountSection()}
    events: Mapping[str, EventSection] = DEFAULT_EVENTS
    delivery: DeliverySection = DeliverySection()
    clicks: ClicksSection = ClicksSection()
    adjustments: AdjustmentsSection = AdjustmentsSection()
    matching: MatchingSection = MatchingSection()
    privacy: PrivacySection = PrivacySection()
    goals: GoalsSection = GoalsSection()
    reports: ReportsSection = ReportsSection()
    alerts: AlertsSection = AlertsSection()
    logging: LoggingSection = LoggingSection()
