"""The README and docs/api.md say what the sidecar does: their examples are run, their tables are held to the code."""

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from docs_codes import differences, given
from docs_match import matches
from docs_page import ROOT, Example, Request, anchors, answers, blocks, examples, links, names, table, text_of
from jsonschema import Draft202012Validator
from process_kit.running import Running, Starter
from process_kit.turned_clock import DAY, TurnedClock, needs_libfaketime
from row_kit import stored_row

from sidecar.api import status
from sidecar.api.http import problem
from sidecar.api.http.reply import encode
from sidecar.api.openapi import document
from sidecar.api.row_json import Rows
from sidecar.core.intake import adjustment as adjustment_intake
from sidecar.core.intake import click as capture
from sidecar.core.intake import conversion as intake
from sidecar.core.intake import user
from sidecar.core.states_and_reasons import Reason, State
from sidecar.core.unattributed import UNATTRIBUTED

PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *sorted(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")),
]
README, API = text_of("README.md"), text_of("docs/api.md")

EXAMPLES = ["README.md", "docs/api.md", "docs/quickstart.md", "docs/connect.md", "docs/adjustments.md"]
"""Pages with curl lines; docs/clients.md and docs/emulator.md have tests of their own."""

ORDERED_BEFORE = {
    "docs/adjustments.md": {"event": "purchase", "order_id": "ORDER-12345", "value": 99.99, "msclkid": "a" * 32}
}
"""What a page takes for granted."""

ITEM_BELOW = "docs/adjustments.md"
"""The JSON under its curl line is another thing to send, not the answer."""

# --- Examples, against a real process --------------------------------------------------------------------------------

PATIENCE_SECONDS = 60.0
LISTENING = r"listening on (http://\S+)"


@pytest.fixture
def clock() -> int:
    """Days from the true time."""
    return 0


@pytest.fixture
async def sidecar(starter: Starter, clock: int) -> AsyncIterator[Running]:
    """The service as `make run` starts it, in an empty folder, on a free port, its clock turned by `clock` days."""
    config = text_of("config.example.yaml")
    changed = re.sub(r"^  port: 8077 ", "  port: 0 ", config, flags=re.MULTILINE)
    assert changed != config
    (starter.folder / "config.yaml").write_text(changed)
    turned = TurnedClock(starter.folder / "clock")
    turned.set(clock * DAY)
    running = await starter.start("run", "--config", "config.yaml", env=turned.environment() if clock else None)
    await running.output_matching(r" curl .*\n")
    yield running
    running.signal(signal.SIGTERM)
    assert await running.ended() == 0


async def ask(client: aiohttp.ClientSession, url: str, request: Request) -> tuple[int, Any, str]:
    async with client.request(request.verb, url + request.url, data=request.body, headers=request.headers) as answer:
        return answer.status, answer.headers, await answer.text()


async def run(client: aiohttp.ClientSession, url: str, example: Example) -> None:
    """Ask as the page says; what is settled by and by, and can be asked twice, is asked until it is as shown."""
    *before, last = example.requests
    for request in before:
        assert (await ask(client, url, request))[0] < 300
    until = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while True:
        code, headers, text = await ask(client, url, last)
        if example.shown is None:
            assert code < 300, text
            return
        wanted = example.shown
        fits = wanted.status in (None, code) and matches(wanted.body, json.loads(text))
        changes_something = code in (202, 207)
        if fits or changes_something or asyncio.get_running_loop().time() > until:
            assert fits, f"line {example.line}: {code} {text}"
            assert {name: headers.get(name) for name in wanted.headers} == wanted.headers
            return
        await asyncio.sleep(0.1)  # asked again until it is as the page shows: delivery takes a moment


