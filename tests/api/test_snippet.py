"""GET /msclkid.js: what is served, and what the script does in a page; run by Node with stand-ins for the page."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from api_kit import MSCLKID, Api

from sidecar.api.snippet import script
from sidecar.core.intake.click_ids import normalise

DASHED = "f894f652-ea33-4e73-9002-f7167ab8f8e3"
OTHER = "0123456789abcdef0123456789ABCDEF"
FORBIDDEN = ("eval", "Function(", "fetch", "XMLHttpRequest", "sendBeacon", "new Image", "innerHTML", "import", "http")

PAGE = """
const [script, addresses] = JSON.parse(require("fs").readFileSync(0, "utf8"));
const written = [];
for (const address of addresses) {
  const cookies = [];
  written.push(cookies);
  const page = {
    location: new URL(address),
    document: { set cookie(text) { cookies.push(text); } },
  };
  require("vm").runInNewContext(script, page, { contextCodeGeneration: { strings: false, wasm: false } });
}
process.stdout.write(JSON.stringify(written));
"""
"""Opens each address in a page that has an address and cookies, and nothing else; text as code is refused."""

node = pytest.mark.skipif(shutil.which("node") is None, reason="node runs the script")


def cookies_of(*addresses: str) -> list[str]:
    """The cookies that the script sets when these addresses are opened one after another."""
    return [cookie for cookies in cookies_by_page(*addresses) for cookie in cookies]


def cookies_by_page(*addresses: str) -> list[list[str]]:
    """The same apart for each address."""
    given = json.dumps([script(), addresses])
    ran = subprocess.run(["node", "-e", PAGE], input=given, capture_output=True, text=True, timeout=60, check=True)
    found: list[list[str]] = json.loads(ran.stdout)
    return found


def stored_click_id(query: str) -> str | None:
    """The click id that is kept when a page is opened with this query."""
    cookies = cookies_of(f"https://shop.example/landing{query}")
    return cookies[0].partition(";")[0].removeprefix("msclkid=") if cookies else None


async def test_script_is_served_as_javascript_that_may_be_cached(api: Api) -> None:
    answer = await api.get("/msclkid.js")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/javascript; charset=utf-8")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.text == script()


def test_script_makes_no_request_and_no_code_of_text() -> None:
    """So that it runs where a Content-Security-Policy allows the site's own scripts and nothing else."""
    assert [word for word in FORBIDDEN if word in script().split("*/", 1)[1].replace("https:", "")] == []


@node
def test_click_id_is_kept_for_ninety_days_in_a_first_party_cookie() -> None:
    (cookie,) = cookies_of(f"https://shop.example/?msclkid={MSCLKID}")
    assert cookie == f"msclkid={MSCLKID}; Max-Age=7776000; Path=/; SameSite=Lax; Secure"


@node
def test_cookie_is_secure_on_https_only() -> None:
    (cookie,) = cookies_of(f"http://127.0.0.1:3000/?msclkid={MSCLKID}")
    assert cookie == f"msclkid={MSCLKID}; Max-Age=7776000; Path=/; SameSite=Lax"


@node
@pytest.mark.parametrize(
    "query",
    [
        f"?msclkid={MSCLKID}",
        f"?utm_source=bing&msclkid={MSCLKID}&utm_campaign=a%20b",
        f"?MsClkId={MSCLKID}#section?msclkid={OTHER}",
        f"?q=1&&=&a&msclkid={DASHED}",
        f"?msclkid=%20{MSCLKID}%20",
        f"?msclkid={OTHER}&msclkid={MSCLKID}",
        f"?msclkid={MSCLKID}&msclkid=broken&msclkid=%E0%A4%A",
    ],
)
def test_click_id_is_found_among_other_parameters(query: str) -> None:
    assert stored_click_id(query) == MSCLKID


@node
@pytest.mark.parametrize(
    "query",
    [
        "",
        "?",
        "?msclkid",
        "?msclkid=",
        "?msclkid=abc",
        f"?msclkid={MSCLKID}0",
        f"?gclid={MSCLKID}",
        f"?xmsclkid={MSCLKID}",
        f"?msclkid={MSCLKID}%3B%20Domain%3Devil.example",
        f"?msclkid=f894f652-ea334e73-9002-f716-7ab8f8e3{'0' * 2}",
        f"#msclkid={MSCLKID}",
        "?msclkid=%E0%A4%A",
    ],
)
def test_what_is_no_click_id_is_not_kept(query: str) -> None:
    assert stored_click_id(query) is None


@node
def test_newest_click_wins_and_a_page_without_one_changes_nothing() -> None:
    first, second = (f"https://shop.example/?msclkid={id_}" for id_ in (MSCLKID, OTHER))
    cookies = cookies_of(first, "https://shop.example/cart", second, "https://shop.example/")
    assert [cookie.partition(";")[0] for cookie in cookies] == [f"msclkid={MSCLKID}", f"msclkid={OTHER}"]


@node
def test_what_the_script_keeps_the_api_takes() -> None:
    """A script of today must not fill cookies that intake refuses tomorrow."""
    assert normalise(stored_click_id(f"?msclkid={DASHED}") or "") == MSCLKID


@node
def test_script_finds_what_the_api_finds() -> None:
    """The table of tests/unit/test_origin.py: no click is found by one of them only."""
    table = json.loads((Path(__file__).parents[1] / "samples" / "landing_addresses.json").read_text("utf-8"))
    pages = cookies_by_page(*(row["address"] for row in table))
    kept_ids = [cookies[0].partition(";")[0].removeprefix("msclkid=") if cookies else None for cookies in pages]
    assert len(table) > 50
    assert {row["address"]: id_ for row, id_ in zip(table, kept_ids, strict=True)} == {
        row["address"]: row["click_id"] for row in table
    }
