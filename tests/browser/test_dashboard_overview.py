"""The first view: what a person sees in each state. A double gives the answers, so that every state can be shown."""

from typing import Any

import pytest
from dashboard_double import (
    UNMATCHED,
    WELL,
    Double,
    account,
    ago,
    counts,
    dashboard_double,
    goal,
    overview,
    trouble,
)
from overview_states import SIX, series
from page_kit import NARROW, Dashboard, dashboard, needs_chromium
from playwright.async_api import expect

from sidecar.troubles import CATALOGUE, Severity

pytestmark = needs_chromium

MISSING_GOAL = (
    "3 conversions worth 300.00 EUR wait: Microsoft has no goal called Sidecar Trial in account us. "
    "The first would be lost on 27 February."
)
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>${alert(3)}\u202e'\"&amp;"
SERIES = {"delivered": [20, 30, 40], "skipped": [1, 0, 0], "pending": [0, 0, 3]}


def two_accounts(**more: Any) -> dict[str, Any]:
    """A goal is missing in the second account; the first is asked to wait."""
    return overview(
        trouble("goal_not_found", MISSING_GOAL, account="us", subject="Sidecar Trial"),
        trouble("throttled", "Microsoft asked account eu for a slower pace.", account="eu"),
        accounts=[account("eu"), account("us", goal("trial", "needs_attention", headline="There is no such goal."))],
        counts_24h=counts(delivered=90, pending=3, skipped=1),
        waiting=[{"reason": "goal_not_found", "rows": 3, "value": {"EUR": 300}, "first_expiry_at": ago(days=-85)}],
        dead={"rows": 2, "value": {"USD": 99.5, "JPY": 1200}},
        lag_seconds=7_200,
        **more,
    )


async def _shown(shown: Dashboard, double: Double, view: str = "") -> None:
    """Open the view, and wait until it shows what the double answers."""
    await shown.show(view)
    assert double.overview is not None
    await expect(shown.page.locator("main h1")).to_have_text(double.overview["headline"])
    await expect(shown.page.locator(".skeleton")).to_have_count(0)


async def test_when_all_is_well_the_page_says_so_and_its_numbers_add_up() -> None:
    async with dashboard_double(series=SERIES) as double, dashboard(double.url) as shown:
        await _shown(shown, double)
        await expect(shown.page).to_have_title("Overview · msads-sidecar")
        figures = shown.page.get_by_role("region", name="The last 24 hours").get_by_role("listitem")
        numbers = [int((await figures.nth(n).locator("strong").inner_text()).replace(",", "")) for n in range(6)]
        assert numbers[0] == sum(numbers[1:]) == 1_212
        await expect(shown.page.get_by_role("img", name="Status: all is well")).to_be_visible()
        await expect(shown.page.get_by_text("nothing is late")).to_be_visible()
        await shown.accessible()
        await expect(figures.nth(3).get_by_role("link")).to_have_attribute(
            "href", "#/conversions?state=skipped&since=24h"
        )
        await shown.page.get_by_role("link", name="7 days").click()
        week = shown.page.get_by_role("region", name="The last 7 days").get_by_role("listitem")
        await expect(week.first).to_contain_text("94")  # of the series: 90 delivered, 3 waiting, 1 skipped
        await expect(week.nth(1)).to_contain_text("90")
        await shown.page.locator("time-chart .u-over").hover()
        await expect(shown.page.locator(".chart-note")).to_contain_text("0 conversions")
        await shown.page.get_by_text("As a table").click()
        await expect(shown.page.get_by_role("table", name="Conversions received in the last 7 days")).to_be_visible()
        await shown.accessible()


async def test_trouble_comes_first_with_money_and_deadline_and_its_remedy() -> None:
    async with dashboard_double(overview=two_accounts(), series=SERIES) as double, dashboard(double.url) as shown:
        await _shown(shown, double)
        await expect(shown.page).to_have_title("(3) 3 conversions wait · msads-sidecar")
        await expect(shown.page.get_by_role("img", name="Status: needs attention")).to_be_visible()
        worst = shown.page.get_by_role("region", name="How things are")
        await expect(worst.get_by_role("link", name="Review and create the goal…")).to_have_attribute(
            "href", "#/set-up?step=goals&account=us"
        )
        await worst.get_by_text("What is this?").click()
        await expect(worst).to_contain_text(CATALOGUE["goal_not_found"].cause)
        await expect(shown.page.get_by_role("region", name="1 more problem")).to_contain_text("Passes by itself")
        await expect(shown.page.get_by_text("2 in all: 1,200 JPY, 99.50 USD")).to_be_visible()
        headings = shown.page.get_by_role("heading", name="Goals of account")
        await expect(headings).to_have_text(["Goals of account us", "Goals of account eu"])
        await expect(shown.page.get_by_role("row", name="Sidecar Trial")).to_contain_text("needs attention")
        await shown.accessible()


