"""The first view of a real sidecar: first conversions by the page's own lines, troubles as the emulator plays them."""

import asyncio
import shutil
import sys
from pathlib import Path

from cli_kit import free_port
from page_kit import Dashboard, dashboard, needs_chromium
from playwright.async_api import expect
from process_kit.emulator import Microsoft, microsoft
from process_kit.running import Starter
from process_kit.service import GOALS, Services, Sidecar, config

pytestmark = needs_chromium
KEY = "test-key-0123456789"
SLOW = 60_000

PURCHASE = {"event": "purchase", "value": 50, "user": {"email": "customer@example.com"}}


async def _run(*command: str, folder: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()


async def _line(shown: Dashboard, language: str) -> str:
    """A line to paste, from the page."""
    await shown.page.get_by_text(language, exact=True).click()
    return await shown.page.get_by_role("region", name=f"{language} example").inner_text()


async def test_line_of_the_page_sends_the_first_conversion_and_the_page_shows_it(
    services: Services, starter: Starter
) -> None:
    """With keys, as a person meets it off loopback. Each language that is installed runs what the page shows."""
    sidecar = await services.start(config(None, server={"api_keys": [KEY]}))
    sidecar.key = KEY
    async with dashboard(sidecar.url, key=KEY) as shown:
        await shown.show()
        await expect(shown.page.get_by_role("heading", name="Send a first conversion")).to_be_visible()
        assert "Bearer YOUR-KEY" in await shown.page.get_by_role("region", name="curl example").inner_text()
        lines = {language: await _line(shown, language) for language in ("Node", "PHP", "Python")}
        lines = {name: line.replace("YOUR-KEY", KEY).replace("TEST-1", f"TEST-{name}") for name, line in lines.items()}
        await _run(sys.executable, "-c", lines["Python"], folder=starter.folder)
        lit = shown.page.get_by_role("heading", name="It works: conv_1, delivered")
        await expect(lit).to_be_visible(timeout=SLOW)
        await expect(shown.page.locator("main h1")).to_contain_text("All is well.")
        await expect(
            shown.page.get_by_role("region", name="The last 24 hours").get_by_role("listitem").first
        ).to_contain_text("1")
        await shown.accessible()
        if node := shutil.which("node"):
            (starter.folder / "first.mjs").write_text(lines["Node"])
            await _run(node, "first.mjs", folder=starter.folder)
        if php := shutil.which("php"):
            (starter.folder / "first.php").write_text(f"<?php\n{lines['PHP']}\n")
            await _run(php, "first.php", folder=starter.folder)
        installed = [name for name in ("node", "php") if shutil.which(name)]
        assert len(await sidecar.rows()) == 1 + len(installed)


async def _sees(shown: Dashboard, words: str) -> None:
    """Wait until the first sentence has these words."""
    await expect(shown.page.locator("main h1")).to_contain_text(words, timeout=SLOW)


async def test_troubles_are_shown_with_their_remedies_and_go_when_they_are_over(
    services: Services, starter: Starter
) -> None:
    """A goal is missing, Microsoft asks for a slower pace, an operator pauses, the sign-in dies: in turn."""
    async with microsoft(starter, GOALS[0]) as there:
        port = free_port()
        at_home = {"redirect_uri": f"http://127.0.0.1:{port}/oauth/callback"}
        sidecar = await services.start(config(there, server={"port": port}, microsoft=at_home))
        async with dashboard(sidecar.url) as shown:
            shown.elsewhere = [there.url]
            await shown.show()
            await sidecar.post({**PURCHASE, "event": "subscription", "currency": "EUR"})
            await _sees(shown, f"1 conversion worth 50 EUR waits: Microsoft has no goal called {GOALS[1]}.")
            main = shown.page.get_by_role("main")
            await expect(main.get_by_role("link", name="Review and create the goal…").first).to_be_visible()
            await expect(shown.page.get_by_role("row", name=GOALS[1])).to_contain_text("needs attention")
            await _is_throttled(shown, there, sidecar)
            await _is_paused(shown, sidecar)
            await _signs_in_again(shown, there, sidecar)
            await shown.accessible()


async def _is_throttled(shown: Dashboard, there: Microsoft, sidecar: Sidecar) -> None:
    await there.fault("fault", times=None, code=117, retry_after=8)
    await sidecar.post(PURCHASE)
    more = shown.page.get_by_role("region", name="1 more problem")
    await expect(more.get_by_text("Passes by itself")).to_be_visible(timeout=SLOW)
    await there.call("DELETE", "faults")
    await expect(more).to_have_count(0, timeout=SLOW)


async def _is_paused(shown: Dashboard, sidecar: Sidecar) -> None:
    await sidecar.call("POST", "/v1/accounts/default/pause", {})
    await shown.page.get_by_role("button", name="Resume default").first.click(timeout=SLOW)
    await expect(shown.page.get_by_role("button", name="Resume default")).to_have_count(0, timeout=SLOW)


async def _signs_in_again(shown: Dashboard, there: Microsoft, sidecar: Sidecar) -> None:
    for what in ("revoke", "expire"):
        await there.call("POST", f"tokens/{what}")
    await sidecar.post(PURCHASE)
    await shown.page.get_by_role("link", name="Sign in again").first.click(timeout=SLOW)
    await expect(shown.page.get_by_role("heading", name="Connected to Microsoft Advertising")).to_be_visible()
    await shown.accessible()
    await shown.page.get_by_role("link", name="Overview").click()
    await expect(shown.page.get_by_role("link", name="Sign in again")).to_have_count(0, timeout=SLOW)
    await _sees(shown, f"Microsoft has no goal called {GOALS[1]}")


async def test_address_of_the_log_leads_to_its_view(services: Services) -> None:
    """A person who opens /logs is asked for the key, and sees the log as a page."""
    sidecar = await services.start(config(None, server={"api_keys": [KEY]}))
    async with dashboard(sidecar.url, key=KEY) as shown:
        await shown.page.goto(f"{sidecar.url}/logs?name=started")
        await expect(shown.page).to_have_url(f"{sidecar.url}/#/logs?name=started")
        await expect(shown.page.locator("main")).to_contain_text("started")
