"""A webhook on 127.0.0.1 that takes messages, refuses them, hangs, redirects, or answers without end."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Json = dict[str, Any]
Script = Callable[[web.Request], Awaitable[web.StreamResponse]]

PATH = "/hooks/test-webhook-token"


@dataclass
class WebhookDouble:
    """Takes every message unless `script` answers in its place; `asked` has all, `taken` those answered with 200."""

    scheme: str = "http"
    port: int = 0
    script: Script | None = None
    asked: list[Json] = field(default_factory=list)
    taken: list[Json] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    """Requests at any other path: where a redirect leads."""

    @property
    def address(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}{PATH}"

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if request.path != PATH:
            self.elsewhere.append(request.path)
            return web.Response(text="taken elsewhere")
        body = await request.json()
        self.asked.append(body)
        if self.script is not None:
            return await self.script(request)
        self.taken.append(body)
        return web.Response(text="ok")

    def states(self, code: str | None = None) -> list[str]:
        """What the webhook took, as `state code`; only of that code, where given."""
        return [f"{body.get('state')} {body.get('code')}" for body in self.taken if code in (None, body.get("code"))]

    async def until(self, condition: Callable[[], object], seconds: float = 60.0) -> None:
        """Wait until the condition holds."""
        until = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < until, f"asked {len(self.asked)} times, taken: {self.states()}"
            await asyncio.sleep(0.02)


def answering(status: int, text: str = "", **headers: str) -> Script:
    """A script that always gives this answer."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(
            status=status, text=text, headers={name.replace("_", "-"): headers[name] for name in headers}
        )

    return answer


async def hanging(_: web.Request) -> web.StreamResponse:
    """A script that never answers."""
    await asyncio.Event().wait()
    raise AssertionError


async def endless(request: web.Request) -> web.StreamResponse:
    """A script whose answer has no end."""
    response = web.StreamResponse()
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        while True:
            await response.write(b"x" * 65_536)
    return response


@contextlib.asynccontextmanager
async def webhook(tls: ssl.SSLContext | None = None) -> AsyncIterator[WebhookDouble]:
    """A webhook at `address`, which speaks TLS with `tls`."""
    it = WebhookDouble("https" if tls else "http")
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", it.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    it.port = runner.addresses[0][1]
    try:
        yield it
    finally:
        await runner.cleanup()
