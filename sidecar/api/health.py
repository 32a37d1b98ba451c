"""/livez, /readyz and /healthz: whether the event loop turns, the outbox can be written, and everything else works.

The board has the active troubles; a function of plain values sorts them into checks.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from aiohttp import web

from sidecar.api.http.problem import unavailable
from sidecar.api.http.reply import Json, json_reply
from sidecar.api.request.admission import admission_of
from sidecar.core.instant import UnixMillis, text_of_millis
from sidecar.core.match_share import Share
from sidecar.ports.errors import StorageUnavailable
from sidecar.ports.outbox import Outbox
from sidecar.ports.queries import Backlog, Counts
from sidecar.telemetry import ActiveTrouble
from sidecar.troubles import CATALOGUE, HealthCheck, Severity

PROBE_SECONDS = 1.0
"""How long the result of one test write is used: more frequent requests cost no more writes."""

PROBE_PATIENCE_SECONDS = 5.0

_SHOWN_TROUBLES = 3
_SHOWN_SHARES = 5
_GIB = 2**30


class Level(StrEnum):
    """How well something is; `down` means that no conversion can be taken."""

    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"


_SEVERITY = {level: place for place, level in enumerate(Level)}

_WELL = {
    HealthCheck.STORAGE: "The outbox can be written.",
    HealthCheck.TOKEN: "Nothing is wrong with the sign-in.",
    HealthCheck.DELIVERY: "Nothing holds delivery up.",
    HealthCheck.GOALS: "Nothing is wrong with the goals.",
    HealthCheck.CLOCK: "Nothing is wrong with this machine's clock.",
}
"""What a check says while no trouble stands; that of the disk says how much is free."""


@dataclass(frozen=True, slots=True)
class Check:
    """How one part is, in words, and what to do about it."""

    status: Level
    message: str
    fix: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """Everything that the health page is made of. `failure` is why the outbox could not be written just now."""

    version: str
    uptime_seconds: float
    now: UnixMillis
    failure: StorageUnavailable | None
    troubles: Sequence[ActiveTrouble]
    free_bytes: int
    min_free_bytes: int
    counts: Counts
    backlog: Backlog
    stakes: Mapping[str, str] = field(default_factory=dict)
    """By check, one sentence of what waits for the end of its troubles."""
    shares: Mapping[str, Share] = field(default_factory=dict)
    """By goal, what its last conversions could be matched by."""
    signed_in_until: UnixMillis | None = None
    """When the access token expires; it is renewed before."""


def judge(vitals: Vitals) -> Json:
    """The health page; its status is that of the worst check."""
    checks = {check: _check(check, vitals) for check in HealthCheck}
    return {
        "status": max((check.status for check in checks.values()), key=_SEVERITY.__getitem__),
        "version": vitals.version,
        "uptime_seconds": round(vitals.uptime_seconds, 1),
        "checks": {name: asdict(check) for name, check in checks.items()},
        "outbox": _outbox(vitals),
    }


def _check(check: HealthCheck, vitals: Vitals) -> Check:
    if check is HealthCheck.DISK:
        return _disk(vitals.free_bytes, vitals.min_free_bytes)
    if check is HealthCheck.STORAGE and (failure := vitals.failure) is not None:
        trouble = CATALOGUE.get(failure.code)
        return Check(Level.DOWN, f"No conversion can be stored: {failure}.", trouble.solution if trouble else None)
    return _of_troubles(check, vitals)


def _disk(free: int, reserve: int) -> Check:
    """Below the reserve intake refuses; twice that is the time to say so."""
    message = f"{free / _GIB:.1f} GiB are free; storage.min_free_disk is {reserve / _GIB:.2f} GiB."
    if free >= 2 * reserve:
        return Check(Level.OK, message)
    level = Level.DOWN if free < reserve else Level.DEGRADED
    return Check(level, message, CATALOGUE["disk_nearly_full"].solution)


def _of_troubles(name: HealthCheck, vitals: Vitals) -> Check:
    """Degraded while any trouble of that check stands: what is stored already waits, and goes out later."""
    ours = [trouble for trouble in vitals.troubles if trouble.check is name]
    shares = _shares(vitals.shares) if name is HealthCheck.GOALS else ""
    if not ours:
        signed_in = _signed_in(vitals) if name is HealthCheck.TOKEN else None
        return Check(Level.OK, signed_in or f"{_WELL[name]}{shares}")
    at_stake = vitals.stakes.get(name)
    messages = [trouble.headline if at_stake else trouble.message for trouble in ours[:_SHOWN_TROUBLES]]
    if len(ours) > _SHOWN_TROUBLES:
        messages.append(f"and {len(ours) - _SHOWN_TROUBLES} more: see /logs")
    level = Level.OK if all(one.trouble.severity is Severity.ADVICE for one in ours) else Level.DEGRADED
    said = "; ".join(messages)
    return Check(level, f"{f'{at_stake}. {said}' if at_stake else said}{f'.{shares}' if shares else ''}", _fixes(ours))


def _signed_in(vitals: Vitals) -> str | None:
    """Until when the access token is good, where there is one."""
    until = vitals.signed_in_until
    if until is None or until <= vitals.now:
        return None
    return f"Signed in; the token is good until {text_of_millis(until)[11:16]} UTC."


def _shares(shares: Mapping[str, Share]) -> str:
    """A sentence for each goal that conversions came for, those first of which fewest can be matched."""
    seen = sorted(
        ((share, goal) for goal, share in shares.items() if share.received),
        key=lambda one: (one[0].carrying / one[0].received, one[1]),
    )
    said = "".join(f" {goal}: {share.percent}." for share, goal in seen[:_SHOWN_SHARES])
    return f"{said} Of {len(seen) - _SHOWN_SHARES} more goals more can be." if len(seen) > _SHOWN_SHARES else said


def _fixes(active: Sequence[ActiveTrouble]) -> str:
    """What to do about all of them; where they differ, each fix behind the title of its trouble."""
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


# --- I/O -------------------------------------------------------------------------------------------------------------


async def _nothing(_: Sequence[ActiveTrouble]) -> str | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the vitals come from. `free_bytes` is of the outbox's disk."""

    version: str
    now: Callable[[], UnixMillis]
    uptime_seconds: Callable[[], float]
    troubles: Callable[[], Sequence[ActiveTrouble]]
    free_bytes: Callable[[], int]
    min_free_bytes: int
    max_pending: int
    clock_unsettled: Callable[[], str | None] = lambda: None
    """Why no time can be told just now; None when it can."""
    stake: Callable[[Sequence[ActiveTrouble]], Awaitable[str | None]] = _nothing
    """What waits while these troubles stand, in one sentence; None where nothing does."""
    shares: Callable[[], Mapping[str, Share]] = dict
    signed_in_until: Callable[[], UnixMillis | None] = lambda: None


