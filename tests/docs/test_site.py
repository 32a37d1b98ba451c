"""docs/ as a site: it is built strictly, has every page and call, and loads nothing from another host."""

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from aiohttp import web
from docs_page import ROOT, text_of
from page_kit import NARROW, dashboard, needs_chromium, one_chromium
from playwright.async_api import expect

from sidecar.api.openapi import document
from tools import list_indents

MKDOCS = Path(sys.executable).with_name("mkdocs")
PAGES = sorted(path.stem for path in (ROOT / "docs").glob("*.md"))
LOADS = {("script", "src"), ("img", "src"), ("iframe", "src"), ("link", "href"), ("source", "src"), ("object", "data")}
ELSEWHERE = re.compile(r"(?:[a-z]+:)?//", re.IGNORECASE)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")

    async def build() -> None:
        process = await asyncio.create_subprocess_exec(
            *(MKDOCS, "--quiet", "build", "--strict", "--site-dir", folder),
            cwd=ROOT,
            env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate()
        assert process.returncode == 0, out.decode()

    asyncio.run(build())
    return folder


class Page(HTMLParser):
    """What a page loads, and its headings."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("rel") != "canonical":
            self.loads += [value for name, value in attrs if (tag, name) in LOADS and value]
        if given.get("id"):
            self.anchors.add(str(given["id"]))


def test_make_docs_builds_strictly() -> None:
    rule = text_of("Makefile").partition("\ndocs: ")[2].partition("\n\n")[0]
    assert "mkdocs --quiet build --strict" in rule


def test_site_has_every_page_and_the_navigation_leads_to_each(site: Path) -> None:
    home = (site / "index.html").read_text()
    assert {page for page in PAGES if not (site / f"{page}.html").exists()} == set()
    assert {page for page in PAGES if page != "index" and f'href="{page}.html"' not in home} == set()


def test_no_page_or_style_loads_anything_from_another_host(site: Path) -> None:
    found = {path.name: Page(path.read_text()).loads for path in site.rglob("*.html")}
    assert len(found) > len(PAGES)
    assert all(found.values())
    assert {name: load for name, loads in found.items() for load in loads if ELSEWHERE.match(load)} == {}
    styles = [path.read_text() for path in site.rglob("*.css")]
    assert styles
    assert [
        text for text in styles for url in re.findall(r"(?:url\(|@import )[\"']?([^\"')]+)", text) if "//" in url
    ] == []


def test_reference_has_every_call_and_every_object(site: Path) -> None:
    text = (site / "reference.html").read_text()
    assert "stands here" not in text
    headings = re.findall(r"<h3 id=\"[^\"]+\">(.*?)<", text)
    calls = {f"{method.upper()} {path}" for path, item in document()["paths"].items() for method in item}
    assert set(headings) == calls | set(document()["components"]["schemas"])


def test_links_of_the_reference_lead_to_an_object(site: Path) -> None:
    text = (site / "reference.html").read_text()
    targets = set(re.findall(r'href="#([^"]+)"', text))
    assert {name.lower() for name in document()["components"]["schemas"]} <= targets
    assert targets <= Page(text).anchors


def test_reference_has_no_script_of_its_own(site: Path) -> None:
    """It runs what every page of the site runs."""
    scripts = [re.findall(r"<script[^>]*>", (site / f"{page}.html").read_text()) for page in ("reference", "security")]
    assert scripts[0] == scripts[1] != []


def test_navigation_names_no_page_twice() -> None:
    found = re.findall(r": ([\w-]+)\.md$", text_of("mkdocs.yml"), re.MULTILINE)
    assert sorted(found) == PAGES


@needs_chromium
async def test_site_asks_no_other_host_and_fits_a_phone(site: Path) -> None:
    async with one_chromium(), dashboard(site.as_uri(), window=NARROW) as shown:
        for page in PAGES:
            await shown.page.goto(f"{site.as_uri()}/{page}.html")
            await shown.fits_window()  # code at the end of a line has 4 px of its frame beyond it
        assert len(shown.requests) > len(PAGES)


@contextlib.asynccontextmanager
async def served(folder: Path) -> AsyncIterator[str]:
    """The folder behind a web server; gives its address."""
    app = web.Application()
    app.router.add_static("/", folder)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@needs_chromium
async def test_search_finds_a_page_without_asking_another_host(site: Path) -> None:
    async with served(site) as url, one_chromium(), dashboard(url) as shown:
        await shown.page.goto(f"{url}/index.html")
        search = shown.page.get_by_role("textbox", name="Search")
        await search.click()
        await expect(shown.page.get_by_text("Type to start searching")).to_be_visible()  # it listens to keys by now
        await search.press_sequentially("goal_not_found")
        await expect(shown.page.locator(".md-search-result__link").first).to_have_attribute(
            "href", re.compile(r"\.html")
        )


def test_configuration_of_the_site_turns_off_what_would_load_from_elsewhere() -> None:
    plain = yaml.load(text_of("mkdocs.yml"), Loader=_Loose)
    assert plain["theme"]["font"] is False
    assert plain["plugins"] == ["search"]


class _Loose(yaml.SafeLoader):
    """Reads the tag of Python objects as nothing."""


_Loose.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)


@pytest.mark.parametrize(
    ("written", "built"),
    [
        ("- a\n\n      code\n\n  b\n\nc", "- a\n\n        code\n\n    b\n\nc"),
        ("1. a\n\n       code\n2. b", "1. a\n\n        code\n2. b"),
        ("- a\n\n  ```sh\n  run\n\n  more\n  ```\n\n- b", "- a\n\n    ```sh\n    run\n\n    more\n    ```\n\n- b"),
        (" 1. a\n    more", " 1. a\n    more"),
        ("a\n\n    code\n", "a\n\n    code\n"),
        ("```\n- a\n  b\n```", "```\n- a\n  b\n```"),
        ("- a\n\n```\n  kept\n```", "- a\n\n```\n  kept\n```"),
    ],
)
def test_what_belongs_to_an_item_is_indented_as_the_site_wants_it(written: str, built: str) -> None:
    assert "\n".join(list_indents.indented(written.split("\n"))) == built


def test_code_within_a_list_is_code_in_the_site(site: Path) -> None:
    text = (site / "connect.html").read_text()
    assert re.search(r"<li>\s*<p>[^<]*</p>\s*<div class=\"highlight\"><pre>.*?sidecar run\n", text, re.DOTALL)
    assert "<p>sidecar run</p>" not in text
