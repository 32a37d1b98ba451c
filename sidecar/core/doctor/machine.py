"""The checks of this machine and of its way out: configuration, storage, disk, clock, connection."""

from collections.abc import Iterable, Iterator, Sequence

from sidecar.core.clock import jump_words
from sidecar.core.doctor.check import Area, Checked, CheckStatus, Finding, Unchecked, ok
from sidecar.core.doctor.facts import DiskFacts, Endpoint, FailedCall, StorageFacts

CLOCK_TOLERANCE_MILLIS = 5_000
"""A `Date` has whole seconds, and an answer takes its time."""

CLOCK_FAILED_MILLIS = 60_000
"""Beyond this, conversions of "now" are refused as future ones, or miss their click."""

_GIB, _MIB = 2**30, 2**20


def configuration(warnings: Sequence[str]) -> Iterator[Checked]:
    """One check for each warning about the file, or one that says that there is none."""
    if not warnings:
        yield ok(Area.CONFIGURATION, "The configuration is valid, and nothing in it looks like a mistake.")
    for warning in warnings:
        cause = "The configuration is in force, but this looks like a mistake."
        fix = "Correct the key that it names, then reload with SIGHUP or restart."
        yield Checked(Area.CONFIGURATION, CheckStatus.WARNING, warning, cause=cause, fix=fix)


def storage(facts: StorageFacts) -> Checked:
    """Whether conversions can be stored, where, and how large the outbox is."""
    if (failure := facts.failure) is not None:
        message = f"No conversion can be stored in {facts.path}: {failure.detail}."
        return Checked(Area.STORAGE, CheckStatus.FAILED, message, trouble=failure.trouble)
    if not facts.exists:
        return ok(Area.STORAGE, f"{facts.path} does not exist yet; it can be created at the first start.")
    details = [f"{facts.size_bytes / _MIB:.1f} MiB"]
    if facts.schema is not None:
        details.append(f"schema {facts.schema}")
    if facts.environment:
        details.append(f"environment {facts.environment}")
    return ok(Area.STORAGE, f"The outbox {facts.path} can be written ({', '.join(details)}).")


def disk(facts: DiskFacts) -> Checked:
    """Whether the disk has room. Intake refuses below the reserve; below twice the reserve is a warning."""
    free, reserve = facts.free_bytes, facts.reserve_bytes
    if free is None:
        return ok(Area.DISK, "The outbox lies on a database server: its disk is watched there.")
    message = f"{free / _GIB:.1f} GiB are free; storage.min_free_disk is {reserve / _GIB:.2f} GiB."
    if free >= 2 * reserve:
        return ok(Area.DISK, message)
    status = CheckStatus.FAILED if free < reserve else CheckStatus.WARNING
    return Checked(Area.DISK, status, message, trouble="disk_nearly_full")


def clock(endpoints: Iterable[Endpoint], unsettled: str | None) -> Finding:
    """How far this machine's clock is from Microsoft's."""
    aheads = [one.ahead_millis for one in endpoints if one.ahead_millis is not None]
    if unsettled is not None and not aheads:
        return Checked(Area.CLOCK, CheckStatus.FAILED, f"{unsettled}.", trouble="clock_jumped")
    if not aheads:
        return Unchecked(Area.CLOCK, "Microsoft's answers tell the time, and there was none.")
    ahead = min(aheads, key=abs)
    if abs(ahead) <= CLOCK_TOLERANCE_MILLIS:
        return ok(Area.CLOCK, "This machine's clock agrees with Microsoft's.")
    status = CheckStatus.FAILED if abs(ahead) > CLOCK_FAILED_MILLIS else CheckStatus.WARNING
    where = f"{jump_words(ahead)} of" if ahead > 0 else f"{jump_words(ahead).removesuffix(' back')} behind"
    return Checked(
        Area.CLOCK,
        status,
        f"This machine's clock is {where} Microsoft's.",
        cause="The clock of this machine is not synchronised. Conversions whose time lies in the future are refused, "
        "and late ones may miss their click.",
        fix="Synchronise the clock (NTP) of this machine, or of the host of its container.",
    )


def connection(endpoints: Sequence[Endpoint], failed_calls: Iterable[FailedCall]) -> Finding:
    """Whether Microsoft's hosts are reached: by a new connection to each, else by the calls that were made."""
    failed = [one for one in endpoints if one.failure is not None]
    if failed and (failure := failed[0].failure) is not None:
        hosts = ", ".join(one.host for one in failed)
        return Checked(Area.CONNECTION, CheckStatus.FAILED, f"{hosts}: {failure.detail}.", trouble=failure.trouble)
    for call in failed_calls:
        return Checked(Area.CONNECTION, CheckStatus.FAILED, f"{_sentence(call.detail)}", trouble=call.trouble)
    if not endpoints:
        return Unchecked(Area.CONNECTION, "the addresses of Microsoft are not known")
    way = " through the proxy" if any(one.proxied for one in endpoints) else ""
    return ok(Area.CONNECTION, f"{', '.join(one.host for one in endpoints)}: reached over TLS{way}.")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