@dataclass(slots=True)
class HealthCalls:
    """Answers the three pages."""

    outbox: Outbox
    sources: Sources
    _probed_at: float = float("-inf")
    _probed: StorageUnavailable | None = None
    _probing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def livez(self, _: web.Request) -> web.Response:
        """The loop turns, or there would be no answer."""
        return json_reply({"status": Level.OK})

    async def readyz(self, _: web.Request) -> web.Response:
        """200 when a conversion can be stored now."""
        failure = await self.failure()
        if failure is not None:
            raise unavailable(failure, "No conversion can be stored at the moment.")
        return json_reply({"status": Level.OK})

    async def healthz(self, request: web.Request) -> web.Response:
        """200 for ok and degraded, 503 for down."""
        vitals = await self._vitals()
        await admission_of(request).lanes.turn(request)
        page = judge(vitals)
        down = page["status"] is Level.DOWN
        return json_reply(page, 503 if down else 200, {"Retry-After": "5"} if down else None)

    async def failure(self) -> StorageUnavailable | None:
        """Why intake would refuse a conversion now; None when it would not."""
        if (reason := self.sources.clock_unsettled()) is not None:
            return StorageUnavailable("clock_jumped", reason)
        if self.sources.free_bytes() < self.sources.min_free_bytes:
            return StorageUnavailable("disk_nearly_full", "less than storage.min_free_disk is left")
        if self.outbox.counts().pending >= self.sources.max_pending:
            return StorageUnavailable("outbox_growing", "storage.max_pending rows are waiting")
        return await self._probe()

    async def _probe(self) -> StorageUnavailable | None:
        clock = asyncio.get_running_loop().time
        async with self._probing:
            if clock() - self._probed_at >= PROBE_SECONDS:
                self._probed = await self._try_to_write()
                self._probed_at = clock()
            return self._probed

    async def _try_to_write(self) -> StorageUnavailable | None:
        try:
            async with asyncio.timeout(PROBE_PATIENCE_SECONDS):
                await self.outbox.probe()
        except StorageUnavailable as error:
            return error
        except TimeoutError:
            return StorageUnavailable("storage_failed", "the disk did not answer in time")
        return None

    async def _vitals(self) -> Vitals:
        sources = self.sources
        troubles = sources.troubles()
        return Vitals(
            version=sources.version,
            uptime_seconds=sources.uptime_seconds(),
            now=sources.now(),
            failure=await self.failure(),
            troubles=troubles,
            free_bytes=sources.free_bytes(),
            min_free_bytes=sources.min_free_bytes,
            counts=self.outbox.counts(),
            backlog=await self.outbox.backlog(),
            shares=sources.shares(),
            signed_in_until=sources.signed_in_until(),
            stakes={
                name: said
                for name in _WELL
                if (ours := [trouble for trouble in troubles if trouble.check is name])
                and (said := await sources.stake(ours)) is not None
            },
        )
