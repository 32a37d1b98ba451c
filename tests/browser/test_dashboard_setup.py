"""Set-up in a real browser: from nothing to the first conversion, doctor's table, and what a person changes there."""

import json
import signal
from typing import Any

import yaml
from cli_kit import free_port
from page_kit import NARROW, Dashboard, dashboard, needs_chromium
from playwright.async_api import Locator, expect
from process_kit.emulator import Microsoft, microsoft
from process_kit.running import Starter
from process_kit.service import Services, Sidecar, config, reaching

pytestmark = needs_chromium

HOSTILE = "<img src=x onerror=alert(1)>"
STEPS = ("application", "secret", "developer-token", "sign-in", "account", "goals", "auto-tagging", "first-conversion")
ORDER = {"event": "purchase", "order_id": "FIRST-1", "value": 12.5, "msclkid": "0badcafe" * 4}


def production(there: Microsoft) -> dict[str, Any]:
    """A configuration without account ids, whose Microsoft is an emulator that a person signs in to."""
    port = free_port()
    credentials = {
        "environment": "production",
        "client_id": "test-application",
        "client_secret": "test-secret-of-the-application",
        "developer_token": "test-developer-token",
        "redirect_uri": f"http://127.0.0.1:{port}/oauth/callback",
    }
    return config(
        None,
        server={"port": port},
        microsoft={**credentials, **reaching(there)},
        accounts={"default": {}},
        delivery={"goal_settle": "0s"},
    )


def step(shown: Dashboard, name: str) -> Locator:
    return shown.page.locator(f"#step-{name}")


def button(shown: Dashboard, name: str) -> Locator:
    return shown.page.get_by_role("button", name=name, exact=True)


async def states(shown: Dashboard, **expected: str) -> None:
    """Each step has the state that is expected of it; the others are done."""
    for name in STEPS:
        await expect(step(shown, name)).to_have_class(f"step {expected.get(name.replace('-', '_'), 'done')}")


async def agree(shown: Dashboard, action: str) -> None:
    """Read what is asked, and confirm it."""
    dialog = shown.page.get_by_role("dialog")
    await shown.accessible()
    await dialog.get_by_role("button", name=action, exact=True).click()
    await expect(dialog).to_have_count(0)


async def come_back(shown: Dashboard) -> None:
    """The person was in another tab."""
    await shown.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


async def auto_tagging(there: Microsoft, *, on: bool) -> None:
    if on:
        await there.call("DELETE", "faults")
        return
    answer = {"AccountProperties": [{"Name": "MSCLKIDAutoTaggingEnabled", "Value": "false"}], "PartialErrors": []}
    match = {"operation": "AccountProperties/Query"}
    await there.fault("status", times=None, match=match, status=200, body=json.dumps(answer))


async def aged_goals(there: Microsoft) -> list[str]:
    """Make every goal old enough for conversions; returns their names."""
    goals = (await there.call("GET", "goals"))["items"]
    for goal in goals:
        await there.call("PATCH", f"goals/{goal['id']}", {"created_at": goal["created_at"] - 86_400_000})
    return sorted(goal["goal"]["Name"] for goal in goals)


async def paused(sidecar: Sidecar) -> bool:
    return bool((await sidecar.get("/v1/accounts"))["configured"][0]["paused"])


async def test_steps_lead_from_nothing_to_the_first_conversion(starter: Starter, services: Services) -> None:
    async with microsoft(starter) as there:
        await auto_tagging(there, on=False)
        settings = production(there)
        sidecar = await services.start(settings)
        async with dashboard(sidecar.url) as shown:
            shown.elsewhere = [there.url]
            await shown.show("set-up")
            waiting = dict.fromkeys(
                ("application", "secret", "developer_token", "account", "goals", "auto_tagging"), "open"
            )
            await states(shown, **waiting, sign_in="open", first_conversion="open")
            await expect(step(shown, "sign-in")).to_have_attribute("aria-current", "step")
            await shown.accessible()
            await shown.picture("set-up-empty-wide-light")

            await step(shown, "sign-in").get_by_role("link", name="Sign in to Microsoft").click()
            await expect(shown.page.get_by_role("heading", name="Connected to Microsoft Advertising")).to_be_visible()
            await shown.show("set-up")
            await states(
                shown,
                account="attention",
                goals="open",
                auto_tagging="open",
                first_conversion="open",
            )
            await expect(step(shown, "account")).to_have_attribute("aria-current", "step")
            await expect(shown.page.get_by_text("waits for its ids", exact=True)).to_be_visible()
            await expect(step(shown, "account").get_by_text("Example Shop", exact=True)).to_be_visible()
            await expect(shown.page.locator("tr.check.failed").filter(has_text="Token")).to_have_count(0)
            await shown.accessible()
            await shown.picture("set-up-accounts-wide-light")
            await button(shown, "Copy the YAML").click()
            await expect(shown.page.get_by_text("The YAML was copied.")).to_be_visible()
            pasted = await shown.page.evaluate("navigator.clipboard.readText()")
            services.configure(settings | yaml.safe_load(pasted))
            sidecar.running.signal(signal.SIGHUP)
            await states(shown, goals="attention", auto_tagging="attention", first_conversion="open")
            await expect(step(shown, "goals")).to_have_attribute("aria-current", "step")

            await button(shown, "Create what is missing…").click()
            dialog = shown.page.get_by_role("dialog")
            await expect(dialog).to_contain_text("A goal cannot be deleted at Microsoft")
            await expect(dialog).to_contain_text("90 days")
            for text in ("Shop Purchase", "Shop Subscription", "Category", "Count", "Window", "Revenue"):
                await expect(dialog.get_by_text(text, exact=True).first).to_be_visible()
            await shown.picture("set-up-create-goals-wide-light")
            await dialog.get_by_label("Shop Subscription").uncheck()
            await agree(shown, "Create at Microsoft")
            await expect(step(shown, "goals").get_by_role("status")).to_contain_text("Shop Purchase")
            await states(shown, goals="attention", auto_tagging="attention", first_conversion="open")
            await expect(step(shown, "goals")).to_contain_text("1 goal is missing")
            await button(shown, "Create what is missing…").click()
            await agree(shown, "Create at Microsoft")
            await states(shown, auto_tagging="attention", first_conversion="open")
            assert await aged_goals(there) == ["Shop Purchase", "Shop Subscription"]

            await expect(step(shown, "auto-tagging")).to_contain_text("Add Microsoft Click ID")
            await auto_tagging(there, on=True)
            await come_back(shown)
            await states(shown, first_conversion="open")
            await expect(
                step(shown, "first-conversion").get_by_role("heading", name="Send a first conversion")
            ).to_be_visible()
            await shown.accessible()
            assert (await sidecar.post(ORDER)).status == 202
            await states(shown)
            await expect(shown.page.get_by_role("heading", level=1)).to_have_text("Set-up: everything is connected")
            await shown.accessible()
            await shown.picture("set-up-done-wide-light")


