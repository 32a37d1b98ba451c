"""Every view of a sidecar that is new, busy or in trouble, in a narrow and dark window.

With SIDECAR_SCREENSHOTS in wide and light ones, too, and each is stored as a picture, to be looked at by people.
"""

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cli_kit import free_port
from page_kit import NARROW, WIDE, Dashboard, dashboard, needs_chromium
from playwright.async_api import expect
from process_kit.emulator import microsoft
from process_kit.running import Starter
from process_kit.service import GOALS, Services, Sidecar, config

pytestmark = needs_chromium

LOOKS: dict[str, dict[str, Any]] = {
    "wide-light": {"window": WIDE},
    "wide-dark": {"window": WIDE, "dark": True},
    "narrow-light": {"window": NARROW},
    "narrow-dark": {"window": NARROW, "dark": True},
}
if not os.environ.get("SIDECAR_SCREENSHOTS"):
    LOOKS = {"narrow-dark": LOOKS["narrow-dark"]}

ACCOUNTS = {name: {"customer_id": 100000001, "account_id": 200000001 + n} for n, name in enumerate(("shop", "us"))}
REFUSAL = "OfflineConversionMicrosoftClickIdNullOrEmpty"
PERSON = {"email": "customer@example.com", "phone": "+49 30 901820"}

ONE_LINE_PX = 60
INSTANT = r"\d{4}-\d\d-\d\dT"

View = tuple[str, str]
"""Its name, and its address within the page, or one that begins with a slash."""

VIEWS: list[View] = [("overview", "overview"), ("conversions", "conversions"), ("logs", "logs"), ("set-up", "set-up")]


def order(number: int, **given: Any) -> dict[str, Any]:
    """An order of a shop, a minute before the next one."""
    time = (datetime.now(UTC) - timedelta(minutes=120 - number)).isoformat(timespec="seconds")
    return {
        "event": "purchase",
        "account": "shop",
        "order_id": f"ORDER-{12_000 + number}",
        "time": time,
        "value": round(19.9 + 7.35 * number, 2),
        "msclkid": f"{number:032x}",
        **given,
    }


async def sent(sidecar: Sidecar, *items: dict[str, Any]) -> None:
    assert (await sidecar.post(list(items))).status in (202, 207)


@asynccontextmanager
async def empty(_: Starter, services: Services) -> AsyncIterator[tuple[Sidecar, list[View]]]:
    """Nothing was received yet."""
    sidecar = await services.start(config(None))
    yield sidecar, [*VIEWS, ("search", "conversions?q=ORDER-1"), ("logs-filtered", "logs?order_id=ORDER-1")]


@asynccontextmanager
async def busy(starter: Starter, services: Services) -> AsyncIterator[tuple[Sidecar, list[View]]]:
    """All is well with a shop in two accounts."""
    async with microsoft(starter, *GOALS) as there:
        port = free_port()
        sidecar = await services.start(
            config(
                there,
                server={"port": port},
                microsoft={"redirect_uri": f"http://127.0.0.1:{port}/oauth/callback"},
                accounts=ACCOUNTS,
                adjustments={"settle": "1s"},
            )
        )
        await sidecar.call(
            "POST",
            "/v1/clicks",
            [
                {"account": "shop", "visitor_id": "v-81", "msclkid": f"{n:032x}", "time": order(n * 20)["time"]}
                for n in (1, 2)
            ],
        )
        orders = [order(n, **({"user": PERSON} if n % 3 else {})) for n in range(1, 61)]
        await sent(
            sidecar, *orders, *(order(n, event="subscription", account="us", currency="EUR") for n in range(61, 80))
        )
        await sent(sidecar, order(90, msclkid=None, visitor_id="v-81", meta={"cart": 4711}), order(91, msclkid=None))
        await sidecar.settled(60)
        await sent(sidecar, order(119, time=(datetime.now(UTC) + timedelta(minutes=4)).isoformat()))
        given = {"conversion_id": "conv_1", "type": "restate", "value": 9.5}
        assert (await sidecar.call("POST", "/v1/adjustments", given)).status == 202
        await sidecar.settled(60, but=1)
        [clicked] = [row["id"] for row in await sidecar.rows(order_id="ORDER-12090")]
        yield (
            sidecar,
            [
                *VIEWS,
                ("week", "overview?period=7d"),
                ("account", "overview?account=us"),
                ("search", "conversions?q=ORDER-12090"),
                ("visitor", "conversions?q=v-81"),
                ("skipped", "conversions?q=ORDER-12091"),
                ("waiting", "conversions?state=pending"),
                ("receipt", f"conversions/{clicked}"),
                ("receipt-adjusted", "conversions/conv_1"),
                ("signed-in", "/connect"),
            ],
        )