@pytest.mark.parametrize("clock", [0, pytest.param(365, marks=needs_libfaketime)], ids=["today", "a year ahead"])
@pytest.mark.parametrize("page", EXAMPLES)
async def test_examples_of_a_page_are_answered_as_it_shows(page: str, sidecar: Running) -> None:
    url = await sidecar.output_matching(LISTENING)
    found = examples(text_of(page))
    assert found
    async with aiohttp.ClientSession() as client:
        if order := ORDERED_BEFORE.get(page):
            async with client.post(f"{url}/v1/conversions", json=order) as answer:
                assert answer.status == 202
        for example in found:
            await run(client, url, replace(example, shown=None) if page == ITEM_BELOW else example)


def test_adjustment_that_a_page_shows_is_as_the_api_describes_it() -> None:
    [text] = [content for _, language, content in blocks(text_of(ITEM_BELOW)) if language == "json"]
    judge = Draft202012Validator({**document(), "$ref": "#/components/schemas/Adjustment"})
    shown = json.loads(re.sub(r'"\(its exact time.*\)"', '"2026-11-23T15:30:45+01:00"', text))
    judge.validate(shown)
    assert not judge.is_valid({**shown, "value": 1})


def test_every_page_with_a_curl_line_has_a_test_that_runs_it() -> None:
    with_curl = {page for page in PAGES for _, kind, text in blocks(text_of(page)) if kind == "sh" and "curl" in text}
    assert with_curl == {*EXAMPLES, "docs/clients.md", "docs/emulator.md"}


def test_every_answer_that_the_api_page_shows_is_one_of_its_kind() -> None:
    kinds = {kind.code: kind for kind in vars(problem).values() if isinstance(kind, problem.ProblemKind)}
    seen = set()
    for answer in answers(API):
        code = str(answer.body.get("type", "")).removeprefix("urn:sidecar:problem:")
        if code in kinds:
            seen.add(answer.status)
            assert (answer.status, answer.body["status"]) == (kinds[code].status,) * 2
            assert answer.body["title"] == kinds[code].title
    assert seen == {kind.status for kind in kinds.values()} - {500}


def test_no_page_says_that_microsoft_published_a_number_of_requests() -> None:
    """It publishes none: https://learn.microsoft.com/advertising/guides/services-protocol#throttling"""
    for page in (*PAGES, "config.example.yaml", "sidecar/api/openapi.yaml"):
        if page != "CHANGELOG.md":
            for sentence in re.split(r"[.|]\s|\n\n", text_of(page)):
                claims = "ceiling" in sentence and re.search("Microsoft's|Microsoft sets", sentence)
                assert not (claims and "request" in sentence), f"{page}: {sentence}"
    assert "publishes no number" in README


def test_every_json_on_the_pages_is_json() -> None:
    found = [
        (page, line, content)
        for page in PAGES
        for line, language, content in blocks(text_of(page))
        if language == "json"
    ]
    assert {page for page, _, _ in found} >= {"README.md", "docs/operating.md", "docs/adjustments.md"}
    for page, line, content in found:
        assert json.loads(content), f"{page}:{line}"


@pytest.mark.parametrize(
    ("shown", "real", "fits"),
    [
        ({"a": 1}, {"a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": 1, "…": ""}, {"a": 1, "b": 2}, True),
        ({"a": 1, "…": ""}, {"b": 2}, False),
        ([1], [1, 2], False),
        ("at 2026-11-23T15:30:45Z", "at 2027-01-01T00:00:00.123Z", True),
        ("at 2026-11-23T15:30:45Z", "at noon", False),
        ("it … so", "it is so", True),
        ("it … so", "is it so", False),
        (1, True, False),
        (None, None, True),
    ],
)
def test_matching_finds_what_differs(shown: Any, real: Any, fits: bool) -> None:
    assert matches(shown, real) is fits


# --- The README ------------------------------------------------------------------------------------------------------


async def test_readme_has_what_make_run_prints(sidecar: Running) -> None:
    printed = sidecar.err.replace(await sidecar.output_matching(LISTENING), "http://127.0.0.1:8077").splitlines()
    assert [line for line in printed if line.strip() not in README] == []
    pasted = next(line for line in printed if " curl " in line).strip()
    assert [content for _, language, content in blocks(README) if language == "sh"] == [f"{pasted}\n"]


