"""The log in a real browser: filters, what a line opens to, following, pausing, copying, a sidecar that was away."""

import asyncio
import re
import signal
from collections import Counter
from typing import Any

from cli_kit import free_port
from page_kit import NARROW, Dashboard, dashboard, needs_chromium
from playwright.async_api import Locator, expect
from process_kit.service import Services, Sidecar, config

from sidecar.telemetry.followers import MAX_FOLLOWERS

pytestmark = needs_chromium

HOSTILE = "<img src=x onerror=alert(1)>"
AWAY = ["ERR_CONNECTION", "ERR_EMPTY_RESPONSE", "ERR_SOCKET", "ERR_INCOMPLETE", "ERR_INVALID_HTTP"]


async def pause(sidecar: Sidecar, account: str = "default", times: int = 1) -> None:
    """Two facts each time: `trouble_raised` and `trouble_cleared`."""
    path = f"/v1/accounts/{account}"
    for _ in range(times):
        for call in ("pause", "resume"):
            assert (await sidecar.call("POST", f"{path}/{call}", {})).status == 200


async def logged(sidecar: Sidecar, query: str, count: int = 1) -> list[Any]:
    """The entries that fit, once there are `count`."""
    async with asyncio.timeout(60):
        while len(items := (await sidecar.get(f"/logs?limit=1000&{query}"))["items"]) < count:
            await asyncio.sleep(0.05)
    return list(items)


def lines(shown: Dashboard, text: str = "") -> Locator:
    return shown.page.locator(".log-line").filter(has_text=text)


def button(shown: Dashboard, name: str) -> Locator:
    return shown.page.get_by_role("button", name=name)


async def copied(shown: Dashboard) -> str:
    return str(await shown.page.evaluate("navigator.clipboard.readText()"))


async def hidden(shown: Dashboard, is_hidden: bool) -> None:
    """The person goes to another tab, or comes back."""
    await shown.page.evaluate(
        "isHidden => { Object.defineProperty(document, 'hidden', {configurable: true, get: () => isHidden});"
        " document.dispatchEvent(new Event('visibilitychange')); }",
        is_hidden,
    )


async def choose(shown: Dashboard, filter_name: str, value: str) -> None:
    """Enter a filter as a person does, who then leaves the field."""
    field = shown.page.locator(f"[name={filter_name}]")
    await field.fill(value)
    await field.press("Tab")


async def test_line_opens_to_its_fields_and_can_be_copied(services: Services) -> None:
    sidecar = await services.start(config(None))
    assert (await sidecar.call("POST", "/v1/accounts/default/pause", {})).status == 200
    [entry] = await logged(sidecar, "name=trouble_raised")
    async with dashboard(sidecar.url) as shown:
        await shown.show("logs")
        line = lines(shown, "Account paused by an operator")
        await line.locator("summary").focus()
        await shown.page.keyboard.press("Enter")
        await expect(line.get_by_text("What to do: Resume it with sidecar resume default, or")).to_be_visible()
        await expect(line.locator("dd", has_text="paused_by_operator")).to_be_visible()
        await shown.accessible()
        await shown.picture("logs-open-wide-light")
        await line.get_by_role("button", name="Copy the line").click()
        await expect(shown.page.get_by_text("The line was copied.")).to_be_visible()
        text = await copied(shown)
        assert text.startswith(f"{entry['time']} WARNING trouble_raised {entry['message']} account=default")
        assert text.endswith(f"fix: {entry['fix']}")
        await button(shown, "Copy 2 lines").click()
        await expect(shown.page.get_by_text("2 lines copied.")).to_be_visible()
        assert [text.split()[2] for text in (await copied(shown)).split("\n")] == ["trouble_raised", "started"]
        await line.get_by_role("link", name="default").click()
        await expect(lines(shown)).to_have_count(1)
        await expect(shown.page).to_have_url(f"{sidecar.url}/#/logs?account=default")


async def test_filters_stand_in_the_address_and_find_what_they_say(services: Services) -> None:
    accounts = {
        name: {"customer_id": 100000001, "account_id": number} for number, name in enumerate(("a", HOSTILE), 200000001)
    }
    sidecar = await services.start(config(None, accounts=accounts))
    await pause(sidecar, "a")
    await pause(sidecar, "%3Cimg%20src=x%20onerror=alert(1)%3E")
    await logged(sidecar, "name=trouble_cleared", 2)
    async with dashboard(sidecar.url) as shown:
        shown.expected = ["422"]
        await shown.show("logs")
        await expect(lines(shown)).to_have_count(5)
        await expect(lines(shown, HOSTILE)).to_have_count(2)
        await shown.page.get_by_label("Level").select_option("warning")
        await expect(lines(shown)).to_have_count(2)
        await lines(shown, HOSTILE).click()
        await shown.page.get_by_role("link", name=HOSTILE).click()
        await expect(lines(shown, HOSTILE)).to_have_count(2)  # there were two lines before, of both accounts
        await expect(lines(shown)).to_have_count(2)
        await choose(shown, "name", "trouble_raised")
        await expect(lines(shown)).to_have_count(1)
        await shown.page.reload()
        await expect(lines(shown)).to_have_count(1)
        await expect(shown.page.locator("[name=name]")).to_have_value("trouble_raised")
        await shown.page.get_by_role("link", name="Clear the filters").click()
        await expect(lines(shown)).to_have_count(5)

        refused = {"event": "purchase", "account": "a", "order_id": HOSTILE, "msclkid": "0badcafe" * 4, "value": -1}
        assert (await sidecar.post(refused)).status == 422  # counted above, it would be a line within ten seconds
        await choose(shown, "order_id", HOSTILE)  # stored nowhere but as a trace
        await expect(lines(shown, "was refused (")).to_have_count(1)
        await shown.accessible()
        await choose(shown, "order_id", "ORDER-7")
        await expect(shown.page.get_by_text("Nothing fits these filters.")).to_be_visible()
        await shown.accessible()
        await shown.show("logs?name=batch_setled")
        await expect(shown.page.get_by_role("alert")).to_contain_text("did you mean batch_settled?")
        await shown.accessible()
        await shown.show("logs")
        await expect(shown.page.locator("[name=name]")).to_have_value("")
        await choose(shown, "until", "2026-01-01T00:00:00")
        await expect(shown.page.get_by_text("Nothing fits these filters.")).to_be_visible()
        await expect(shown.page).to_have_url(re.compile("until=2025-12-31T23%3A00%3A00.000Z"))  # in Berlin
        await shown.show("logs?until=yesterday")
        await expect(shown.page.get_by_role("alert")).to_contain_text("until:")


