"""The API as its callers meet it: served on a free port of 127.0.0.1, on a real outbox in a temporary folder."""

import asyncio
import contextlib
import itertools
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from place_kit import OutboxPlace
from store_kit import running_store

from sidecar.api.application import ApiParts, make_app, serving
from sidecar.api.erasures import ErasureCalls
from sidecar.api.explain import ExplainCalls, Receipts
from sidecar.api.health import Sources
from sidecar.api.http.connection import ConnectionLimits
from sidecar.api.http.guard import Guard
from sidecar.api.logs import LogCalls
from sidecar.api.metrics import MetricsCalls
from sidecar.api.overview import OverviewSources
from sidecar.api.request.body import BodyLimits
from sidecar.api.row_json import HeldReason, Rows
from sidecar.api.verdict_members import DayVerdicts
from sidecar.api.verdicts import VerdictCalls
from sidecar.core.instant import UnixMillis
from sidecar.core.intake.click import CaptureRules
from sidecar.core.intake.conversion import EventRule, Rules
from sidecar.core.record import Record
from sidecar.core.states_and_reasons import Reason
from sidecar.dashboard.pages import DashboardPages
from sidecar.ports.outbox import Outbox
from sidecar.store.store import Store
from sidecar.telemetry import ActiveTrouble, Telemetry, TracesOfOrders

NOW = UnixMillis(1_795_444_245_000)  # 2026-11-23T14:30:45Z
MSCLKID = "f894f652ea334e739002f7167ab8f8e3"


