"""The HTTP service: which handler stands at which address, and how it is opened and closed."""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from aiohttp import web

from sidecar.api import openapi, snippet
from sidecar.api.adjustments import AdjustmentCalls
from sidecar.api.clicks import ClickCalls
from sidecar.api.conversions import Collect
from sidecar.api.health import HealthCalls, Sources
from sidecar.api.http.connection import ConnectionFactory, DoorLimits
from sidecar.api.http.guard import Guard
from sidecar.api.http.middleware import ErrorMiddleware
from sidecar.api.operate import Operate
from sidecar.api.request.admission import ADMISSION
from sidecar.api.request.body import BodyLimits
from sidecar.api.request.reader import RequestReader
from sidecar.api.row_json import HeldReason, Rows
from sidecar.api.status import Status
from sidecar.core.instant import UnixMillis
from sidecar.core.intake.click import CaptureRules
from sidecar.core.intake.conversion import Rules
from sidecar.core.record import Record
from sidecar.ports.intake import Clicks
from sidecar.ports.outbox import Outbox
from sidecar.system.listening import listen
from sidecar.telemetry import Telemetry, TracesOfOrders


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiParts:
    """What the service is made of. Callables are asked anew each time, so that a reload needs no restart."""

    outbox: Outbox
    clicks: Clicks
    telemetry: Telemetry
    guard: Guard
    health: Sources
    rules: Callable[[], Rules]
    capture: Callable[[], CaptureRules]
    goal_of: Callable[[str, str], str | None]
    """The goal that an account's event is mapped to now; None when one of them left the configuration."""
    held: Callable[[Record], HeldReason | None]
    """Why a row's account or goal cannot take it now; None when it can."""
    stored: Callable[[Mapping[str, int]], None]
    """Told how many rows of each account are on disk and want to be delivered."""
    now: Callable[[], UnixMillis]
    new_id: Callable[[], str]
    """Makes the id of a request that brings none: visible ASCII, no two alike."""
    bodies: BodyLimits = field(default_factory=BodyLimits)
    door: DoorLimits = field(default_factory=DoorLimits)
    routes: Sequence[web.RouteDef] = ()
    """Addresses that others answer."""
    identity: Callable[[str], str | None] = lambda account: None
    """Which account it is at Microsoft now; None where it left the configuration."""
    traces: TracesOfOrders | None = None
    """Of orders that were not stored."""


def make_app(parts: ApiParts) -> web.Application:
    """The application, ready to be served."""
    taking = RequestReader.of(parts.bodies, parts.health.doubt)
    edge = ErrorMiddleware(
        parts.guard, parts.telemetry, parts.new_id, taking.admission, idle_seconds=parts.door.idle_seconds
    )
    app = web.Application(middlewares=[edge.middleware()], client_max_size=parts.bodies.max_bytes)
    app[ADMISSION] = taking.admission
    app.on_response_prepare.append(edge.marks())
    app.add_routes([_guarded_expect(route) for route in (*_routes(parts, taking), *parts.routes)])
    return app


def _routes(parts: ApiParts, taking: RequestReader) -> list[web.RouteDef]:
    rows = Rows(parts.goal_of, parts.held, parts.now)
    collect = Collect(
        outbox=parts.outbox,
        rules=parts.rules,
        rows=rows,
        telemetry=parts.telemetry,
        now=parts.now,
        stored=parts.stored,
        taking=taking,
    )
    clicks = ClickCalls(
        clicks=parts.clicks,
        rules=parts.capture,
        telemetry=parts.telemetry,
        now=parts.now,
        due=parts.stored,
        taking=taking,
    )
    adjustments = AdjustmentCalls(
        outbox=parts.outbox,
        rules=parts.rules,
        rows=rows,
        telemetry=parts.telemetry,
        now=parts.now,
        stored=parts.stored,
        taking=taking,
        traces=parts.traces,
    )
    operate = Operate(
        outbox=parts.outbox,
        rows=rows,
        telemetry=parts.telemetry,
        now=parts.now,
        stored=parts.stored,
        identity=parts.identity,
    )
    status = Status(parts.outbox, rows)
    health = HealthCalls(parts.outbox, parts.health)
    return [
        web.post("/v1/conversions", collect.conversions),
        web.post("/v1/validate", collect.validate),
        web.post("/v1/clicks", clicks.capture),
        web.get("/v1/clicks", clicks.of_visitor),
        web.get("/v1/conversions", status.many),
        web.get("/v1/conversions/{id}", status.one),
        *adjustments.routes(),
        *operate.routes(),
        web.get("/healthz", health.healthz),
        web.get("/livez", health.livez),
        web.get("/readyz", health.readyz),
        web.get("/openapi.json", openapi.get),
        web.get("/msclkid.js", snippet.get),
    ]


def _guarded_expect(route: web.RouteDef) -> web.RouteDef:
    """The route, but `Expect: 100-continue` is left to `bodies`: a body is asked for only where it may come."""
    return web.RouteDef(route.method, route.path, route.handler, {"expect_handler": _do_nothing, **route.kwargs})


async def _do_nothing(_: web.Request) -> None:
    pass


@contextlib.asynccontextmanager
async def serving(
    app: web.Application, parts: ApiParts, host: str, port: int, *, shutdown_seconds: float = 5.0
) -> AsyncIterator[tuple[str, int]]:
    """Serve at `host` and `port` (0: any free one) for as long as the context is open; gives the address.

    Leaving it takes no new connection, lets requests in hand be answered for up to `shutdown_seconds`, then ends.
    OSError when the address cannot be had.
    """
    runner = web.AppRunner(app, handler_cancellation=False, shutdown_timeout=shutdown_seconds, access_log=None)
    await runner.setup()
    try:
        assert runner.server is not None
        door = ConnectionFactory(
            runner.server, parts.door, parts.telemetry.intake.call_refused, parts.new_id, app[ADMISSION]
        )
        listener = await listen(door, host, port)
        try:
            yield listener.sockets[0].getsockname()[:2]
        finally:
            listener.close()
    finally:
        await runner.cleanup()