async def test_half_typed_filter_survives_new_lines(services: Services) -> None:
    sidecar = await services.start(config(None))
    async with dashboard(sidecar.url) as shown:
        await shown.show("logs")
        await expect(shown.page.get_by_role("status").filter(has_text="live")).to_be_visible()
        order, since = (shown.page.locator(f"[name={name}]") for name in ("order_id", "since"))
        await since.press_sequentially("1231")
        await order.fill("ORDER-1")
        await pause(sidecar)
        await expect(lines(shown, "trouble_")).to_have_count(2)
        await expect(order).to_have_value("ORDER-1")
        await since.press_sequentially("31122026")
        await expect(order).to_have_value("ORDER-1")
        await expect(shown.page).to_have_url(re.compile("order_id=ORDER-1"))


async def test_new_lines_appear_by_themselves_and_wait_while_paused(services: Services) -> None:
    sidecar = await services.start(config(None))
    async with dashboard(sidecar.url) as shown:
        await shown.show("logs")
        await expect(shown.page.get_by_role("status").filter(has_text="live")).to_be_visible()
        await pause(sidecar)
        await expect(lines(shown, "trouble_")).to_have_count(2)
        await button(shown, "Pause").click()
        await pause(sidecar)
        await expect(button(shown, "2 new")).to_be_visible()
        await expect(lines(shown, "trouble_")).to_have_count(2)
        await shown.accessible()
        await shown.picture("logs-paused-wide-light")
        await button(shown, "2 new").click()
        await expect(lines(shown, "trouble_")).to_have_count(4)
        await pause(sidecar)
        await expect(button(shown, "2 new")).to_be_visible()
        await button(shown, "Follow").click()
        await pause(sidecar)
        await expect(lines(shown, "trouble_")).to_have_count(8)
        await hidden(shown, True)
        await pause(sidecar)
        await hidden(shown, False)
        await expect(lines(shown, "trouble_")).to_have_count(10)
        for _ in range(2):
            sidecar.running.signal(signal.SIGHUP)
            await logged(sidecar, "name=reloaded", 1 + _)
        await expect(lines(shown, "changed: nothing").get_by_text("2 times")).to_be_visible()


async def test_log_goes_on_without_gap_or_double_after_the_sidecar_was_away(services: Services) -> None:
    settings = config(None, server={"port": free_port()})
    sidecar = await services.start(settings)
    async with dashboard(sidecar.url) as shown:
        shown.expected = AWAY
        await shown.show("logs")
        await pause(sidecar)
        await expect(lines(shown, "trouble_")).to_have_count(2)
        await sidecar.running.kill()
        await expect(shown.page.get_by_text("not connected, trying again")).to_be_visible()
        await shown.accessible()
        again = await services.start(settings)
        await pause(again)
        await expect(lines(shown)).to_have_count(6)
        await button(shown, "Copy 6 lines").click()
        await expect(shown.page.get_by_text("6 lines copied.")).to_be_visible()
        names = Counter(line.split()[2] for line in (await copied(shown)).split("\n"))
        assert names == {"started": 2, "trouble_raised": 2, "trouble_cleared": 2}


async def test_log_is_shown_and_follows_again_once_there_is_a_place(services: Services) -> None:
    sidecar = await services.start(config(None))
    others = [await sidecar.session.get(f"{sidecar.url}/logs?follow=1") for _ in range(MAX_FOLLOWERS)]
    async with dashboard(sidecar.url) as shown:
        shown.expected = ["503"]
        await shown.show("logs")
        await expect(shown.page.get_by_text("not live: too many follow the log already")).to_be_visible()
        await expect(lines(shown, "started")).to_have_count(1)
        await shown.accessible()
        for other in others:
            other.close()
        await expect(shown.page.get_by_role("status").filter(has_text="live")).to_have_text("live")
        await pause(sidecar)
        await expect(lines(shown, "trouble_")).to_have_count(2)


async def test_long_log_is_read_in_pages_and_never_holds_more_than_a_thousand_lines(services: Services) -> None:
    sidecar = await services.start(config(None))
    await pause(sidecar, times=510)
    await logged(sidecar, "until=2100-01-01T00:00:00Z", 1000)
    async with dashboard(sidecar.url, window=NARROW, dark=True) as shown:
        await shown.show("logs")
        await expect(lines(shown)).to_have_count(100)
        await shown.fits()
        await shown.accessible()
        await button(shown, "Older").click()
        await expect(lines(shown)).to_have_count(200)
        for pages in range(3, 11):
            await button(shown, "Older").click()
            await expect(lines(shown)).to_have_count(100 * pages)
        await pause(sidecar)
        await expect(lines(shown)).to_have_count(1000)
        await shown.page.get_by_role("link", name="Older than these 1,000 lines").click()
        await expect(lines(shown, "started")).to_have_count(1)
        await expect(lines(shown)).not_to_have_count(1000)
        await shown.fits()
