"""A scripted sign-in service over HTTPS, for answers that no well-behaved one gives; and a clock that tests turn."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

from sidecar.core.instant import UnixMillis
from sidecar.emulator.tls import make_certificate, server_context
from sidecar.microsoft.oauth import Application, Grant, OAuthClient
from sidecar.microsoft.tokens import Connection, TokenSource
from sidecar.ports.errors import StorageUnavailable

START = UnixMillis(1_795_000_000_000)
SCOPE = "https://ads.microsoft.com/msads.manage"
CERTIFICATE = make_certificate(["localhost", "127.0.0.1"])

Form = dict[str, str]
Script = Callable[[Form], Awaitable[web.StreamResponse]]


def trusting() -> ssl.SSLContext:
    """A client's TLS context that trusts the double."""
    return ssl.create_default_context(cadata=CERTIFICATE.ca_pem)


@dataclass
class Double:
    """Answers as told. Without a script it rotates refresh tokens: `test-refresh-1` gives `test-access-2` and so on."""

    port: int = 0
    secret: str = ""
    life_seconds: int = 3600
    rotation: int = 1
    forms: list[Form] = field(default_factory=list)
    discoveries: int = 0
    script: Script | None = None
    discovery: web.Response | None = None
    asked: web.Request | None = None
    """The request that a script is at, for one that streams."""

    @property
    def authority(self) -> str:
        return f"https://localhost:{self.port}/common"

    def sign_in(
        self, *, secret: str = "", tls: ssl.SSLContext | None = None, call_seconds: float = 60.0
    ) -> OAuthClient:
        """The code under test, pointed here."""
        callback = "http://localhost:8077/oauth/callback"
        application = Application(self.authority, "test-client", callback, SCOPE, secret)
        return OAuthClient(application, tls or trusting(), call_seconds)

    async def discover(self, _: web.Request) -> web.Response:
        self.discoveries += 1
        base = f"{self.authority}/oauth2/v2.0"
        document = {"issuer": base, "authorization_endpoint": f"{base}/authorize", "token_endpoint": f"{base}/token"}
        return self.discovery or web.json_response(document)

    async def token(self, request: web.Request) -> web.StreamResponse:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.forms.append(form)
        if self.script is not None:
            self.asked = request
            return await self.script(form)
        if form.get("client_secret", "") != self.secret:
            return refusal("invalid_client", 7000215, 401)
        self.rotation += 1
        return web.json_response(self.tokens())

    def tokens(self) -> dict[str, object]:
        return {
            "token_type": "Bearer",
            "scope": SCOPE,
            "expires_in": self.life_seconds,
            "access_token": f"test-access-{self.rotation}",
            "refresh_token": f"test-refresh-{self.rotation}",
        }


def refusal(error: str, number: int, status: int = 400) -> web.Response:
    """An error as Microsoft's token endpoint words it."""
    words = f"AADSTS{number}: of user test-canary@example.com. Trace ID: 1"
    return web.json_response({"error": error, "error_description": words, "error_codes": [number]}, status=status)


def always(response: Callable[[], web.Response]) -> Script:
    """A script that answers the same each time."""

    async def script(_: Form) -> web.StreamResponse:
        return response()

    return script


@dataclass
class Hanging:
    """A script that never answers; `arrived` says that a request is at it."""

    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, _: Form) -> web.StreamResponse:
        self.arrived.set()
        await asyncio.Event().wait()
        raise AssertionError


@contextlib.asynccontextmanager
async def double() -> AsyncIterator[Double]:
    """A double that listens on a free port of 127.0.0.1."""
    it = Double()
    app = web.Application()
    app.router.add_get("/common/v2.0/.well-known/openid-configuration", it.discover)
    app.router.add_post("/common/oauth2/v2.0/token", it.token)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_context(CERTIFICATE))
        await site.start()
        it.port = runner.addresses[0][1]
        yield it
    finally:
        await runner.cleanup()


class Clock:
    """The event loop's time and the wall clock, moved together."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._real = self._loop.time
        self.ahead = 0.0
        self._loop.time = lambda: self._real() + self.ahead  # type: ignore[method-assign]

    def advance(self, seconds: float) -> None:
        self.ahead += seconds

    def now(self) -> UnixMillis:
        return UnixMillis(START + int(self.ahead * 1000))


class Store:
    """The refresh token in memory; `save` can be made to fail, or to hang once it has written."""

    def __init__(self, token: str | None = "test-refresh-1") -> None:
        self.token = token
        self.saves: list[str] = []
        self.fails = False
        self.hangs = False
        self.hanging = asyncio.Event()

    async def load(self) -> str | None:
        return self.token

    async def save(self, refresh_token: str) -> None:
        if self.fails:
            raise StorageUnavailable("storage_failed", "the disk does not answer")
        self.token = refresh_token
        self.saves.append(refresh_token)
        if self.hangs:
            self.hanging.set()
            await asyncio.Event().wait()

    async def forget(self) -> None:
        if self.fails:
            raise StorageUnavailable("storage_failed", "the disk does not answer")
        self.token = None


class Memory:
    """Secrets in a dictionary that outlives the process, as the database does."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    async def get(self, name: str) -> str | None:
        return self.values.get(name)

    async def put(self, name: str, value: str) -> None:
        self.values[name] = value


class Watch:
    """Every connection that was told of, and waiting for one."""

    def __init__(self) -> None:
        self.seen: list[Connection] = []
        self._bell = asyncio.Event()

    def __call__(self, connection: Connection) -> None:
        self.seen.append(connection)
        self._bell.set()

    async def until(self, wanted: Callable[[Connection], bool]) -> Connection:
        """The newest connection, once it is as wanted."""
        async with asyncio.timeout(60):
            while not self.seen or not wanted(self.seen[-1]):
                self._bell.clear()
                await self._bell.wait()
        return self.seen[-1]


@contextlib.asynccontextmanager
async def running(source: TokenSource) -> AsyncIterator[TokenSource]:
    """The source at work, as in the app's TaskGroup."""
    task = asyncio.create_task(source.run())
    try:
        yield source
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def source_of(sign_in: OAuthClient, store: Store, clock: Clock, watch: Watch | None = None) -> TokenSource:
    return TokenSource(sign_in, store, now=clock.now, chance=lambda: 0.5, on_change=watch or Watch())


def new_grant(n: str = "signed-in") -> Grant:
    return Grant(f"test-access-{n}", f"test-refresh-{n}", 3600.0)
