"""The frame of the dashboard in a real browser: navigation, theme, keys, and a sidecar that is gone."""

import pytest
from page_kit import NARROW, dashboard, needs_chromium
from playwright.async_api import expect
from process_kit.service import Services, config

pytestmark = needs_chromium
VIEWS = ("Overview", "Conversions", "Logs", "Set-up")


async def test_each_view_has_an_address_and_can_be_reached_by_keyboard(services: Services) -> None:
    sidecar = await services.start(config(None))
    async with dashboard(sidecar.url) as shown:
        await shown.show()
        for view in VIEWS:
            link = shown.page.get_by_role("navigation").get_by_role("link", name=view)
            await link.focus()
            await shown.page.keyboard.press("Enter")
            await expect(link).to_have_attribute("aria-current", "page")
            await shown.accessible()
        assert shown.page.url.endswith("/#/set-up")


@pytest.mark.parametrize("view", ["overview", "conversions", "logs", "set-up"])
async def test_no_view_is_wider_than_a_narrow_phone(services: Services, view: str) -> None:
    sidecar = await services.start(config(None))
    async with dashboard(sidecar.url, window=NARROW) as shown:
        await shown.show(view)
        await expect(shown.page.locator("main h1")).to_be_visible()
        await shown.fits()
        await shown.accessible()


async def test_theme_is_the_systems_until_the_reader_chooses(services: Services) -> None:
    sidecar = await services.start(config(None))
    async with dashboard(sidecar.url, dark=True) as shown:
        await shown.show()
        root = shown.page.locator("html")
        await expect(root).to_have_attribute("data-theme", "dark")
        await shown.accessible()
        await shown.page.get_by_role("button", name="Switch between light and dark").click()
        await expect(root).to_have_attribute("data-theme", "light")
        await shown.page.reload()
        await expect(root).to_have_attribute("data-theme", "light")


async def test_unknown_address_leads_to_the_overview(services: Services) -> None:
    sidecar = await services.start(config(None))
    async with dashboard(sidecar.url) as shown:
        await shown.show("nowhere")
        await expect(shown.page).to_have_url(f"{sidecar.url}/#/overview")


async def test_page_asks_for_a_key_and_refuses_a_wrong_one(services: Services) -> None:
    sidecar = await services.start(config(None, server={"api_keys": ["test-key-0123456789"]}))
    async with dashboard(sidecar.url, key="test-key-0123456789") as shown:
        await shown.show()
        await expect(shown.page.get_by_role("navigation")).to_be_visible()
    async with dashboard(sidecar.url, key="test-key-that-is-wrong") as refused:
        refused.expected = ["401"]
        await refused.show()
        await expect(refused.page.get_by_role("navigation")).to_have_count(0)


async def test_page_says_since_when_the_sidecar_is_gone(services: Services) -> None:
    sidecar = await services.start(config(None))
    async with dashboard(sidecar.url) as shown:
        shown.expected = ["ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE", "ERR_SOCKET"]
        await shown.show()
        await expect(shown.page.locator("main h1")).to_be_visible()
        await sidecar.running.kill()
        await expect(shown.page.get_by_text("has not been reachable since")).to_be_visible()
        await shown.accessible()
