"""The HTTP application: built of its parts, served at an address."""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from sidecar.api.accounts import AccountCalls
from sidecar.api.ad_accounts import AdAccountCalls
from sidecar.api.adjustments import AdjustmentCalls
from sidecar.api.alerts import AlertCalls
from sidecar.api.clicks import ClickCalls
from sidecar.api.conversions import ConversionCalls
from sidecar.api.doctor import DoctorCalls
from sidecar.api.erasures import ErasureCalls
from sidecar.api.explain import ExplainCalls
from sidecar.api.goals import GoalCalls
from sidecar.api.health import HealthCalls, Sources
from sidecar.api.http.connection import ConnectionFactory, ConnectionLimits
from sidecar.api.http.guard import Guard
from sidecar.api.http.middleware import ErrorMiddleware
from sidecar.api.logs import LogCalls
from sidecar.api.metrics import MetricsCalls
from sidecar.api.operate import OperatorCalls
from sidecar.api.overview import OverviewCalls, OverviewSources
from sidecar.api.request.admission import ADMISSION
from sidecar.api.request.body import BodyLimits
from sidecar.api.request.reader import RequestReader
from sidecar.api.routes import Calls, Dashboard, access_of, bring_items, mounted
from sidecar.api.row_json import HeldReason, Rows
from sidecar.api.series import SeriesCalls
from sidecar.api.sign_in import SignInCalls
from sidecar.api.status import StatusCalls
from sidecar.api.verdicts import VerdictCalls
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
    """What the application is built of. Callables are called for each request, so that a reload needs no restart."""

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
    """Called with the number of rows of each account that are on disk and due."""
    now: Callable[[], UnixMillis]
    new_id: Callable[[], str]
    """Makes the id of a request that brings none: visible ASCII, no two alike."""
    bodies: BodyLimits = field(default_factory=BodyLimits)
    connections: ConnectionLimits = field(default_factory=ConnectionLimits)
    identity: Callable[[str], str | None] = lambda account: None
    """The account's ids at Microsoft now; None where it left the configuration."""
    traces: TracesOfOrders | None = None
    """Of orders that were not stored."""
    explain: ExplainCalls
    erasures: ErasureCalls
    accounts: AccountCalls
    ad_accounts: AdAccountCalls
    alerts: AlertCalls
    goals: GoalCalls
    sign_in: SignInCalls
    logs: LogCalls
    metrics: MetricsCalls
    overview: OverviewSources
    verdicts: VerdictCalls
    doctor: DoctorCalls
    dashboard: Dashboard


MIDDLEWARE = web.AppKey("middleware", ErrorMiddleware)


def make_app(parts: ApiParts) -> web.Application:
    """The application, ready to be served."""
    reader = RequestReader.of(parts.bodies, parts.health.clock_unsettled)
    calls = _calls(parts, reader)
    middleware = ErrorMiddleware(
        parts.guard,
        parts.telemetry,
        parts.new_id,
        access_of,
        bring_items(calls),
        reader.admission,
        idle_seconds=parts.connections.idle_seconds,
    )
    app = web.Application(middlewares=[middleware.middleware()], client_max_size=parts.bodies.max_bytes)
    app[ADMISSION] = reader.admission
    app.on_response_prepare.append(middleware.marks())
    app[MIDDLEWARE] = middleware
    app.add_routes(mounted(calls))
    return app


def _calls(parts: ApiParts, reader: RequestReader) -> Calls:
    outbox, telemetry, now, stored = parts.outbox, parts.telemetry, parts.now, parts.stored
    health = HealthCalls(outbox, parts.health)
    rows = Rows(parts.goal_of, parts.held, now)
    return Calls(
        conversions=ConversionCalls(outbox, parts.rules, rows, telemetry, now, stored, reader),
        status=StatusCalls(outbox, rows),
        operator=OperatorCalls(outbox, rows, telemetry, now, stored, parts.identity),
        explain=parts.explain,
        clicks=ClickCalls(parts.clicks, parts.capture, telemetry, now, stored, reader),
        adjustments=AdjustmentCalls(outbox, parts.rules, rows, telemetry, now, stored, reader, parts.traces),
        erasures=parts.erasures,
        accounts=parts.accounts,
        ad_accounts=parts.ad_accounts,
        alerts=parts.alerts,
        goals=parts.goals,
        sign_in=parts.sign_in,
        logs=parts.logs,
        metrics=parts.metrics,
        health=health,
        overview=OverviewCalls(parts.overview, health.checks),
        series=SeriesCalls(parts.overview.tallies, outbox, now),
        verdicts=parts.verdicts,
        doctor=parts.doctor,
        dashboard=parts.dashboard,
    )


@contextlib.asynccontextmanager
async def serving(
    app: web.Application, parts: ApiParts, host: str, port: int, *, shutdown_seconds: float = 5.0
) -> AsyncIterator[tuple[str, int]]:
    """Serve at `host` and `port` (0: any free one) for as long as the context is open; gives the address.

    At its end no new connection is accepted. Requests in hand have up to `shutdown_seconds` to be answered.
    OSError when the address is not available.
    """
    runner = web.AppRunner(app, handler_cancellation=False, shutdown_timeout=shutdown_seconds, access_log=None)
    await runner.setup()
    try:
        assert runner.server is not None
        around = app[MIDDLEWARE].around(runner.server.request_handler)
        runner.server.request_handler = around  # type: ignore[assignment] # the application makes a web.Request of each
        factory = ConnectionFactory(
            runner.server, parts.connections, parts.telemetry.intake.call_refused, parts.new_id, app[ADMISSION]
        )
        listener = await listen(factory, host, port)
        try:
            yield listener.sockets[0].getsockname()[:2]
        finally:
            listener.close()
    finally:
        await runner.cleanup()