async def test_one_account_can_be_chosen_and_its_address_be_sent() -> None:
    async with dashboard_double(overview=two_accounts(), series=SERIES) as double, dashboard(double.url) as shown:
        await _shown(shown, double)
        await shown.page.get_by_role("combobox", name="Account").select_option("eu")
        await expect(shown.page.locator("main h1")).to_have_text("Microsoft asked account eu for a slower pace.")
        await expect(shown.page.get_by_text("1 problem in other accounts.")).to_be_visible()
        await expect(shown.page.get_by_role("heading", name="Goals of account")).to_have_text("Goals of account eu")
        await shown.page.reload()
        await expect(shown.page.get_by_role("combobox", name="Account")).to_have_value("eu")
        await expect(shown.page.get_by_role("heading", name="Goals of account")).to_have_count(1)


async def test_each_trouble_is_shown_with_a_remedy() -> None:
    """Every one of the catalogue at once: a button, or words that say that there is nothing to do."""
    every = [trouble(code, f"Headline of {code}.", account="default") for code in CATALOGUE]
    async with dashboard_double(overview=overview(*every), series=SERIES) as double, dashboard(double.url) as shown:
        await _shown(shown, double)
        await shown.page.get_by_text(f"Show {len(every) - 4} more").click()
        for code, known in CATALOGUE.items():
            heading = shown.page.get_by_role("heading", name=f"Headline of {code}.")
            await expect(heading).to_be_visible()
            place = shown.page.locator("main section.headline, main .problems > li").filter(has=heading)
            remedies = await place.locator(".row").locator("a:not(.quiet), button, .tag").all_inner_texts()
            assert len(remedies) == 1, (code, remedies)
            assert known.solution.split("`")[0] in await place.inner_text()
            if remedies == ["Passes by itself"]:
                assert known.severity is not Severity.ERROR or known.solution.startswith("Nothing to do"), code
        await shown.accessible()


async def test_paused_account_is_resumed_from_the_page() -> None:
    paused = overview(trouble("paused_by_operator", account="default"))
    async with dashboard_double(overview=paused) as double, dashboard(double.url) as shown:
        await _shown(shown, double)
        await shown.page.get_by_role("button", name="Resume default").click()
        await expect(shown.page.get_by_text("Delivery for default goes on.")).to_be_visible()
        assert double.posted == ["/v1/accounts/default/resume"]


async def test_hostile_texts_are_shown_as_text() -> None:
    hostile = trouble("goal_not_found", HOSTILE, account=HOSTILE, subject=HOSTILE)
    hostile |= {"title": HOSTILE, "cause": HOSTILE, "fix": HOSTILE, "code": HOSTILE}
    texts = overview(
        hostile,
        {**hostile, "headline": f"{HOSTILE} again"},
        accounts=[account(HOSTILE, goal(HOSTILE, HOSTILE, headline=HOSTILE), headline=HOSTILE), account("other")],
        waiting=[{"reason": HOSTILE, "rows": 1, "value": {HOSTILE: 1}, "first_expiry_at": ago(days=-1)}],
        dead={"rows": 1, "value": {HOSTILE: 2}},
        version=HOSTILE,
    )
    async with dashboard_double(overview=texts, series=SERIES) as double, dashboard(double.url, window=NARROW) as shown:
        await shown.show()
        await expect(shown.page.locator("main h1")).to_contain_text("<img src=x onerror=alert(1)>")
        assert await shown.page.locator("main img, main script").count() == 0
        await shown.fits()


