"""The report without a running sidecar: what can be checked from outside, and plainly what cannot."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sidecar.core.doctor import machine
from sidecar.core.doctor.check import Area, Checked, CheckStatus, Diagnosed, Finding, Unchecked, ok
from sidecar.core.doctor.facts import DiskFacts, Endpoint, FailedCall, StorageFacts

NEEDS_SERVICE = "needs the running sidecar"

_OF_THE_SERVICE = (
    *(Area.SCOPE, Area.DEVELOPER_TOKEN, Area.ACCOUNT, Area.ROLE, Area.AUTO_TAGGING, Area.GOAL, Area.ENHANCED),
    *(Area.DOUBLE_COUNTING, Area.ATTRIBUTION, Area.DELIVERY, Area.QUEUE, Area.LAST_SUCCESS),
)


@dataclass(frozen=True, slots=True)
class SilentService:
    """A sidecar that gave no report: why, and whether some process has its outbox all the same."""

    why: str
    has_owner: bool = False
    is_refusal: bool = False
    """Whether something answered, and refused."""
    replicas: int = 0
    """How many are alive over its database, where that is on a server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideFacts:
    """What can be found out without a running sidecar."""

    config_warnings: Sequence[str]
    storage: StorageFacts
    disk: DiskFacts
    endpoints: Sequence[Endpoint]
    embeds_emulator: bool
    """Whether the emulator runs inside the sidecar, so that there is no way to check."""
    sign_in: bool | FailedCall
    """Whether a sign-in is stored, or why the stored one cannot be used."""


def without_configuration(service: SilentService, problems: str) -> Diagnosed:
    """The report where the configuration cannot be used: everything else depends on it."""
    fix = "Correct what is named, then run `sidecar check`."
    check = Checked(
        Area.CONFIGURATION, CheckStatus.FAILED, problems, cause="The sidecar does not start with it.", fix=fix
    )
    areas = [area for area in Area if area not in (Area.SERVICE, Area.CONFIGURATION)]
    return Diagnosed.of(
        [_silent(service), check, *(Unchecked(area, "the configuration comes first") for area in areas)]
    )


def only_service(service: SilentService) -> Diagnosed:
    """The report about a sidecar that was named by its address, and that gave none: the machine may be another one."""
    areas = [area for area in Area if area is not Area.SERVICE]
    return Diagnosed.of(
        [replace(_silent(service), status=CheckStatus.FAILED), *(Unchecked(area, NEEDS_SERVICE) for area in areas)]
    )


def look(service: SilentService, facts: OutsideFacts) -> Diagnosed:
    """The report of everything that can be seen from outside."""
    return Diagnosed.of([_silent(service), *_findings(facts)])


def _silent(service: SilentService) -> Checked:
    if service.is_refusal:
        fix = "Name the right address with --url, and its key with --api-key or $SIDECAR_API_KEY."
        return Checked(Area.SERVICE, CheckStatus.FAILED, service.why, cause="The call was refused.", fix=fix)
    if service.has_owner:
        cause = "A sidecar runs with this outbox, but listens at another address, or does not answer."
        fix = "Name its address with --url; the log line `started` has it. If it hangs, restart it."
        return Checked(Area.SERVICE, CheckStatus.FAILED, service.why, cause=cause, fix=fix)
    if service.replicas:
        they = "1 replica runs" if service.replicas == 1 else f"{service.replicas} replicas run"
        cause = f"{they} with this outbox, but none answers at this address."
        fix = "Name the address of one with --url; the log line `started` has it. If one should be here, start it."
        return Checked(Area.SERVICE, CheckStatus.WARNING, service.why, cause=cause, fix=fix)
    cause = "The sidecar does not run, so only what can be seen without it was checked."
    return Checked(
        Area.SERVICE,
        CheckStatus.WARNING,
        service.why,
        cause=cause,
        fix="Start it with `sidecar run`, then repeat this.",
    )


def _findings(facts: OutsideFacts) -> Iterator[Finding]:
    yield from machine.configuration(facts.config_warnings)
    yield machine.storage(facts.storage)
    yield machine.disk(facts.disk)
    if facts.embeds_emulator:
        yield ok(Area.CONNECTION, "The emulator runs inside the sidecar: no host of Microsoft is needed.")
        yield Unchecked(Area.CLOCK, "the emulator takes the clock of this machine")
        yield Unchecked(Area.TOKEN, "the emulator signs itself in once the sidecar runs")
    else:
        yield machine.connection(facts.endpoints, ())
        yield machine.clock(facts.endpoints, None)
        yield _sign_in(facts)
    yield from (Unchecked(area, NEEDS_SERVICE) for area in _OF_THE_SERVICE)


def _sign_in(facts: OutsideFacts) -> Finding:
    if isinstance(facts.sign_in, FailedCall):
        message = f"{facts.sign_in.detail[:1].upper()}{facts.sign_in.detail[1:].rstrip('.')}."
        return Checked(Area.TOKEN, CheckStatus.FAILED, message, trouble=facts.sign_in.trouble)
    if facts.sign_in:
        return Unchecked(Area.TOKEN, f"a sign-in is stored; whether Microsoft still accepts it {NEEDS_SERVICE}")
    message = "No sign-in is stored yet."
    return Checked(Area.TOKEN, CheckStatus.WARNING, message, trouble="not_connected")
