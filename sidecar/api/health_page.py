"""The page of /healthz from plain values: each check with its status, what is wrong, and what to do about it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from sidecar.api.http.reply import Json
from sidecar.core.instant import UnixMillis, text_of_millis
from sidecar.core.match_share import Share
from sidecar.ports.errors import StorageUnavailable
from sidecar.ports.leases import ReplicaStanding
from sidecar.ports.queries import Backlog, Counts
from sidecar.telemetry import ActiveTrouble
from sidecar.troubles import CATALOGUE, HealthCheck, Severity

_SHOWN_TROUBLES = 3
_SHOWN_SHARES = 5
_GIB = 2**30


class Level(StrEnum):
    """How well something is; `down` means that no conversion can be stored."""

    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"


_BADNESS = {level: place for place, level in enumerate(Level)}

NO_TROUBLE = {
    HealthCheck.STORAGE: "The outbox can be written.",
    HealthCheck.TOKEN: "Nothing is wrong with the sign-in.",
    HealthCheck.DELIVERY: "Nothing holds delivery up.",
    HealthCheck.GOALS: "Nothing is wrong with the goals.",
    HealthCheck.CLOCK: "Nothing is wrong with this machine's clock.",
}
"""The message of a check without troubles; that of the disk has its free space."""


@dataclass(frozen=True, slots=True)
class Check:
    """The status of one part, a message, and what to do about it."""

    status: Level
    message: str
    fix: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """What the page is made of. `failure` is why no conversion can be stored now."""

    version: str
    uptime_seconds: float
    now: UnixMillis
    failure: StorageUnavailable | None
    troubles: Sequence[ActiveTrouble]
    free_bytes: int | None
    """None where the disk is a database server's."""
    min_free_bytes: int
    counts: Counts
    backlog: Backlog
    stakes: Mapping[str, str] = field(default_factory=dict)
    """By check, one sentence about what waits for the end of its troubles."""
    shares: Mapping[str, Share] = field(default_factory=dict)
    """By goal, what its last conversions could be matched by."""
    signed_in_until: UnixMillis | None = None
    """When the access token expires; it is renewed before."""
    standing: ReplicaStanding | None = None
    """This process among the replicas; None where there can be no others."""


def health_page(vitals: Vitals) -> Json:
    """Return the page; its status is that of the worst check."""
    checks = checks_of(vitals)
    own = {} if vitals.standing is None else {"replica": asdict(vitals.standing)}
    return {
        "status": status_of(checks),
        "version": vitals.version,
        "uptime_seconds": round(vitals.uptime_seconds, 1),
        "checks": {name: asdict(check) for name, check in checks.items()},
        "outbox": _outbox(vitals),
        **own,
    }


def checks_of(vitals: Vitals) -> dict[HealthCheck, Check]:
    """Return every check."""
    return {check: _check(check, vitals) for check in HealthCheck}


def status_of(checks: Mapping[HealthCheck, Check]) -> Level:
    """Return the status of the worst check."""
    return max((check.status for check in checks.values()), key=_BADNESS.__getitem__)


def _check(check: HealthCheck, vitals: Vitals) -> Check:
    if check is HealthCheck.DISK:
        return _disk(vitals.free_bytes, vitals.min_free_bytes)
    if check is HealthCheck.STORAGE and (failure := vitals.failure) is not None:
        trouble = CATALOGUE.get(failure.code)
        return Check(Level.DOWN, f"No conversion can be stored: {failure}.", trouble.solution if trouble else None)
    return _of_troubles(check, vitals)


def _disk(free: int | None, reserve: int) -> Check:
    """Intake refuses below the reserve; below twice the reserve the check warns."""
    if free is None:
        return Check(Level.OK, "The outbox lies on a database server: its disk is watched there.")
    message = f"{free / _GIB:.1f} GiB are free; storage.min_free_disk is {reserve / _GIB:.2f} GiB."
    if free >= 2 * reserve:
        return Check(Level.OK, message)
    level = Level.DOWN if free < reserve else Level.DEGRADED
    return Check(level, message, CATALOGUE["disk_nearly_full"].solution)


def _of_troubles(name: HealthCheck, vitals: Vitals) -> Check:
    """Return a degraded check while it has any trouble: stored rows wait, and go out later."""
    ours = [trouble for trouble in vitals.troubles if trouble.check is name]
    shares = _shares(vitals.shares) if name is HealthCheck.GOALS else ""
    if not ours:
        signed_in = _signed_in(vitals) if name is HealthCheck.TOKEN else None
        return Check(Level.OK, signed_in or f"{NO_TROUBLE[name]}{shares}")
    at_stake = vitals.stakes.get(name)
    messages = [trouble.headline if at_stake else trouble.message for trouble in ours[:_SHOWN_TROUBLES]]
    if len(ours) > _SHOWN_TROUBLES:
        messages.append(f"and {len(ours) - _SHOWN_TROUBLES} more: see /logs")
    level = Level.OK if all(one.trouble.severity is Severity.ADVICE for one in ours) else Level.DEGRADED
    message = (f"{at_stake}. " if at_stake else "") + "; ".join(messages) + (f".{shares}" if shares else "")
    return Check(level, message, _fixes(ours))


def _signed_in(vitals: Vitals) -> str | None:
    """Return until when the access token is valid, where there is one."""
    until = vitals.signed_in_until
    if until is None or until <= vitals.now:
        return None
    return f"Signed in; the token is good until {text_of_millis(until)[11:16]} UTC."


def _shares(shares: Mapping[str, Share]) -> str:
    """Return a sentence for each goal with conversions, the goals with the lowest share first."""
    seen = sorted(
        ((share, goal) for goal, share in shares.items() if share.received),
        key=lambda one: (one[0].carrying / one[0].received, one[1]),
    )
    listed = "".join(f" {goal}: {share.percent}." for share, goal in seen[:_SHOWN_SHARES])
    return f"{listed} Of {len(seen) - _SHOWN_SHARES} more goals more can be." if len(seen) > _SHOWN_SHARES else listed


def _fixes(active: Sequence[ActiveTrouble]) -> str:
    """Return what to do about all of them; if they differ, each remedy after the title of its trouble."""
    troubles = {trouble.code: trouble.trouble for trouble in active}
    if len(troubles) == 1:
        return active[0].trouble.solution
    return " ".join(f"{trouble.title}: {trouble.solution}" for trouble in troubles.values())


def _outbox(vitals: Vitals) -> Json:
    due_at, expiry_at = vitals.backlog.oldest_due_at, vitals.backlog.first_expiry_at
    return {
        "pending": vitals.counts.pending,
        "dead": vitals.counts.dead,
        "oldest_due_seconds": 0 if due_at is None else max(0, vitals.now - due_at) / 1000,
        "first_expiry_at": None if expiry_at is None else text_of_millis(expiry_at),
    }
