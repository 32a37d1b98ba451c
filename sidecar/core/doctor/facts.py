"""What a report is made of: plain values that were gathered just before. None stands for what was not asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sidecar.core.ad_accounts import VisibleAccounts
from sidecar.core.doctor.check import Area
from sidecar.core.goal_days import DayVerdict
from sidecar.core.goals.goal import Goal
from sidecar.core.goals.mapping import Mapped
from sidecar.core.goals.rule import GoalRule
from sidecar.core.instant import UnixMillis


@dataclass(frozen=True, slots=True)
class FailedCall:
    """Why a call brought no result: a code of the catalogue of troubles, a detail, and the check that explains it."""

    trouble: str
    detail: str
    area: Area


@dataclass(frozen=True, slots=True)
class StorageFacts:
    """The outbox. `failure` says why no conversion can be stored; `exists` is False before the first start."""

    path: str
    failure: FailedCall | None = None
    exists: bool = True
    schema: int | None = None
    environment: str | None = None
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """The disk of the outbox; `free_bytes` is None where it is a server's. Intake refuses below `reserve_bytes`."""

    free_bytes: int | None
    reserve_bytes: int


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One host of Microsoft, asked over a new connection. `ahead_millis`: how far this machine's clock is ahead."""

    host: str
    failure: FailedCall | None = None
    ahead_millis: int | None = None
    proxied: bool = False


@dataclass(frozen=True, slots=True)
class SignInFacts:
    """The sign-in after an attempt to renew its token; `failure` is the outcome of that attempt."""

    connected: bool
    expires_at: UnixMillis | None = None
    failure: FailedCall | None = None


@dataclass(frozen=True, slots=True)
class MappedGoalFacts:
    """A goal that events are mapped to, and whether it takes conversions."""

    events: tuple[str, ...]
    rule: GoalRule
    mapped: Mapped


@dataclass(frozen=True, slots=True)
class ReadAccount:
    """The goals of an account as they were just read, and whether click ids are added to landing addresses."""

    auto_tagging: bool | None
    goals: tuple[Goal, ...]
    mapped: Mapping[str, MappedGoalFacts]


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """One configured account. `raised` are the codes of its active troubles."""

    name: str
    customer_id: str
    account_id: str
    reading: ReadAccount | FailedCall | None = None
    raised: frozenset[str] = frozenset()
    last_success_at: UnixMillis | None = None
    """When Microsoft last accepted a row of it, as far as is remembered."""
    verdicts: Sequence[DayVerdict] = ()
    """What Microsoft made of the rows of the last days."""


@dataclass(frozen=True, slots=True)
class ActiveFacts:
    """An active trouble; `subject` is its goal or the like."""

    code: str
    message: str
    area: Area
    is_error: bool
    account: str | None = None
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """What waits: how many rows, for how long the oldest has been due, and when the first gets too old."""

    pending: int
    oldest_due_seconds: float = 0.0
    first_expiry_at: UnixMillis | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that a running sidecar knows of itself and of its way to Microsoft."""

    now: UnixMillis
    config_warnings: Sequence[str] = ()
    storage: StorageFacts
    disk: DiskFacts
    clock_unsettled: str | None = None
    endpoints: Sequence[Endpoint] = ()
    sign_in: SignInFacts
    visible: VisibleAccounts | FailedCall | None = None
    accounts: Sequence[AccountFacts] = ()
    active: Sequence[ActiveFacts] = field(default=())
    queue: QueueFacts
