"""The dashboard in Debian's Chromium. A page that logs an error or breaks its policy fails the test that opened it."""

import asyncio
import contextlib
import json
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, Response, ViewportSize, async_playwright, expect

INSTALL = "Chromium is needed for this check: install it (`apt-get install chromium`)"
needs_chromium = pytest.mark.skipif(shutil.which("chromium") is None, reason=INSTALL)

WIDE = ViewportSize(width=1200, height=800)
NARROW = ViewportSize(width=320, height=700)

AXE = (Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js").read_text("utf-8")

CUT_OFF = """[...document.querySelectorAll("button, .button, h1, h2, h3, p, li, th, td, dt, dd, label")]
    .filter((one) => one.checkVisibility() && one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0
        && getComputedStyle(one).display !== "inline").map((one) => one.outerHTML)"""
"""What is wider than its place."""

PATIENCE_MS = 60_000
"""For a machine that does much else; a page shows what it has within a second."""

expect.set_options(timeout=PATIENCE_MS)


@dataclass
class Dashboard:
    """An open page, and everything that went wrong on it."""

    page: Page
    url: str
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    """Parts of errors that the test provokes."""
    elsewhere: list[str] = field(default_factory=list)
    """Other addresses that a person is sent to, such as Microsoft's."""

    async def show(self, view: str = "") -> None:
        """Open a view by its address: `conversions?state=dead`. The page has heard of it by then."""
        await self.page.goto(f"{self.url}/#/{view}")
        await self.page.evaluate("new Promise((done) => setTimeout(done))")  # after the event of the new address

    async def text(self) -> str:
        """What a person can read in the view."""
        return await self.page.locator("main").inner_text()

    async def accessible(self) -> None:
        """Fail where an accessibility checker finds something, once the page has what it shows."""
        await expect(self.page.locator(".skeleton, [aria-busy=true]")).to_have_count(0)
        await self.page.evaluate(AXE)
        found = await self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        problems = [
            (rule["id"], rule["help"], [node["html"] for node in rule["nodes"]]) for rule in found["violations"]
        ]
        assert not problems, json.dumps(problems, indent=1)

    async def fits(self) -> None:
        """Fail where the page is wider than its window, or a text than what it is in, once it has what it shows."""
        await expect(self.page.locator(".skeleton, [aria-busy=true]")).to_have_count(0)
        await self.fits_window()
        cut_off = await self.page.evaluate(CUT_OFF)
        assert not cut_off, json.dumps(cut_off, indent=1)

    async def fits_window(self) -> None:
        """Fail where the page is wider than its window."""
        wide, window = await self.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide <= window, f"{wide} px in a window of {window}"

    async def picture(self, name: str, *, whole: bool = True) -> None:
        """Store a screenshot in the folder that SIDECAR_SCREENSHOTS names, if it names one."""
        if folder := os.environ.get("SIDECAR_SCREENSHOTS"):
            await self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=whole)

    def check(self) -> None:
        """Fail if the page logged an error, broke its policy, or called another address."""
        unexpected = [error for error in self.errors if not any(part in error for part in self.expected)]
        assert not unexpected, unexpected
        own = (self.url, "data:", "blob:", *self.elsewhere)
        assert all(request.startswith(own) for request in self.requests), self.requests


class _Chromium:
    """The one Chromium of all tests on a loop: a context has cookies, storage and permissions of its own."""

    def __init__(self) -> None:
        self._open = contextlib.AsyncExitStack()
        self._browser: Browser | None = None

    async def running(self) -> Browser:
        """Started for the first test that needs it, and again if it crashed."""
        if self._browser is None or not self._browser.is_connected():
            await self.close()
            program = shutil.which("chromium")
            assert program is not None, INSTALL
            playwright = await self._open.enter_async_context(async_playwright())
            flags = ["--no-sandbox", "--disable-gpu"]
            self._browser = await playwright.chromium.launch(executable_path=program, args=flags)
            self._open.push_async_callback(self._browser.close)
        return self._browser

    async def close(self) -> None:
        await self._open.aclose()
        self._browser = None


_chromiums: "WeakKeyDictionary[asyncio.AbstractEventLoop, _Chromium]" = WeakKeyDictionary()
"""One for each loop: a worker may run other tests with pages while the one of tests/browser is open."""


def _chromium() -> _Chromium:
    return _chromiums.setdefault(asyncio.get_running_loop(), _Chromium())


@contextlib.asynccontextmanager
async def one_chromium() -> AsyncIterator[None]:
    """Ends the browser that the pages meanwhile shared."""
    try:
        yield
    finally:
        await _chromium().close()


@contextlib.asynccontextmanager
async def dashboard(
    url: str,
    *,
    key: str | None = None,
    window: ViewportSize = WIDE,
    dark: bool = False,
    headers: Mapping[str, str] | None = None,
) -> AsyncIterator[Dashboard]:
    """A page of the sidecar at `url`, not opened yet; `key` is what the person enters when asked for it."""
    context = await (await _chromium().running()).new_context(
        viewport=window,
        color_scheme="dark" if dark else "light",
        locale="en-GB",
        timezone_id="Europe/Berlin",
        reduced_motion="reduce",
        extra_http_headers=dict(headers or {}),
        permissions=["clipboard-read", "clipboard-write"],
        ignore_https_errors=True,  # the emulator's certificate is its own
        http_credentials={"username": "any", "password": key} if key is not None else None,
    )
    async with context:
        opened = Dashboard(await context.new_page(), url)
        opened.page.set_default_timeout(PATIENCE_MS)
        _watch(opened)
        yield opened
        opened.check()


def _watch(opened: Dashboard) -> None:
    def logged(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            opened.errors.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")

    def failed(error: Any) -> None:
        opened.errors.append(f"exception: {error}")

    def answered(response: Response) -> None:
        opened.requests.append(response.url)

    opened.page.on("console", logged)
    opened.page.on("pageerror", failed)
    opened.page.on("response", answered)
