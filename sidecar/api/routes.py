"""Every route: method, path, handler, who may call it, and whether it brings items. Nothing else declares one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import web
from aiohttp.typedefs import Handler

from sidecar.api import openapi, snippet
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
from sidecar.api.health import HealthCalls
from sidecar.api.http.guard import Access
from sidecar.api.logs import LogCalls
from sidecar.api.metrics import MetricsCalls
from sidecar.api.operate import OperatorCalls
from sidecar.api.overview import OverviewCalls
from sidecar.api.series import SeriesCalls
from sidecar.api.sign_in import SignInCalls
from sidecar.api.status import StatusCalls
from sidecar.api.verdicts import VerdictCalls


class Dashboard(Protocol):
    """The page for people, which is not part of this layer."""

    async def page(self, request: web.Request, /) -> web.StreamResponse:
        """Answer with the page."""

    async def asset(self, request: web.Request, /) -> web.StreamResponse:
        """Answer with the file of the page at `path`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """The handlers, a group for each resource."""

    conversions: ConversionCalls
    status: StatusCalls
    operator: OperatorCalls
    explain: ExplainCalls
    clicks: ClickCalls
    adjustments: AdjustmentCalls
    erasures: ErasureCalls
    accounts: AccountCalls
    ad_accounts: AdAccountCalls
    alerts: AlertCalls
    goals: GoalCalls
    sign_in: SignInCalls
    logs: LogCalls
    metrics: MetricsCalls
    health: HealthCalls
    overview: OverviewCalls
    series: SeriesCalls
    verdicts: VerdictCalls
    doctor: DoctorCalls
    dashboard: Dashboard


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path."""

    method: str
    path: str
    handler: Callable[[Calls], Handler]
    access: Access = Access.KEY
    brings_items: bool = False
    """Whether a refusal of the request may have lost items, which are counted and logged apart from other calls."""
    head: bool = True
    """Whether a GET answers HEAD too."""


ROUTES = (
    Route("GET", "/", lambda calls: calls.dashboard.page, Access.BROWSER),
    Route("GET", "/dashboard/{path:.+}", lambda calls: calls.dashboard.asset),
    Route("POST", "/v1/conversions", lambda calls: calls.conversions.add, brings_items=True),
    Route("POST", "/v1/validate", lambda calls: calls.conversions.validate),
    Route("GET", "/v1/conversions", lambda calls: calls.status.find),
    Route("GET", "/v1/conversions/{id}", lambda calls: calls.status.get),
    Route("GET", "/v1/conversions/{id}/explain", lambda calls: calls.explain.conversion),
    Route("POST", "/v1/conversions/{id}/replay", lambda calls: calls.operator.replay_one),
    Route("POST", "/v1/conversions/{id}/discard", lambda calls: calls.operator.discard),
    Route("POST", "/v1/replay", lambda calls: calls.operator.replay),
    Route("GET", "/v1/orders/{order_id}/explain", lambda calls: calls.explain.order),
    Route("POST", "/v1/clicks", lambda calls: calls.clicks.capture, brings_items=True),
    Route("GET", "/v1/clicks", lambda calls: calls.clicks.find),
    Route("POST", "/v1/adjustments", lambda calls: calls.adjustments.add, brings_items=True),
    Route("GET", "/v1/adjustments", lambda calls: calls.adjustments.find),
    Route("GET", "/v1/adjustments/{id}", lambda calls: calls.adjustments.get),
    Route("POST", "/v1/erasures", lambda calls: calls.erasures.add),
    Route("GET", "/v1/erasures/{id}", lambda calls: calls.erasures.get),
    Route("GET", "/v1/accounts", lambda calls: calls.ad_accounts.get),
    Route("POST", "/v1/accounts/{name}/pause", lambda calls: calls.accounts.pause),
    Route("POST", "/v1/accounts/{name}/resume", lambda calls: calls.accounts.resume),
    Route("POST", "/v1/alerts/test", lambda calls: calls.alerts.test),
    Route("GET", "/v1/goals", lambda calls: calls.goals.get),
    Route("POST", "/v1/goals/plan", lambda calls: calls.goals.plan),
    Route("POST", "/v1/goals/apply", lambda calls: calls.goals.apply),
    Route("GET", "/v1/overview", lambda calls: calls.overview.get),
    Route("GET", "/v1/series", lambda calls: calls.series.get),
    Route("GET", "/v1/verdicts", lambda calls: calls.verdicts.find),
    Route("GET", "/v1/doctor", lambda calls: calls.doctor.get),
    Route("GET", "/connect", lambda calls: calls.sign_in.redirect, Access.BROWSER, head=False),
    Route("POST", "/connect", lambda calls: calls.sign_in.begin, Access.BROWSER),
    Route("GET", "/oauth/callback", lambda calls: calls.sign_in.callback, Access.STATE, head=False),
    Route("POST", "/oauth/callback", lambda calls: calls.sign_in.finish, Access.STATE),
    Route("GET", "/v1/connection", lambda calls: calls.sign_in.connection),
    Route("DELETE", "/v1/connection", lambda calls: calls.sign_in.sign_out),
    Route("GET", "/logs", lambda calls: calls.logs.get),
    Route("GET", "/metrics", lambda calls: calls.metrics.get),
    Route("GET", "/healthz", lambda calls: calls.health.healthz),
    Route("GET", "/livez", lambda calls: calls.health.livez, Access.PROBE),
    Route("GET", "/readyz", lambda calls: calls.health.readyz, Access.PROBE),
    Route("GET", "/openapi.json", lambda calls: openapi.get),
    Route("GET", "/msclkid.js", lambda calls: snippet.get, Access.ANY_PAGE),
)

_ACCESS = {route.path: route.access for route in ROUTES}


def access_of(path: str) -> Access:
    """Who may call the path; the strictest rule where there is nothing at it."""
    return _ACCESS.get(path, Access.KEY)


def mounted(calls: Calls) -> list[web.RouteDef]:
    """The table as aiohttp takes it."""
    mounted = []
    for route in ROUTES:
        options: dict[str, Any] = {"allow_head": route.head} if route.method == "GET" else {}
        options["expect_handler"] = _leave_to_reader
        mounted.append(web.RouteDef(route.method, route.path, route.handler(calls), options))
    return mounted


def bring_items(calls: Calls) -> dict[tuple[str, str], Handler]:
    """The calls that bring items, by method and path; their paths are fixed."""
    return {(route.method, route.path): route.handler(calls) for route in ROUTES if route.brings_items}


async def _leave_to_reader(_: web.Request) -> None:
    """`Expect: 100-continue` is left to the reader of bodies: a body is asked for only where it may come."""
