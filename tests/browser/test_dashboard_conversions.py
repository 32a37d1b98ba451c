"""Conversions in a real browser: search, receipts, what can be done to them, rows that appear, and hostile texts."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest_asyncio
from page_kit import NARROW, Dashboard, dashboard, needs_chromium
from playwright.async_api import Locator, Route, expect
from process_kit.emulator import Microsoft, microsoft
from process_kit.running import Starter
from process_kit.service import GOALS, Services, Sidecar, config

pytestmark = needs_chromium

CLICK = "f894f652ea334e739002f7167ab8f8e3"
HOSTILE = "<img src=x onerror=alert(1)>\"'&${1}</td><script>alert(2)</script>"
REFUSAL = "OfflineConversionMicrosoftClickIdNullOrEmpty"


def order(number: int, **given: Any) -> dict[str, Any]:
    return {"event": "purchase", "order_id": f"O-{number}", "value": 10 + number, "msclkid": f"{number:032x}", **given}


def ago(**parts: float) -> str:
    return (datetime.now(UTC) - timedelta(**parts)).isoformat(timespec="seconds")


def table(shown: Dashboard) -> Locator:
    """The rows of the list, without the heads."""
    return shown.page.get_by_role("region", name="Conversions found").locator("tbody tr")


def part(shown: Dashboard, title: str) -> Locator:
    return shown.page.get_by_role("region", name=title)


async def press(shown: Dashboard, name: str) -> None:
    await shown.page.get_by_role("button", name=name, exact=True).click()


async def look_for(shown: Dashboard, text: str) -> None:
    box = shown.page.get_by_role("searchbox")
    await box.fill(text)
    await box.press("Enter")


async def stored(sidecar: Sidecar, *items: Any) -> list[str]:
    answer = (await sidecar.post(list(items))).json()
    assert answer["rejected"] == 0, answer
    return [result["id"] for result in answer["results"]]


@pytest_asyncio.fixture(loop_scope="session")
async def there(starter: Starter) -> AsyncIterator[Microsoft]:
    async with microsoft(starter, *GOALS) as running:
        yield running


async def dead(sidecar: Sidecar, there: Microsoft, *items: Any) -> list[str]:
    """Conversions that Microsoft refused for good, all in one batch."""
    await there.fault("partial_errors", symbol=REFUSAL)
    ids = await stored(sidecar, *items)
    await sidecar.settled(60)
    assert len(await sidecar.rows(state="dead")) == len(ids)
    return ids


# --- Search ----------------------------------------------------------------------------------------------------------


async def test_every_kind_of_id_finds_its_conversion_and_the_address_holds_the_search(services: Services) -> None:
    sidecar = await services.start(config(None))
    await sidecar.call("POST", "/v1/clicks", {"visitor_id": "v 81", "msclkid": CLICK, "time": ago(hours=5)})
    await stored(
        sidecar, order(1), order(2, msclkid=None, visitor_id="v 81"), order(2, event="subscription", currency="EUR")
    )
    await sidecar.settled(60)
    await sidecar.call("POST", "/v1/adjustments", {"conversion_id": "conv_1", "type": "restate", "value": 4})
    async with dashboard(sidecar.url) as shown:
        await shown.show("conversions")
        await expect(table(shown)).to_have_count(3)
        await look_for(shown, "O-2")
        await expect(table(shown)).to_have_text([re.compile(r"O-2\s+subscription"), re.compile(r"O-2\s+purchase")])
        await look_for(shown, " v 81 ")
        await expect(table(shown)).to_have_text([re.compile(r"O-2\s+purchase.*click id, visitor", re.DOTALL)])
        await expect(part(shown, "Clicks of this visitor")).to_contain_text(CLICK)
        await look_for(shown, f"{1:032X}-1")
        await expect(table(shown)).to_have_text([re.compile(r"O-1\s+purchase")])
        await shown.accessible()
        await shown.page.reload()
        await expect(table(shown)).to_have_count(1)
        for own_id in ("conv_1", "adj_4"):
            await look_for(shown, own_id)
            await expect(shown.page.get_by_role("heading", level=1)).to_have_text("O-1")
            await expect(shown.page).to_have_url(re.compile("#/conversions/conv_1"))
            await shown.show("conversions")


async def test_refused_and_skipped_orders_are_found_with_what_to_do(services: Services) -> None:
    sidecar = await services.start(config(None))
    await sidecar.post([order(1, currency="XXY"), order(2, msclkid=None), order(3), order(3, value=1)])
    async with dashboard(sidecar.url, window=NARROW) as shown:
        await shown.show("conversions?q=O-1")
        await expect(part(shown, "not stored")).to_contain_text("unknown currency")
        await expect(part(shown, "not stored")).to_contain_text("send it again with the same order id")
        await look_for(shown, "O-2")
        await expect(part(shown, "not stored")).to_contain_text("nothing to match it by")
        await look_for(shown, "O-3")
        await expect(part(shown, "not stored")).to_contain_text("the order is stored with other content")
        await expect(table(shown)).to_have_count(1)
        await shown.fits()
        await shown.accessible()
        await shown.picture("conversions-refused-narrow-light")
        await look_for(shown, "O-4")
        await expect(shown.page.get_by_text("No conversion has “O-4”")).to_be_visible()
        await shown.show("conversions?q=O-3&state=dead")
        await shown.page.get_by_role("link", name="Search without filters").click()
        await expect(table(shown)).to_have_count(1)
        shown.expected = ["404"]
        await look_for(shown, "conv_99")
        await expect(shown.page.get_by_role("alert")).to_contain_text("conv_17")
        await shown.accessible()


# --- Receipts --------------------------------------------------------------------------------------------------------


async def test_row_opens_by_keyboard_and_its_receipt_says_all_and_leads_back(services: Services) -> None:
    sidecar = await services.start(config(None))
    clicks = [{"visitor_id": "v-1", "msclkid": f"{n:032x}", "time": ago(hours=30 + n)} for n in (1, 2)]
    assert (await sidecar.call("POST", "/v1/clicks", clicks)).status == 202
    given = order(1, msclkid=None, visitor_id="v-1", time=ago(hours=1), meta={"cart": 4711})
    answer = await sidecar.post(given, **{"X-Request-Id": "request-of-the-shop"})
    assert answer.status == 202
    await stored(sidecar, order(2), order(1, event="subscription", currency="EUR"))
    await sidecar.settled(60)
    async with dashboard(sidecar.url) as shown:
        await shown.show("conversions")
        await table(shown).get_by_role("link").nth(2).focus()
        await shown.page.keyboard.press("Enter")
        title = shown.page.get_by_role("heading", level=1)
        await expect(title).to_have_text("O-1")
        await expect(title).to_be_focused()
        await expect(part(shown, "What Microsoft's report says of that day")).to_contain_text("Microsoft")
        happened = part(shown, "What happened")
        for line in (
            "clicked an ad",
            "The conversion happened",
            "request-of-the-shop",
            "Microsoft took it (TrackingId",
        ):
            await expect(happened).to_contain_text(line)
        row = await sidecar.get("/v1/conversions/conv_1")
        await expect(happened.locator(f'time[datetime="{row["received_at"]}"]').first).to_have_attribute(
            "title", row["received_at"].replace("T", " ").replace("Z", " UTC")
        )
        await expect(part(shown, "Attempts")).to_contain_text(row["tracking_id"])
        await expect(part(shown, "Clicks of the visitor")).to_contain_text("another click came later")
        await expect(part(shown, "Next")).to_contain_text("Microsoft")
        await expect(part(shown, "Details")).to_contain_text('{"cart":4711}')
        await expect(shown.page.get_by_role("navigation", name="Conversions of this order")).to_contain_text(
            "subscription"
        )
        await shown.accessible()
        await shown.picture("receipt-wide-light")
        await press(shown, "Copy as text for support")
        await expect(shown.page.get_by_text("copied")).to_be_visible()
        text = await shown.page.evaluate("navigator.clipboard.readText()")
        assert text.startswith("O-1 (conv_1)\ndelivered, 11.00 USD, purchase to Shop Purchase, account default\n")
        assert f"TrackingId {row['tracking_id']}" in text
        await shown.page.get_by_role("link", name="All conversions").press("Enter")
        await expect(table(shown).get_by_role("link").nth(2)).to_be_focused()


async def test_receipt_is_copied_where_the_browser_has_no_clipboard_interface(services: Services) -> None:
    """As for a page that came over plain HTTP from another host."""
    sidecar = await services.start(config(None))
    await stored(sidecar, order(1))
    await sidecar.settled(60)
    async with dashboard(sidecar.url) as shown:
        await shown.page.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
        await shown.show("conversions/conv_1")
        await press(shown, "Copy as text for support")
        await expect(shown.page.get_by_text("The receipt was copied.")).to_be_visible()
        await shown.page.get_by_role("link", name="All conversions").click()
        await shown.page.get_by_role("searchbox").focus()
        await shown.page.keyboard.press("Control+V")
        await expect(shown.page.get_by_role("searchbox")).to_have_value(re.compile(r"^O-1 \(conv_1\)"))


async def test_list_that_comes_late_leaves_the_focus_where_the_person_has_put_it(services: Services) -> None:
    sidecar = await services.start(config(None))
    await stored(sidecar, order(1))
    may_come = asyncio.Event()

    async def late(route: Route) -> None:
        await may_come.wait()
        await route.continue_()

    async with dashboard(sidecar.url) as shown:
        await shown.show("conversions/conv_1")
        await expect(shown.page.get_by_role("heading", level=1)).to_have_text("O-1")
        await shown.page.route("**/v1/conversions?*", late)
        await shown.page.get_by_role("link", name="All conversions").click()
        await shown.page.get_by_role("searchbox").focus()
        may_come.set()
        await expect(table(shown)).to_have_count(1)
        await expect(shown.page.get_by_role("searchbox")).to_be_focused()


async def test_receipt_of_nothing_says_so_and_leads_back(services: Services) -> None:
    sidecar = await services.start(config(None))
    async with dashboard(sidecar.url, window=NARROW, dark=True) as shown:
        shown.expected = ["404"]
        await shown.show("conversions/conv_7")
        await expect(shown.page.get_by_role("heading", name="There is no such conversion")).to_be_visible()
        await shown.accessible()
        await shown.page.get_by_role("link", name="All conversions").click()
        await expect(shown.page.get_by_text("Nothing was received yet.")).to_be_visible()
        await shown.fits()
        await shown.accessible()
        await shown.picture("conversions-empty-narrow-dark")


# --- Actions ---------------------------------------------------------------------------------------------------------


async def test_dead_conversion_is_sent_again_after_a_confirmation(services: Services, there: Microsoft) -> None:
    sidecar = await services.start(config(there))
    await dead(sidecar, there, order(1))
    async with dashboard(sidecar.url, dark=True) as shown:
        await shown.show("conversions?state=dead")
        await expect(table(shown)).to_contain_text([REFUSAL])
        await table(shown).get_by_text("purchase").click()
        await press(shown, "Send again…")
        dialog = shown.page.get_by_role("dialog")
        await expect(dialog).to_contain_text("goes to Microsoft, to the goal Shop Purchase, with its original time")
        await shown.accessible()
        await shown.picture("receipt-replay-wide-dark")
        await press(shown, "Cancel")
        assert len(await sidecar.rows(state="dead")) == 1
        await press(shown, "Send again…")
        await dialog.get_by_role("button", name="Send again").click()
        await expect(shown.page.get_by_text("It is due again.")).to_be_visible()
        await expect(shown.page.locator("header .state", has_text="delivered")).to_be_visible()
        await expect(part(shown, "What happened")).to_contain_text("An operator replayed it")
    assert len(await there.ledger()) == 1


async def test_bulk_replay_says_how_many_before_it_sends_what_the_filter_shows(
    services: Services, there: Microsoft
) -> None:
    sidecar = await services.start(config(there))
    subscription = {"event": "subscription", "currency": "EUR"}
    await dead(sidecar, there, order(1), order(2))
    await there.fault("partial_errors", symbol=REFUSAL)
    await stored(sidecar, order(3, **subscription))
    await sidecar.settled(60)
    async with dashboard(sidecar.url) as shown:
        await shown.show("conversions?state=dead")
        await shown.page.get_by_label("Event").select_option("purchase")
        await expect(table(shown)).to_have_count(2)
        await press(shown, "Send all of these again…")
        dialog = shown.page.get_by_role("dialog", name="Send 2 dead conversions again?")
        await expect(dialog).to_contain_text("Only these: event purchase.")
        await shown.accessible()
        await shown.picture("conversions-bulk-wide-light")
        assert len(await sidecar.rows(state="dead")) == 3
        await dialog.get_by_role("button", name="Send 2 conversions again").click()
        await expect(shown.page.get_by_text("2 conversions are due again.")).to_be_visible()
        await expect(shown.page.get_by_text("No conversion fits.")).to_be_visible()
    await sidecar.settled(60)
    assert [row["order_id"] for row in await sidecar.rows(state="dead")] == ["O-3"]


async def test_waiting_conversion_is_discarded_and_microsoft_gets_nothing(services: Services) -> None:
    sidecar = await services.start(config(None))
    await stored(sidecar, order(1, time=ago(minutes=-4)))
    async with dashboard(sidecar.url) as shown:
        await shown.show("conversions/conv_1?state=pending")
        await expect(part(shown, "Next")).to_contain_text("It waits until")
        await press(shown, "Discard…")
        dialog = shown.page.get_by_role("dialog")
        await expect(dialog).to_contain_text("Microsoft will not count it")
        await dialog.get_by_role("button", name="Discard").click()
        await expect(shown.page.locator("header .state", has_text="canceled")).to_be_visible()
        await expect(shown.page.get_by_role("button", name="Discard…")).to_have_count(0)
    assert (await sidecar.get("/v1/conversions/conv_1"))["reason"] == "discarded"


async def test_refund_survives_a_lost_answer_and_is_stored_once_then_taken_back(services: Services) -> None:
    sidecar = await services.start(config(None, adjustments={"settle": "1s"}))
    await stored(sidecar, order(1, currency="JPY", value=1500))
    await sidecar.settled(60)
    keys: list[str | None] = []

    async def lose_first_answer(route: Route) -> None:
        keys.append(route.request.headers.get("idempotency-key"))
        await route.fetch()
        await (route.abort() if len(keys) == 1 else route.continue_())

    async with dashboard(sidecar.url, window=NARROW) as shown:
        shown.expected = ["ERR_FAILED"]
        await shown.page.route("**/v1/adjustments", lose_first_answer)
        await shown.show("conversions/conv_1")
        await expect(shown.page.get_by_text("1,500 JPY")).to_be_visible()
        await press(shown, "Refund…")
        dialog = shown.page.get_by_role("dialog")
        await dialog.get_by_label("New total in JPY").fill("12,5")
        await dialog.get_by_role("button", name="Set the new total").click()
        await expect(dialog).to_be_visible()  # a comma could be thousands or decimals
        await dialog.get_by_label("New total in JPY").fill("900")
        await expect(dialog).to_contain_text("The sidecar sends it one restate")
        await shown.fits()
        await shown.accessible()
        await shown.picture("receipt-refund-narrow-light")
        await dialog.get_by_role("button", name="Set the new total").click()
        await expect(dialog).to_contain_text("Trying again is safe")
        await expect(dialog.get_by_label("New total in JPY")).to_have_value("900")
        await dialog.get_by_role("button", name="Try again").click()
        await expect(part(shown, "Adjustments")).to_contain_text("new total 900 JPY")
        assert len(set(keys)) == 1
        assert len((await sidecar.get("/v1/adjustments"))["items"]) == 1
        await press(shown, "Take back…")
        await expect(dialog).to_contain_text("the conversion no longer counts there, nor does its value")
        await dialog.get_by_role("button", name="Take back").click()
        await expect(part(shown, "Adjustments")).to_contain_text("taken back")
        await expect(shown.page.get_by_role("button", name="Take back…")).to_have_count(0)
        await expect(part(shown, "Next")).to_contain_text("Nothing to do", timeout=30_000)
        await shown.fits()
        await shown.accessible()


# --- Lists -----------------------------------------------------------------------------------------------------------


async def test_new_rows_appear_by_themselves_but_never_move_what_is_being_read(services: Services) -> None:
    sidecar = await services.start(config(None))
    await stored(sidecar, order(1))
    async with dashboard(sidecar.url) as shown:
        await shown.show("conversions")
        await expect(table(shown)).to_have_count(1)
        await stored(sidecar, order(2))
        await expect(table(shown)).to_have_count(2)
        await expect(table(shown).filter(has_text="delivered")).to_have_count(2)
        await table(shown).get_by_role("link", name="O-1").focus()
        await stored(sidecar, order(3), order(4))
        more = shown.page.get_by_role("button", name="Show 2 new conversions")
        await expect(more).to_be_visible()
        await expect(table(shown)).to_have_count(2)
        await shown.accessible()
        await more.click()
        await expect(table(shown)).to_have_count(4)
        await expect(table(shown).get_by_role("link").first).to_have_text("O-4")


async def test_pages_have_addresses_and_hold_each_row_once(services: Services) -> None:
    sidecar = await services.start(config(None))
    await stored(sidecar, *(order(number) for number in range(1, 121)))
    async with dashboard(sidecar.url) as shown:
        await shown.show("conversions?event=purchase")
        found = list[str]()
        for count in (50, 50, 20):
            await expect(table(shown)).to_have_count(count)
            found += await table(shown).get_by_role("link").all_inner_texts()
            older = shown.page.get_by_role("link", name="Older")
            if count == 50:
                await older.click()
                await expect(shown.page.get_by_role("link", name=found[-1], exact=True)).to_have_count(0)
        assert found == [f"O-{number}" for number in range(120, 0, -1)]
        await expect(older).to_have_count(0)
        await shown.page.go_back()
        await expect(table(shown).get_by_role("link").first).to_have_text("O-70")
        await shown.page.reload()
        await expect(table(shown).get_by_role("link").first).to_have_text("O-70")
        await shown.page.get_by_role("link", name="Newest").click()
        await expect(table(shown).get_by_role("link").first).to_have_text("O-120")


async def test_hostile_and_long_texts_and_odd_currencies_are_shown_as_text(services: Services) -> None:
    sidecar = await services.start(config(None))
    money = {"USD": 1234.5, "JPY": 1500, "KWD": 1.234, "EUR": 0, "INR": 999_999_999_999}
    texts = {"msclkid": None, "visitor_id": HOSTILE, "meta": {HOSTILE: HOSTILE}}
    await stored(
        sidecar,
        order(1, order_id=HOSTILE, **texts),
        order(2, order_id="L" * 200, visitor_id="w" * 200),
        *(order(10 + place, currency=name, value=value) for place, (name, value) in enumerate(money.items())),
    )
    await sidecar.post([order(3, order_id=HOSTILE + "!", event=HOSTILE, currency=HOSTILE)])
    async with dashboard(sidecar.url, window=NARROW, dark=True) as shown:
        await shown.show("conversions")
        await expect(table(shown)).to_have_count(7)
        text = await shown.text()
        shown_money = ("1,234.50 USD", "1,500 JPY", "1.234 KWD", "0.00 EUR", "999,999,999,999.00 INR")
        assert [amount for amount in (*shown_money, HOSTILE) if amount not in text] == []
        await shown.fits()
        await shown.accessible()
        await shown.picture("conversions-hostile-narrow-dark")
        await look_for(shown, HOSTILE)
        await expect(table(shown)).to_have_count(1)
        await expect(shown.page.get_by_role("searchbox")).to_have_value(HOSTILE)
        await look_for(shown, HOSTILE + "!")
        await expect(part(shown, "not stored")).to_be_visible()
        await expect(shown.page.get_by_role("searchbox")).to_have_value(HOSTILE + "!")
        for id_, order_id in (("conv_1", HOSTILE), ("conv_2", "L" * 200)):
            await shown.show(f"conversions/{id_}")
            await expect(shown.page.get_by_role("heading", level=1)).to_have_text(order_id)
            await expect(part(shown, "Details")).to_be_visible()
            await shown.fits()
            await shown.accessible()
        await shown.show("conversions/conv_1")
        await expect(shown.page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
        await press(shown, "Discard…")
        await expect(shown.page.get_by_role("dialog")).to_contain_text(HOSTILE)
        await shown.fits()
        assert await shown.page.locator("main img, main script, dialog img").count() == 0


async def test_half_typed_search_survives_new_rows(services: Services) -> None:
    sidecar = await services.start(config(None))
    async with dashboard(sidecar.url) as shown:
        await shown.show("conversions")
        await expect(shown.page.get_by_text("Nothing was received yet.")).to_be_visible()
        await shown.page.get_by_role("searchbox").fill("O-1")
        await stored(sidecar, order(1))
        await expect(table(shown)).to_have_count(1)
        await expect(shown.page.get_by_role("searchbox")).to_have_value("O-1")
        await shown.page.get_by_role("searchbox").press("Enter")
        await expect(shown.page).to_have_url(f"{sidecar.url}/#/conversions?q=O-1")
        await shown.page.get_by_role("link", name="Clear").click()
        await expect(shown.page.get_by_role("searchbox")).to_have_value("")


async def test_filters_narrow_the_list_and_stay_in_the_address(services: Services) -> None:
    sidecar = await services.start(config(None))
    await stored(sidecar, order(1), order(2, time=ago(minutes=-4)), order(3, event="subscription", currency="EUR"))
    await sidecar.settled(60, but=1)
    async with dashboard(sidecar.url) as shown:
        await shown.show("conversions?since=24h")
        await expect(table(shown)).to_have_count(3)
        await shown.page.get_by_label("State").select_option("pending")
        await expect(table(shown)).to_have_text([re.compile("O-2")])
        await shown.page.get_by_label("Reason").select_option("its time lies ahead")
        await expect(table(shown)).to_have_count(1)
        await shown.page.get_by_label("Reason").select_option("waits for a click")
        await expect(shown.page.get_by_text("No conversion fits.")).to_be_visible()
        await expect(shown.page).to_have_url(
            f"{sidecar.url}/#/conversions?since=24h&state=pending&reason=awaiting_click"
        )
        await shown.page.get_by_label("State").select_option("delivered")
        await expect(table(shown)).to_have_count(2)
        await shown.page.go_back()
        await expect(shown.page.get_by_label("State")).to_have_value("pending")
        await shown.page.get_by_role("link", name="Clear").click()
        await expect(table(shown)).to_have_count(3)
        await asyncio.gather(shown.accessible(), shown.fits())
