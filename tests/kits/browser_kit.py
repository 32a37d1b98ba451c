"""A real browser, and the servers that a page needs."""

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

PAGE = (Path(__file__).parent / "browser_attack.html").read_text("utf-8")
INSTALL = "Chromium is needed for this check: install it (`apt-get install chromium`)"
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-features=Translate,LocalNetworkAccessChecks"
)
REPORT_SECONDS = 90.0

needs_chromium = pytest.mark.skipif(shutil.which("chromium") is None, reason=INSTALL)


class Attacker:
    """A web site with one page, which reports back what it could read elsewhere."""

    def __init__(self) -> None:
        self.reported: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.url = ""

    async def page(self, request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html", headers={"Connection": "close"})

    async def report(self, request: web.Request) -> web.Response:
        if not self.reported.done():
            self.reported.set_result(json.loads(await request.text()))
        return web.Response()

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/", self.page)
        app.router.add_post("/report", self.report)
        return app


@contextlib.asynccontextmanager
async def serving(app: web.Application, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[int]:
    """The app on a port of its own; the port."""
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def visit(folder: Path, url: str, until: Awaitable[dict[str, Any]], *names: str) -> dict[str, Any]:
    """What the page at `url` reports; `names` are rules such as `evil.test 127.0.0.1`."""
    program = shutil.which("chromium")
    assert program is not None, INSTALL
    rules = ", ".join(f"MAP {name}" for name in names)
    browser = await asyncio.create_subprocess_exec(
        *(program, *FLAGS.split(), f"--user-data-dir={folder / 'browser'}", f"--host-resolver-rules={rules}"),
        *("--remote-debugging-port=0", url),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(REPORT_SECONDS):
            return await until
    finally:
        with contextlib.suppress(ProcessLookupError):
            browser.terminate()
        await browser.wait()


@contextlib.asynccontextmanager
async def rebinding(first: int, then: int, port: int, moved: Callable[[], bool]) -> AsyncIterator[None]:
    """127.0.0.2:`port` leads to 127.0.0.1:`first`, and once `moved` to 127.0.0.1:`then`: a name that is rebound."""

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        begun = await reader.read(65_536)  # a browser opens some connections before it needs them
        there = await asyncio.open_connection("127.0.0.1", then if moved() else first)
        there[1].write(begun)
        await asyncio.gather(_pump(reader, there[1]), _pump(there[0], writer))

    server = await asyncio.start_server(forward, "127.0.0.2", port)
    try:
        yield
    finally:
        server.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(ConnectionError):
        writer.close()
