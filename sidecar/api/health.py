"""/livez, /readyz and /healthz: whether the event loop turns, the outbox can be written, and everything else works."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from aiohttp import web

from sidecar.api.health_page import NO_TROUBLE, Check, Level, Vitals, checks_of, health_page
from sidecar.api.http.problem import unavailable
from sidecar.api.http.reply import json_reply
from sidecar.api.request.admission import admission_of
from sidecar.core.instant import UnixMillis
from sidecar.core.match_share import Share
from sidecar.ports.errors import StorageUnavailable
from sidecar.ports.leases import ReplicaStanding
from sidecar.ports.outbox import Outbox
from sidecar.ports.queries import Backlog
from sidecar.telemetry import ActiveTrouble
from sidecar.troubles import HealthCheck

PROBE_SECONDS = 1.0
"""How long the result of one test write is used: more frequent requests cost no more writes."""

PROBE_PATIENCE_SECONDS = 5.0

UNKNOWN_BACKLOG = Backlog(None, None)
"""While the outbox cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the vitals come from. `free_bytes` is of the outbox's disk, None where it is a server's."""

    version: str
    now: Callable[[], UnixMillis]
    uptime_seconds: Callable[[], float]
    troubles: Callable[[], Sequence[ActiveTrouble]]
    free_bytes: Callable[[], int | None]
    min_free_bytes: int
    max_pending: int
    clock_unsettled: Callable[[], str | None] = lambda: None
    """Why the time is unknown now; None if it is known."""
    stake: Callable[[Sequence[ActiveTrouble]], Awaitable[str | None]]
    """One sentence about what waits for the end of these troubles; None if nothing does."""
    shares: Callable[[], Mapping[str, Share]] = dict
    signed_in_until: Callable[[], UnixMillis | None] = lambda: None
    standing: Callable[[], ReplicaStanding | None] = lambda: None
    """This process among the replicas over one database; None where there can be no others."""


@dataclass(slots=True)
class HealthCalls:
    """Answers /livez, /readyz and /healthz."""

    outbox: Outbox
    sources: Sources
    _probed_at: float = float("-inf")
    _probed: StorageUnavailable | None = None
    _probing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def livez(self, _: web.Request) -> web.Response:
        """Answer 200: without a running event loop there would be no answer."""
        return json_reply({"status": Level.OK})

    async def readyz(self, _: web.Request) -> web.Response:
        """Answer 200 if a conversion can be stored now."""
        failure = await self.failure()
        if failure is not None:
            raise unavailable(failure, "No conversion can be stored at the moment.")
        return json_reply({"status": Level.OK})

    async def healthz(self, request: web.Request) -> web.Response:
        """Answer 200 for ok and degraded, 503 for down."""
        vitals = await self._vitals(await self._stakes())
        await admission_of(request).lanes.turn(request)
        page = health_page(vitals)
        down = page["status"] is Level.DOWN
        return json_reply(page, 503 if down else 200, {"Retry-After": "5"} if down else None)

    async def failure(self) -> StorageUnavailable | None:
        """Return why intake would refuse a conversion now; None if it would store it."""
        if (reason := self.sources.clock_unsettled()) is not None:
            return StorageUnavailable("clock_jumped", reason)
        free = self.sources.free_bytes()
        if free is not None and free < self.sources.min_free_bytes:
            return StorageUnavailable("disk_nearly_full", "less than storage.min_free_disk is left")
        if (await self.outbox.counts()).pending >= self.sources.max_pending:
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
            return StorageUnavailable("storage_failed", "the database did not answer in time")
        return None

    async def checks(self) -> Mapping[HealthCheck, Check]:
        """Return every check, without what is at stake."""
        return checks_of(await self._vitals({}))

    async def _stakes(self) -> dict[str, str]:
        """Return by check one sentence about what waits for the end of its troubles; none while it cannot be read."""
        with contextlib.suppress(StorageUnavailable):
            return await self._stakes_of(self.sources.troubles())
        return {}

    async def _stakes_of(self, troubles: Sequence[ActiveTrouble]) -> dict[str, str]:
        stake = self.sources.stake
        return {
            name: sentence
            for name in NO_TROUBLE
            if (ours := [trouble for trouble in troubles if trouble.check is name])
            and (sentence := await stake(ours)) is not None
        }

    async def _vitals(self, stakes: Mapping[str, str]) -> Vitals:
        sources, failure = self.sources, await self.failure()
        try:
            backlog = await self.outbox.backlog()
        except StorageUnavailable as error:
            failure, backlog = failure or error, UNKNOWN_BACKLOG
        return Vitals(
            version=sources.version,
            uptime_seconds=sources.uptime_seconds(),
            now=sources.now(),
            failure=failure,
            troubles=sources.troubles(),
            free_bytes=sources.free_bytes(),
            min_free_bytes=sources.min_free_bytes,
            counts=await self.outbox.counts(),
            backlog=backlog,
            shares=sources.shares(),
            signed_in_until=sources.signed_in_until(),
            stakes=stakes,
            standing=sources.standing(),
        )
