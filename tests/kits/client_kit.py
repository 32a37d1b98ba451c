"""Servers on 127.0.0.1 to test the client against: one that speaks HTTP well, and one that sends given bytes."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from aiohttp import web

from sidecar.core.answer import Lost
from sidecar.core.entry import Entry, Lane
from sidecar.core.instant import UnixMillis, UnixSeconds
from sidecar.microsoft.client import Client, Credentials, open_client
from sidecar.microsoft.tls import context

CREDENTIALS = Credentials("test-access-token", "test-developer-token", "111", "222")
CLICK_ID = "f894f652ea334e739002f7167ab8f8e3"
TIME = UnixSeconds(1_795_443_000)
LANE = Lane(1, "default", "purchase")
ENTRY = Entry(1, LANE, TIME, UnixMillis(0), value="99.990", msclkid=CLICK_ID, goal="Closed deal", sent_time=TIME)

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def microsoft(recorder: "Recorder", tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A web server; gives its address."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", recorder.take)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        yield f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def peer(talk: Talk) -> AsyncIterator[str]:
    """A server that talks as it likes once it has read the head of a request."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await talk(reader, writer)
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@contextmanager
def closed_port() -> Iterator[int]:
    """A port of 127.0.0.1 that refuses connections, and that no other process gets meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@asynccontextmanager
async def client_of(base: str, seconds: float = 60, tls: ssl.SSLContext | None = None) -> AsyncIterator[Client]:
    async with open_client(base, tls or context(None), lambda: seconds) as client:
        yield client


async def lost(base: str, seconds: float = 60, tls: ssl.SSLContext | None = None) -> Lost:
    async with client_of(base, seconds, tls) as client:
        answer = await client.apply(CREDENTIALS, [ENTRY])
    assert isinstance(answer, Lost)
    assert "test-" not in answer.why
    return answer


def replying(*parts: bytes) -> Talk:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
        await writer.drain()

    return talk


class Recorder:
    """A server that takes everything and remembers what it was asked."""

    def __init__(self, response: Callable[[], web.Response]) -> None:
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self._response = response

    async def take(self, request: web.Request) -> web.Response:
        self.requests.append((request.method, request.path, dict(request.headers), await request.read()))
        return self._response()


def clean() -> web.Response:
    return web.json_response({"PartialErrors": []}, headers={"TrackingId": "test-tracking"})
