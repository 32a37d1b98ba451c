"""Microsoft's verdict in the goal table: the share, and behind it the days with their reasons and what to do."""

from typing import Any

import pytest
from dashboard_double import account, dashboard_double, goal, overview
from page_kit import NARROW, WIDE, dashboard, needs_chromium
from playwright.async_api import expect
from verdict_kit import days_ago

from sidecar.api.verdicts import show
from sidecar.core.goal_days import DayVerdict, SentRows
from sidecar.core.instant import UnixMillis, millis

pytestmark = needs_chromium

GOAL = "Sidecar Purchase"
READ_AT = UnixMillis(millis(days_ago(0)) + 40 * 3_600_000)


def verdict(ago: int, attributed: int, sent: int, **reasons: int) -> dict[str, Any]:
    """A day as the API answers it."""
    rows = SentRows(sent, 0)
    counted = {"attributed": attributed, "unattributed": sum(reasons.values()), "reasons": reasons, "sent": rows}
    return show(DayVerdict(account="default", goal=GOAL, day=days_ago(ago), read_at=READ_AT, **counted), READ_AT)  # type: ignore[arg-type]


DAYS = [
    verdict(0, 90, 100, NoMatchingClickFound=4, MissingMatchIdentifiers=1),
    verdict(1, 198, 212, NoMatchingClickFound=12, AccountMismatch=4),
    verdict(2, 7, 7),
]


def shares() -> dict[str, Any]:
    return overview(accounts=[account("default", goal("purchase", attributed_share=0.934), goal("lead"))])


@pytest.mark.parametrize(("window", "dark"), [(WIDE, False), (NARROW, True)], ids=["wide", "phone"])
async def test_share_opens_the_days_with_reasons_and_advice_by_keyboard(window: Any, dark: bool) -> None:
    async with (
        dashboard_double(overview=shares(), verdicts=DAYS) as double,
        dashboard(double.url, window=window, dark=dark) as shown,
    ):
        await shown.show()
        button = shown.page.get_by_role("button", name=f"why not? {GOAL}")
        await expect(button).to_have_attribute("aria-expanded", "false")
        await expect(shown.page.get_by_role("button", name="why not?")).to_have_count(1)
        await button.focus()
        await shown.page.keyboard.press("Enter")
        await expect(button).to_have_attribute("aria-expanded", "true")
        panel = shown.page.get_by_role("region", name=f"What Microsoft attributed to {GOAL}")
        first = panel.get_by_role("listitem").first
        await expect(first).to_contain_text("16 rows had no matching click")
        await expect(first).to_contain_text("What to do: Check that click ids are Microsoft's")
        await expect(panel).to_contain_text("Of 214 rows that Microsoft took for this goal")
        await expect(panel).to_contain_text("2 were not sent by this sidecar")
        await expect(button).to_be_focused()
        await shown.picture(f"verdict-{'phone' if dark else 'wide'}")
        await shown.fits()
        await shown.accessible()
        await shown.page.reload()
        await expect(panel).to_contain_text("Day by day")
        await button.click()
        await expect(panel).to_have_count(0)


async def test_goal_without_days_and_an_unknown_one_are_shown_calmly() -> None:
    async with dashboard_double(overview=shares()) as double, dashboard(double.url) as shown:
        await shown.show(f"overview?of=default&why={GOAL}")
        await expect(shown.page.get_by_text("Nothing was sent to this goal in the last 14 days.")).to_be_visible()
        await shown.show("overview?of=other&why=Nothing")
        await expect(shown.page.get_by_role("button", name="why not?")).to_have_attribute("aria-expanded", "false")