class _NotServed:
    """Stands for a group of calls that needs more than an outbox: each of them answers 404."""

    def __getattr__(self, name: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def not_found(request: web.Request) -> web.StreamResponse:
            raise web.HTTPNotFound

        return not_found


NOT_SERVED: Any = _NotServed()

RULES = Rules(
    events={
        "purchase": EventRule(goal="Sidecar Purchase", currency="USD"),
        "lead": EventRule(goal="Sidecar Lead"),
        "trial": EventRule(goal="Sidecar Trial", value=Decimal(5), currency="EUR"),
    },
    accounts=("default",),
)


@dataclass
class World:
    """What surrounds the API, to be moved by a test."""

    now: UnixMillis = NOW
    rules: Rules = RULES
    held: Callable[[Record], HeldReason | None] = lambda record: None
    held_goals: dict[tuple[str, str | None], Reason] = field(default_factory=dict)
    """Why the rows of an account and goal wait."""
    free_bytes: int = 10**12
    clock_unsettled: str | None = None
    """Why no time can be told."""
    clock_checks: int = 0
    """How often that was asked for."""
    at_stake: Callable[[Sequence[ActiveTrouble]], str | None] = lambda troubles: None
    """What waits while these stand."""
    woken: list[dict[str, int]] = field(default_factory=list)
    """Each time delivery was told: how many rows of which account."""
    erasures: int = 0
    """How often the eraser was told that there is a new erasure."""
    commits: list[int] = field(default_factory=list)
    next_readings: dict[str, UnixMillis] = field(default_factory=dict)
    """When the reports of an account are read next."""
    expected_failures: list[str] = field(default_factory=list)
    """What handlers may stumble over; anything else fails the test."""

    def next_reading(self, account: str) -> UnixMillis | None:
        return self.next_readings.get(account)

    def wake(self, rows: Mapping[str, int]) -> None:
        self.woken.append(dict(rows))

    def erase(self) -> None:
        self.erasures += 1

    def why_no_time(self) -> str | None:
        self.clock_checks += 1
        return self.clock_unsettled

    async def stake(self, troubles: Sequence[ActiveTrouble]) -> str | None:
        return self.at_stake(troubles)

    def goal_of(self, account: str, event: str) -> str | None:
        rule = self.rules.events.get(event)
        return rule.goal if rule and account in self.rules.accounts else None


@dataclass(frozen=True)
class Answer:
    """An answer, read to its end."""

    status: int
    headers: Any
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def codes(self) -> list[str]:
        return [error["code"] for error in self.json["errors"]]


@dataclass(frozen=True, repr=False)  # a signal handler shows what an async fixture gave
class Api:
    """A served API and a client for it."""

    world: World
    place: OutboxPlace
    store: Store
    telemetry: Telemetry
    host: str
    port: int
    client: aiohttp.ClientSession

    async def call(self, method: str, path: str, **options: Any) -> Answer:
        url = f"http://{self.host}:{self.port}{path}"
        async with self.client.request(method, url, allow_redirects=False, **options) as response:
            return Answer(response.status, response.headers, await response.text())

    async def get(self, path: str, **options: Any) -> Answer:
        return await self.call("GET", path, **options)

    async def post(self, given: Any, path: str = "/v1/conversions", **options: Any) -> Answer:
        """POST `given`: bytes as they are, anything else as JSON."""
        body = given if isinstance(given, bytes) else json.dumps(given).encode()
        headers = {"Content-Type": "application/json", **options.pop("headers", {})}
        return await self.call("POST", path, data=body, headers=headers, **options)

    async def raw(self, sent: bytes, *, half_close: bool = False) -> bytes:
        """What comes back for these very bytes, until the server ends the connection."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        with contextlib.closing(writer):
            writer.write(sent)
            if half_close:
                writer.write_eof()
            return await asyncio.wait_for(read_all(reader), 60)

    @property
    def outbox(self) -> Outbox:
        return self.store.outbox

    async def pending(self) -> int:
        return (await self.outbox.counts()).pending


async def read_all(reader: asyncio.StreamReader) -> bytes:
    """What comes until the end, also where the end is a reset: who still sends is cut off after the answer."""
    came = b""
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(65_536):
            came += chunk
    return came


OpenApi = Callable[..., Awaitable[Api]]


@pytest.fixture
def conversion() -> dict[str, Any]:
    """A conversion that nothing is wrong with."""
    return {"event": "purchase", "order_id": "ORDER-1", "value": 99.99, "msclkid": MSCLKID}


@pytest.fixture
async def open_api(outbox_place: OutboxPlace) -> AsyncIterator[OpenApi]:
    """Opens an API; arguments are fields of Parts, `keys`, `hosts` and `max_pending`."""
    async with contextlib.AsyncExitStack() as stack:

        async def opened(**options: Any) -> Api:
            return await stack.enter_async_context(_api(outbox_place, **options))

        yield opened


@pytest.fixture
async def api(open_api: OpenApi) -> Api:
    """An API as it is by default: on loopback, without keys."""
    return await open_api()


@contextlib.asynccontextmanager
async def _api(
    place: OutboxPlace,
    *,
    keys: tuple[str, ...] = (),
    hosts: tuple[str, ...] = ("127.0.0.1", "localhost"),
    max_pending: int = 1_000_000,
    min_free_bytes: int = 0,
    bodies: BodyLimits | None = None,
    connections: ConnectionLimits | None = None,
    routes: Sequence[web.RouteDef] = (),
    **more: Any,
) -> AsyncIterator[Api]:
    world = World()
    ids = (f"request-{number}" for number in itertools.count(1))
    async with contextlib.AsyncExitStack() as stack:
        null = os.open(os.devnull, os.O_WRONLY)
        stack.callback(os.close, null)
        telemetry = Telemetry(lambda: world.now, fd=null)
        stack.callback(telemetry.close)
        store = await stack.enter_async_context(
            running_store(
                place.url,
                lambda: world.now,
                max_pending=max_pending,
                on_group=lambda rows, seconds: world.commits.append(rows),
            )
        )
        outbox = store.outbox
        await outbox.open_lanes([("default", event) for event in RULES.events])
        more.setdefault("capture", lambda: CaptureRules(world.rules.accounts, world.rules.consent))
        rows = Rows(world.goal_of, lambda record: world.held(record), lambda: world.now)
        traces = TracesOfOrders(telemetry.intake.traces, store.unstored)
        receipts = Receipts(
            store.traces, rows, lambda: world.now, verdicts=DayVerdicts(store.verdicts, world.next_reading)
        )
        explain = ExplainCalls(outbox, receipts, traces)
        erasing = ErasureCalls(store.erasures, lambda: world.now, world.erase, lambda: world.rules.default_country)
        parts = ApiParts(
            outbox=outbox,
            clicks=store.clicks,
            telemetry=telemetry,
            guard=Guard.of(hosts, keys),
            health=Sources(
                version="0.0.0",
                now=lambda: world.now,
                uptime_seconds=lambda: 12.34,
                troubles=telemetry.board.active,
                free_bytes=lambda: world.free_bytes,
                min_free_bytes=min_free_bytes,
                max_pending=max_pending,
                clock_unsettled=world.why_no_time,
                stake=world.stake,
            ),
            rules=lambda: world.rules,
            goal_of=world.goal_of,
            held=lambda record: world.held(record),
            stored=world.wake,
            now=lambda: world.now,
            new_id=lambda: next(ids),
            bodies=bodies or BodyLimits(),
            connections=connections or ConnectionLimits(),
            traces=traces,
            explain=explain,
            erasures=erasing,
            logs=LogCalls(store.journal, telemetry.followers),
            metrics=MetricsCalls(outbox, telemetry),
            overview=OverviewSources(
                version="0.0.0",
                tallies=store.tallies,
                now=lambda: world.now,
                troubles=telemetry.board.active,
                accounts=lambda: world.rules.accounts,
                events=lambda account: {name: rule.goal for name, rule in world.rules.events.items()},
                goal_of=world.goal_of,
                held=lambda account, goal: world.held_goals.get((account, goal)),
                shares=lambda: telemetry.intake.matches.shares,
                verdicts=store.verdicts,
            ),
            verdicts=VerdictCalls(store.verdicts, world.next_reading),
            dashboard=DashboardPages.of_package(),
            **{
                **dict.fromkeys(("accounts", "ad_accounts", "alerts", "doctor", "goals", "sign_in"), NOT_SERVED),
                **more,
            },
        )
        app = make_app(parts)
        app.add_routes(routes)
        host, port = await stack.enter_async_context(serving(app, parts, "127.0.0.1", 0))
        client = await stack.enter_async_context(aiohttp.ClientSession(auto_decompress=False))
        yield Api(world, place, store, telemetry, host, port, client)
        failures = telemetry.board.active("loop_failed")
        assert [failure.message for failure in failures] == world.expected_failures