@asynccontextmanager
async def broken(starter: Starter, services: Services) -> AsyncIterator[tuple[Sidecar, list[View]]]:
    """Some are refused, a goal is missing, an account is paused, and then the sign-in is dead."""
    async with microsoft(starter, GOALS[0]) as there:
        sidecar = await services.start(config(there, accounts=ACCOUNTS))
        await sent(sidecar, *(order(n) for n in range(1, 9)))
        await sidecar.settled(60)
        await there.fault("partial_errors", symbol=REFUSAL)
        await sent(sidecar, *(order(n) for n in range(9, 12)))
        await sidecar.settled(60)
        await sent(sidecar, *(order(n, event="subscription", currency="EUR") for n in range(20, 24)))
        await sidecar.call("POST", "/v1/accounts/us/pause", {})
        await sent(sidecar, *(order(n, account="us") for n in range(30, 33)), order(40, currency="XXY"))
        for what in ("revoke", "expire"):
            await there.call("POST", f"tokens/{what}")
        await sent(sidecar, order(50))
        [dead, *_] = [row["id"] for row in await sidecar.rows(state="dead")]
        [waits] = [row["id"] for row in await sidecar.rows(order_id="ORDER-12050")]
        yield (
            sidecar,
            [
                *VIEWS,
                ("account", "overview?account=us"),
                ("dead", "conversions?state=dead"),
                ("refused", "conversions?q=ORDER-12040"),
                ("errors", "logs?level=warning"),
                ("receipt-dead", f"conversions/{dead}"),
                ("receipt-waits", f"conversions/{waits}"),
                ("receipt-none", "conversions/conv_999"),
                ("sign-in-expired", "/oauth/callback?code=test-code&state=test-state"),
            ],
        )


async def _looked_at(shown: Dashboard, name: str, address: str) -> None:
    """Open the view, and fail where it is too wide or hard to read."""
    await shown.page.goto("about:blank")
    if address.startswith("/"):
        await shown.page.goto(shown.url + address)
    else:
        await shown.show(address)
    await expect(shown.page.locator("main h1").first).to_be_visible()
    await expect(shown.page.locator(".skeleton, [aria-busy=true]")).to_have_count(0)
    if address == "set-up":
        await expect(shown.page.locator("tr.check").first).to_be_attached()
    await shown.picture(name)
    await shown.fits()
    if not address.startswith("/"):
        assert await shown.page.locator("header.top").evaluate("header => header.offsetHeight") <= ONE_LINE_PX
    if not address.startswith("logs"):
        assert not re.search(INSTANT, await shown.text()), "an instant that is not in the reader's zone"
    await shown.accessible()


@pytest.mark.parametrize("lived", [empty, busy, broken], ids=lambda lived: lived.__name__)
async def test_every_view_fits_its_window_and_can_be_read_by_everybody(
    starter: Starter, services: Services, lived: Any
) -> None:
    async with lived(starter, services) as (sidecar, views):
        for look, given in LOOKS.items():
            async with dashboard(sidecar.url, **given) as shown:
                shown.expected = ["404", "400"]
                shown.elsewhere = ["https://127.0.0.1:"]  # where Microsoft's stand-in signs a person in
                for name, address in views:
                    await _looked_at(shown, f"{lived.__name__}-{name}-{look}", address)