async def test_refused_sign_in_and_wrong_secret_are_shown_at_their_step(starter: Starter, services: Services) -> None:
    async with microsoft(starter) as there:
        sidecar = await services.start(production(there))
        async with dashboard(sidecar.url, window=NARROW, dark=True) as shown:
            shown.expected = ["502", "400", "403"]
            shown.elsewhere = [there.url]
            for operation, aadsts, name in (("token", 7000215, "secret"), ("authorize", 65004, "sign-in")):
                await there.fault("oauth_error", match={"operation": operation}, aadsts=aadsts)
                await shown.show("set-up")
                await shown.page.goto(f"{sidecar.url}/connect")
                await shown.show("set-up")
                await expect(step(shown, name)).to_have_class("step attention")
                await expect(step(shown, name)).to_have_attribute("aria-current", "step")
                await expect(step(shown, name)).to_contain_text("What to do:")
                await shown.accessible()
                await shown.fits()
                await shown.picture(f"set-up-{name}-refused-narrow-dark")


async def test_person_pauses_resumes_and_disconnects_after_a_confirmation(services: Services) -> None:
    sidecar = await services.start(config(None))
    async with dashboard(sidecar.url) as shown:
        await shown.show("set-up")
        await expect(
            shown.page.get_by_role("heading", name="This is the stand-in for Microsoft Advertising")
        ).to_be_visible()
        await shown.page.get_by_text("How to go to production").click()
        await expect(shown.page.get_by_text("environment: production")).to_be_visible()
        await expect(shown.page.get_by_text("Every check is fine.")).to_be_visible()
        await shown.page.get_by_text("checks are fine").click()
        await expect(shown.page.locator("tr.check.ok").filter(has_text="Configuration")).to_be_visible()
        await button(shown, "Pause…").click()
        await button(shown, "Cancel").click()
        assert not await paused(sidecar)
        await button(shown, "Pause…").click()
        await agree(shown, "Pause")
        await expect(button(shown, "Resume…")).to_be_visible()
        assert await paused(sidecar)
        await expect(shown.page.locator("tr.check.warning").filter(has_text="paused")).to_contain_text("What to do:")
        await button(shown, "Resume…").click()
        await agree(shown, "Resume")
        await expect(button(shown, "Pause…")).to_be_visible()
        assert not await paused(sidecar)

        await button(shown, "Disconnect…").click()
        await expect(shown.page.get_by_role("dialog")).to_contain_text("Conversions are taken and wait")
        await agree(shown, "Disconnect")
        await expect(step(shown, "sign-in")).to_have_class("step open")
        assert (await sidecar.get("/v1/connection"))["trouble"]["code"] == "not_connected"
        await expect(shown.page.locator("tr.check.failed").filter(has_text="Token")).to_contain_text("What to do:")
        await shown.accessible()
        await shown.picture("set-up-broken-wide-light")
        await shown.page.set_viewport_size(NARROW)
        await shown.fits()
        await shown.accessible()


async def test_hostile_names_are_text_and_links_lead_to_their_step(services: Services) -> None:
    events = {HOSTILE: {"goal": f"{HOSTILE} goal"}}
    accounts = {f"{HOSTILE} account": {"customer_id": 100000001, "account_id": 200000001}}
    sidecar = await services.start(config(None, events=events, accounts=accounts))
    async with dashboard(sidecar.url, window=NARROW) as shown:
        await shown.show("set-up?step=goals")
        await expect(step(shown, "goals").locator("td", has_text=f"{HOSTILE} goal")).to_be_visible()
        await expect(shown.page.locator("section td", has_text=f"{HOSTILE} account").last).to_be_visible()
        await expect(step(shown, "goals").locator("details")).to_have_attribute("open", "")
        assert await shown.page.locator("img").count() == 0
        await button(shown, "Pause…").click()
        await expect(shown.page.get_by_role("dialog")).to_contain_text(HOSTILE)
        await agree(shown, "Pause")
        await expect(button(shown, "Resume…")).to_be_visible()
        await shown.fits()
        await shown.accessible()