def test_readme_has_the_two_commands_and_docker() -> None:
    targets = re.search(r"^\.PHONY: (.*)$", text_of("Makefile"), re.MULTILINE)
    assert targets and {"run", "test"} <= set(targets[1].split())
    docker = "docker build -t sidecar . && docker run -p 127.0.0.1:8077:8077 -v sidecar-data:/data sidecar"
    for command in ("\n    make run ", "\n    make test ", f"\n    {docker}\n"):
        assert command in README


def test_readme_links_to_every_page() -> None:
    assert {page for page in PAGES if page != "README.md"} <= set(links(README))


@pytest.mark.parametrize("page", PAGES)
def test_links_of_a_page_lead_somewhere(page: str) -> None:
    for link in links(text_of(page)):
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text("utf-8")), link


# --- Tables of the API page ------------------------------------------------------------------------------------------


def first_names(rows: list[list[str]]) -> set[str]:
    return {name for row in rows for name in names(row[0])}


def test_every_problem_code_is_documented_and_no_other() -> None:
    found = given("Refusal", 0, "core", "api") | given("Problem", 1, "core", "api") | given("one_of", 1, "core")
    found |= given("refuse", 1, "core", "api")
    assert len(found) > 40
    section = API.split("### Problem codes", 1)[1].split("\n### ", 1)[0]
    assert differences(first_names(table(section, "code")), found) == (set(), set())


def test_every_warning_is_documented_and_no_other() -> None:
    found = given("warn", 0, "core") - {"*_unusable"} | {f"{name}_unusable" for name in user._WHY_UNUSABLE}
    found |= given("Warning_", 0, "api")
    assert differences(first_names(table(API, "warning")), found) == (set(), set())


def test_every_reason_to_skip_is_documented_and_no_other() -> None:
    section = API.split("### Fields", 1)[1].split("\n### ", 1)[0]
    assert first_names(table(section, "reason")) == given("Skipped", 0, "core")


def test_every_cause_of_a_503_is_documented_and_no_other() -> None:
    section = API.split("### 503", 1)[1].split("\n### ", 1)[0]
    assert first_names(table(section, "code")) == given("StorageUnavailable", 0, "api", "store")


def test_every_kind_of_problem_is_documented_with_status_and_title() -> None:
    declared = {(k.code, str(k.status), k.title) for k in vars(problem).values() if isinstance(k, problem.ProblemKind)}
    assert {(names(code)[0], status, title) for code, status, title in table(API, "`type` ends in")} == declared


def test_every_code_in_the_table_of_fields_is_explained_below() -> None:
    codes = {name for row in table(API, "field") if len(row) == 3 for name in names(row[2])}
    assert codes <= first_names(table(API, "code")) | first_names(table(API, "warning"))


def test_fields_that_are_read_are_those_in_the_tables() -> None:
    documented = first_names([row for row in table(API, "field") if len(row) == 3])
    assert documented == intake.SHAPE.names | user.SHAPE.names | capture.SHAPE.names | adjustment_intake.SHAPE.names


def test_fields_of_a_row_are_those_in_the_table() -> None:
    documented = first_names([row for row in table(API, "field") if len(row) == 2])
    shown = Rows(lambda *_: None, lambda _: None, lambda: 0).show(stored_row(time=0, received_at=0))
    assert documented == json.loads(encode(shown)).keys()


def test_states_reasons_and_parameters_are_those_of_the_code() -> None:
    assert first_names(table(API, "state")) == set(State)
    section = API.split("### The row", 1)[1].split("\n## ", 1)[0]
    assert first_names(table(section, "reason")) - {"null", "ErrorCode"} == set(Reason)
    assert first_names(table(API, "parameter")) == status._READERS.keys()


def test_every_reason_of_microsofts_report_is_documented_as_the_code_has_it() -> None:
    rows = "".join(f"| `{one.name}` | {one.meaning} | {one.advice} |\n" for one in UNATTRIBUTED.values())
    assert rows in API
