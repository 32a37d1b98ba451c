"""The frame of the dashboard in a real browser: navigation, theme, keys, and a sidecar that is gone."""

from cli_kit import free_port
from dashboard_double import account, dashboard_double, overview
from page_kit import NARROW, Dashboard, dashboard, needs_chromium
from playwright.async_api import Locator, ViewportSize, expect
from process_kit.service import Services, config

pytestmark = needs_chromium
VIEWS = {"overview": "Overview", "conversions": "Conversions", "logs": "Logs", "set-up": "Set-up"}
KEY = "test-key-0123456789"


async def test_each_view_has_an_address_can_be_reached_by_keyboard_and_fits_a_narrow_phone(services: Services) -> None:
    sidecar = await services.start(config(None))
    async with dashboard(sidecar.url) as shown:
        await shown.show("nowhere")
        await expect(shown.page).to_have_url(f"{sidecar.url}/#/overview")
        for name, title in VIEWS.items():
            link = shown.page.get_by_role("navigation").get_by_role("link", name=title)
            await link.focus()
            await shown.page.keyboard.press("Enter")
            await expect(link).to_have_attribute("aria-current", "page")
            await expect(shown.page).to_have_url(f"{sidecar.url}/#/{name}")
            await expect(shown.page.locator("main h1")).to_be_visible()
            await shown.accessible()
        await shown.page.set_viewport_size(NARROW)
        for name in VIEWS:
            await shown.show(name)
            await expect(shown.page.locator("main h1")).to_be_visible()
            await shown.fits()
            await shown.accessible()


async def _outline(element: Locator) -> bool:
    return bool(await element.evaluate("element => getComputedStyle(element).outlineStyle !== 'none'"))


async def test_keyboard_skips_the_navigation_and_shows_where_it_is() -> None:
    async with dashboard_double() as double, dashboard(double.url) as shown:
        await shown.show()
        await expect(shown.page.get_by_role("heading", level=1)).to_contain_text("All is well")
        await shown.page.keyboard.press("Tab")
        skip = shown.page.get_by_role("link", name="Skip to content")
        await expect(skip).to_be_focused()
        await expect(skip).to_be_in_viewport()
        assert await _outline(skip)
        await shown.page.keyboard.press("Enter")
        await expect(shown.page.get_by_role("main")).to_be_focused()
        await shown.page.keyboard.press("Tab")
        received = shown.page.get_by_role("region", name="The last 24 hours").get_by_role("link").first
        await expect(received).to_be_focused()
        assert await _outline(received)


async def test_theme_is_the_systems_until_the_reader_chooses() -> None:
    async with dashboard_double() as double, dashboard(double.url, dark=True) as shown:
        await shown.show()
        root = shown.page.locator("html")
        await expect(root).to_have_attribute("data-theme", "dark")
        await expect(shown.page.locator(".skeleton")).to_have_count(0)
        await shown.accessible()
        await shown.page.get_by_role("button", name="Switch between light and dark").click()
        await expect(root).to_have_attribute("data-theme", "light")
        await shown.page.reload()
        await expect(root).to_have_attribute("data-theme", "light")
        await shown.page.get_by_role("button", name="Switch between light and dark").click()
        await shown.page.emulate_media(color_scheme="light")
        await expect(root).to_have_attribute("data-theme", "light")  # the choice of the system's own follows the system


async def test_page_at_twice_its_size_is_readable_and_moves_nothing() -> None:
    """A window of 1200 px at 200 %; transitions are off where the reader asks for less motion."""
    several = overview(accounts=[account("a" * 100), account("eu")])
    async with (
        dashboard_double(overview=several) as double,
        dashboard(double.url, window=ViewportSize(width=600, height=400)) as shown,
    ):
        await shown.show()
        await expect(shown.page.get_by_role("heading", level=1)).to_contain_text("All is well")
        await shown.fits()
        await shown.accessible()
        moving = "[...document.querySelectorAll('*')].filter(one => one.getAnimations().length).length"
        assert await shown.page.evaluate(moving) == 0


async def test_page_asks_for_a_key_and_refuses_a_wrong_one(services: Services) -> None:
    sidecar = await services.start(config(None, server={"api_keys": [KEY]}))
    async with dashboard(sidecar.url, key=KEY) as shown:
        await shown.show()
        await expect(shown.page.get_by_role("navigation")).to_be_visible()
    async with dashboard(sidecar.url, key="test-key-that-is-wrong") as refused:
        refused.expected = ["401"]
        await refused.show()
        await expect(refused.page.get_by_role("navigation")).to_have_count(0)


async def _is_away(shown: Dashboard) -> None:
    await expect(shown.page.get_by_text("has not been reachable since")).to_be_visible()
    await expect(shown.page).to_have_title("Not reachable: Overview · msads-sidecar")
    await shown.accessible()


async def test_page_says_since_when_the_sidecar_is_gone_and_goes_on_when_it_is_back(services: Services) -> None:
    settings = config(None, server={"port": free_port()})
    sidecar = await services.start(settings)
    async with dashboard(sidecar.url) as shown:
        shown.expected = ["ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE", "ERR_SOCKET"]
        await shown.show()
        await expect(shown.page.locator("main h1")).to_contain_text("All is well")
        await sidecar.running.kill()
        await _is_away(shown)
        await services.start(settings)
        await expect(shown.page.get_by_text("has not been reachable since")).to_have_count(0)
        await expect(shown.page).to_have_title("Overview · msads-sidecar")
