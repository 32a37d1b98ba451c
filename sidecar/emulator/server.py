"""The emulator: one HTTPS port for the sign-in and both APIs, open as long as its context."""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Any, Self

from aiohttp import web

from sidecar.emulator.ad_accounts import StoredAccount, add_accounts, put_accounts
from sidecar.emulator.admission import SlidingMinute
from sidecar.emulator.call import Operation
from sidecar.emulator.control import Control
from sidecar.emulator.customer import Customer
from sidecar.emulator.fault_script import Script
from sidecar.emulator.goal_calls import GoalCalls
from sidecar.emulator.goals import put_mapped_goals
from sidecar.emulator.ledger import page, summary
from sidecar.emulator.oauth import OAuth
from sidecar.emulator.options import Clock, EmulatorOptions, MappedGoal
from sidecar.emulator.properties import Properties
from sidecar.emulator.reports import Reports
from sidecar.emulator.request_handler import RequestHandler
from sidecar.emulator.state import State, open_state, unusable
from sidecar.emulator.tls import certificate, server_context
from sidecar.emulator.uploads import Uploads
from sidecar.system.listening import dual_stack, reached_at, takes_both

_CAMPAIGN = "/CampaignManagement/v13"
_CUSTOMER = "/CustomerManagement/v13"
_MAX_BODY = 16 * 1024 * 1024


@dataclass(slots=True)
class Emulator:
    """`async with Emulator(options, clock) as emulator:` serves until the block ends.

    `clock` gives Unix milliseconds. OSError when the port is taken.
    """

    options: EmulatorOptions
    clock: Clock
    script: Script = field(default_factory=Script)
    """The scripted faults; tests in the same process may add to it."""
    ca_pem: str = ""
    """The certificate authority that clients must trust."""
    port: int = 0
    _resources: AsyncExitStack = field(default_factory=AsyncExitStack)
    _opened: State | None = None

    @property
    def url(self) -> str:
        """`https://127.0.0.1:PORT`: also the base URL of Campaign and Customer Management."""
        return f"https://{reached_at(self.options.host)}:{self.port}"

    @property
    def authority(self) -> str:
        """The authority for MSAL."""
        return f"{self.url}/common"

    campaign = customer = url
    """The base addresses of `/CampaignManagement/v13` and `/CustomerManagement/v13`."""

    async def ledger(
        self, table: str, *, account: str | None = None, after: int = 0, limit: int = 1_000
    ) -> dict[str, Any]:
        """A page of `conversions`, `adjustments` or `requests`: `items`, oldest first, and `next_after` or None."""
        return await self._state().transact(lambda db: page(db, table, account, after, limit))

    async def add_goals(self, goals: Sequence[MappedGoal]) -> None:
        """Adds goals that are old enough for conversions; existing ones are unchanged."""
        await self._state().transact(lambda db: put_mapped_goals(db, goals, self.clock()))

    async def add_accounts(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Lets the user reach further accounts, each a customer id and an account id; existing ones are unchanged."""
        accounts = [StoredAccount(account_id, customer_id) for customer_id, account_id in pairs]
        await self._state().transact(lambda db: add_accounts(db, accounts))

    async def summary(self) -> dict[str, Any]:
        """How many requests, conversions and adjustments arrived, and how they were answered."""
        return await self._state().transact(summary)

    async def __aenter__(self) -> Self:
        try:
            async with AsyncExitStack() as stack:
                state = await stack.enter_async_context(open_state(self.options.state_file))
                await self._start(stack, state)
                self._opened = state
                self._resources = stack.pop_all()
        except sqlite3.Error as error:
            raise unusable(self.options.state_file, error) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        self._opened = None
        await self._resources.aclose()

    async def _start(self, stack: AsyncExitStack, state: State) -> None:
        await state.transact(lambda db: put_mapped_goals(db, self.options.goals, self.clock()))
        await state.transact(lambda db: put_accounts(db, self.options))
        made = await state.transact(lambda db: certificate(db, self.options.host_names))
        self.ca_pem = made.ca_pem
        runner = web.AppRunner(self._application(state), access_log=None, shutdown_timeout=2)
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        await _site(runner, self.options.host, self.options.port, server_context(made)).start()
        self.port = runner.addresses[0][1]

    def _state(self) -> State:
        assert self._opened is not None, "the emulator is not running"
        return self._opened

    def _application(self, state: State) -> web.Application:
        requests = RequestHandler(state, self.script, self.clock)
        app = web.Application(client_max_size=_MAX_BODY, middlewares=[requests.refuse_after_stop()])
        pace = SlidingMinute(self.options.requests_per_minute)
        app.add_routes([*_sign_in(requests, self.options), *_apis(requests, self.options, pace)])
        if self.options.control:
            app.add_routes(Control(self.options, state, self.script, pace, self.clock, requests.operations).routes())

        async def stop(_: web.Application) -> None:
            requests.stopping.set()

        app.on_shutdown.append(stop)
        return app


def _site(runner: web.AppRunner, host: str, port: int, tls: SSLContext) -> web.BaseSite:
    """The socket to listen on; `::` accepts IPv4 too."""
    if takes_both(host):
        return web.SockSite(runner, dual_stack(port), ssl_context=tls)
    return web.TCPSite(runner, host, port, ssl_context=tls)


def _sign_in(requests: RequestHandler, options: EmulatorOptions) -> list[web.RouteDef]:
    oauth = OAuth(options)
    return [
        web.get("/{tenant}/v2.0/.well-known/openid-configuration", requests.handler("discovery", oauth.discover)),
        web.get("/{tenant}/discovery/v2.0/keys", requests.handler("keys", oauth.keys)),
        web.get("/{tenant}/oauth2/v2.0/authorize", requests.handler("authorize", oauth.authorize)),
        web.post("/{tenant}/oauth2/v2.0/token", requests.handler("token", oauth.token)),
    ]


def _apis(requests: RequestHandler, options: EmulatorOptions, pace: SlidingMinute) -> list[web.RouteDef]:
    """Each operation under its path, which is also its name in ledger and fault rules."""
    uploads, goals = Uploads(options, pace), GoalCalls(options, pace)
    properties, customer = Properties(options, pace), Customer(options)

    def post(prefix: str, path: str, work: Operation) -> web.RouteDef:
        return web.post(f"{prefix}/{path}", requests.handler(path, work))

    return [
        post(_CAMPAIGN, "OfflineConversions/Apply", uploads.apply_conversions),
        post(_CAMPAIGN, "OfflineConversionAdjustments/Apply", uploads.apply_adjustments),
        post(_CAMPAIGN, "ConversionGoals", goals.add),
        web.put(f"{_CAMPAIGN}/ConversionGoals", requests.handler("ConversionGoals/Update", goals.update)),
        post(_CAMPAIGN, "ConversionGoals/QueryByIds", goals.query),
        post(_CAMPAIGN, "AccountProperties/Query", properties.query),
        post(_CAMPAIGN, "AccountProperties/Set", properties.put),
        post(_CAMPAIGN, "OfflineConversionReport/QueryByGoalIds", Reports(options, pace).by_goal_ids),
        post(_CUSTOMER, "User/Query", customer.query_user),
        post(_CUSTOMER, "Accounts/Search", customer.search_accounts),
    ]
