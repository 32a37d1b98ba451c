"""One line of a report: what was checked, how well it is, and which trouble explains it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class CheckStatus(StrEnum):
    """How well something is, the best first."""

    OK = "ok"
    WARNING = "warning"  # worth a look; nothing is lost by it now
    FAILED = "failed"  # conversions wait or are lost until someone acts


class Area(StrEnum):
    """The names of the checks, in the order of a report: what stands first carries what follows."""

    SERVICE = "service"
    CONFIGURATION = "configuration"
    STORAGE = "storage"
    DISK = "disk"
    CLOCK = "clock"
    CONNECTION = "connection"
    TOKEN = "token"  # noqa: S105 - the name of a check
    SCOPE = "scope"
    DEVELOPER_TOKEN = "developer_token"  # noqa: S105 - the name of a check
    ACCOUNT = "account"
    ROLE = "role"
    AUTO_TAGGING = "auto_tagging"
    GOAL = "goal"
    ENHANCED = "enhanced"
    DOUBLE_COUNTING = "double_counting"
    ATTRIBUTION = "attribution"
    DELIVERY = "delivery"
    QUEUE = "queue"
    LAST_SUCCESS = "last_success"


@dataclass(frozen=True, slots=True)
class Checked:
    """One check that was made. `trouble` is a code of the catalogue whose cause and remedy apply.

    `cause` and `fix` are set where no trouble describes it.
    """

    name: Area
    status: CheckStatus
    message: str
    account: str | None = None
    goal: str | None = None
    trouble: str | None = None
    cause: str | None = None
    fix: str | None = None
    event: str | None = None
    """An event that the remedy may name."""


@dataclass(frozen=True, slots=True)
class Unchecked:
    """A check that could not be made, and why."""

    name: Area
    message: str
    account: str | None = None
    goal: str | None = None


Finding = Checked | Unchecked


@dataclass(frozen=True, slots=True)
class Diagnosed:
    """Every check of a report, and what could not be checked, in the order of the areas."""

    checks: tuple[Checked, ...]
    unchecked: tuple[Unchecked, ...]

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> "Diagnosed":
        """Sort findings by area; within one they keep their order."""
        order = list(Area)
        every = sorted(findings, key=lambda each: order.index(each.name))
        checks = tuple(each for each in every if isinstance(each, Checked))
        return cls(checks, tuple(each for each in every if isinstance(each, Unchecked)))

    @property
    def status(self) -> CheckStatus:
        """The worst status of all checks."""
        return worst(self.checks)


def worst(checks: Sequence[Checked]) -> CheckStatus:
    """The worst status among these; ok without any."""
    order = list(CheckStatus)
    return max((check.status for check in checks), key=order.index, default=CheckStatus.OK)


def ok(name: Area, message: str, account: str | None = None, goal: str | None = None) -> Checked:
    """A check that found nothing wrong."""
    return Checked(name, CheckStatus.OK, message, account, goal)