async def test_first_conversion_lights_up_when_it_arrives() -> None:
    nothing = overview(
        first_received_at=None, headline="Nothing was received yet.", counts_24h=counts(), match_share=UNMATCHED
    )
    async with dashboard_double(overview=nothing) as double, dashboard(double.url) as shown:
        await _shown(shown, double)
        for language in ("curl", "Node", "PHP", "Python"):
            await expect(shown.page.get_by_text(language, exact=True)).to_be_visible()
        await expect(shown.page.get_by_role("region", name="curl example")).to_contain_text(
            f"{double.url}/v1/conversions"
        )
        assert "YOUR-KEY" not in await shown.text()
        await shown.accessible()
        row = {"id": "conv_1", "state": "pending", "reason": None, "order_id": "TEST-1", "received_at": ago(seconds=9)}
        double.conversions = [row]
        await expect(
            shown.page.get_by_role("heading", name="It works: conv_1 arrived, and is on its way.")
        ).to_be_visible()
        double.conversions = [
            {**row, "state": "delivered", "received_at": ago(seconds=3.1), "settled_at": ago(seconds=1)}
        ]
        lit = shown.page.get_by_role("heading", name="It works: conv_1, delivered 2.1 s later.")
        await expect(lit).to_be_visible()
        double.overview = overview(counts_24h=counts(delivered=1))
        await expect(shown.page.locator("main h1")).to_have_text(WELL)
        await expect(lit).to_be_visible()
        await shown.accessible()


async def test_sign_in_that_is_dead_at_the_very_first_start_is_shown_before_the_first_step() -> None:
    dead = overview(
        trouble("token_refresh_failed", "Nothing can be delivered: Microsoft no longer accepts the sign-in."),
        first_received_at=None,
        counts_24h=counts(),
        match_share=UNMATCHED,
        accounts=[account(signed_in_until=None)],
    )
    async with dashboard_double(overview=dead) as double, dashboard(double.url, window=NARROW, dark=True) as shown:
        await _shown(shown, double)
        await expect(shown.page.get_by_role("link", name="Sign in again")).to_have_attribute("href", "connect")
        await expect(shown.page.get_by_role("heading", name="Send a first conversion")).to_be_visible()
        await shown.fits()
        await shown.accessible()


async def test_page_says_when_its_key_is_refused_or_the_sidecar_cannot_answer() -> None:
    async with dashboard_double(series=SERIES) as double, dashboard(double.url) as shown:
        shown.expected = ["401", "500"]
        await _shown(shown, double)
        double.key_refused = True
        await expect(shown.page.get_by_text("The key is not accepted any more.")).to_be_visible()
        await expect(shown.page.get_by_role("button", name="Enter another key")).to_be_visible()
        await expect(shown.page).to_have_title("Not reachable: Overview · msads-sidecar")
        await shown.accessible()
        double.key_refused, double.overview = False, two_accounts()
        await expect(shown.page.get_by_role("main").get_by_role("status")).to_have_text(MISSING_GOAL)
        double.overview = None
        await expect(shown.page.get_by_text("The sidecar answered: Something broke.")).to_be_visible()
        double.overview = overview()
        await expect(shown.page.get_by_text("The sidecar answered")).to_have_count(0)
        await expect(shown.page).to_have_title("Overview · msads-sidecar")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_narrow_page_shows_the_same_and_fits(dark: bool) -> None:
    long = "Goal " + "x" * 200
    given = two_accounts(match_share=UNMATCHED)
    given["accounts"][1]["goals"][0]["goal"] = long
    given["accounts"][0]["goals"][0]["value_24h"] = {
        "USD": 47_980.5,
        "JPY": 9_000_000,
        "EUR": 1,
        "GBP": 2,
        "KWD": 1.005,
    }
    async with (
        dashboard_double(overview=given, series=SERIES) as double,
        dashboard(double.url, window=NARROW, dark=dark) as shown,
    ):
        await _shown(shown, double)
        await expect(
            shown.page.get_by_text("9,000,000 JPY, 47,980.50 USD, 2.00 GBP, 1.005 KWD, 1.00 EUR")
        ).to_be_visible()
        await shown.fits()
        await shown.accessible()


STEPS = {
    "well": None,
    "token-dead": "Sign in again",
    "goal-missing": "Review and create the goal…",
    "throttled": "Passes by itself",
    "disk-full": "Check again",
    "match-share-low": "See what they carry",
}
"""What stands beside the sentence of each of the six states."""


async def test_six_states_say_what_is_wrong_and_what_to_do_without_scrolling() -> None:
    """With SIDECAR_SCREENSHOTS=docs/images this renews the pictures of the documentation."""
    async with dashboard_double() as double, dashboard(double.url) as shown:
        for name, state in SIX.items():
            double.overview = state()
            double.series = series(double.overview)
            await shown.page.goto("about:blank")
            await _shown(shown, double)
            step = STEPS[name]
            if step is not None:
                place = shown.page.get_by_role("region", name="How things are")
                await expect(place.get_by_text(step, exact=True)).to_be_in_viewport()
                await expect(place.get_by_text(double.overview["fix"].split("`")[0])).to_be_in_viewport()
            await shown.picture(f"overview-{name}", whole=False)
            await shown.accessible()
