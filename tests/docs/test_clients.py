"""docs/clients.md: each recipe is run as it stands, against a sidecar with a key and against one that says "later"."""

import asyncio
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from docs_page import blocks, text_of
from process_kit.running import Running, Starter

PAGE = text_of("docs/clients.md")
KEY = "test-key-of-the-recipes"
SECONDS = 120.0
"""For what has to be compiled first, beside other tests."""

_DATE = re.compile(r"20\d\d-\d\d-\d\d")


@dataclass(frozen=True)
class Recipe:
    """The code of a section, the program that runs it, and the file it is saved as."""

    heading: str
    command: tuple[str, ...]
    file: str
    in_place_of: tuple[str, str] | None = None
    """The heading of the recipe that it changes, and where the changed part ends there."""

    def code(self) -> str:
        own = _code(self.heading)
        if self.in_place_of is None:
            return own
        other, end = self.in_place_of
        whole = _code(other)
        return whole[: whole.index(end)] + "now = datetime.now(timezone.utc)\n" + own


@dataclass(frozen=True)
class Helper:
    """A helper of one call, the recipe that it belongs to, and where the end of the recipe begins that it replaces."""

    heading: str
    recipe: str
    end: str
    imports: tuple[str, ...] = ()

    def code(self) -> str:
        whole = _code(self.recipe)
        beginning = "".join(f"{line}\n" for line in self.imports) + whole[: whole.index(self.end)]
        return beginning + _code(self.heading, "###")

    def run_as(self) -> Recipe:
        """The recipe that it belongs to, which says how it is run."""
        return next(recipe for recipe in RECIPES if recipe.heading == self.recipe)


RECIPES = (
    Recipe("curl", ("sh",), "report.sh"),
    Recipe("Node.js (18 or newer)", ("node",), "report.js"),
    Recipe("Python, standard library", (sys.executable,), "report.py"),
    Recipe(
        "Python, requests", (sys.executable,), "report.py", in_place_of=("Python, standard library", "def post(body)")
    ),
    Recipe("PHP (8.0 or newer, curl extension)", ("php",), "report.php"),
    Recipe("Ruby", ("ruby",), "report.rb"),
    Recipe("Go", ("go", "run"), "report.go"),
    Recipe("Java (17 or newer)", ("java",), "Conversions.java"),
)
HELPERS = (
    Helper("Node.js: trackConversion", "Node.js (18 or newer)", "report({\n"),
    Helper("Python: track_conversion", "Python, standard library", "now = datetime"),
    Helper("PHP: trackConversion", "PHP (8.0 or newer, curl extension)", "echo report_conversion"),
    Helper("Ruby: track_conversion", "Ruby", "puts Sidecar"),
    Helper("Go: trackConversion", "Go", "func main"),
    Helper(
        "Java: trackConversion",
        "Java (17 or newer)",
        "    public static void main",
        ("import java.util.concurrent.FutureTask;", "import java.util.stream.Collectors;"),
    ),
)
IN_ONE_CALL = "In one call: trackConversion"
NOT_RUN = {".NET (6 or newer)", ".NET: TrackConversion"}
"""Debian has no .NET."""

every_helper = pytest.mark.parametrize("helper", HELPERS, ids=lambda helper: helper.heading.split(":")[0])
every_recipe = pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.heading.split(" (")[0])


def _code(heading: str, level: str = "##") -> str:
    """The first fenced block under the heading."""
    _, _, rest = PAGE.partition(f"\n{level} {heading}\n")
    return next(content for _, _, content in blocks(rest))


def _result(out: str) -> str:
    """The last line; curl prints the status in place of a name."""
    last = out.strip().splitlines()[-1]
    return {"202": "accepted", "200": "accepted", "422": "refused", "409": "refused", "503": "later"}.get(last, last)


async def start(recipe: Recipe, code: str, url: str, folder: Path) -> asyncio.subprocess.Process:
    """The program that runs the code."""
    if shutil.which(recipe.command[0]) is None:
        pytest.skip(f"{recipe.command[0]} runs this recipe: install it")
    file = folder / recipe.file
    file.write_text(code)
    home = {
        "HOME": str(folder),
        "GOCACHE": str(folder / "go-cache"),
        "GOPATH": str(folder / "go"),
        "GO111MODULE": "off",
    }
    environment = {**os.environ, **home, "SIDECAR_URL": url, "SIDECAR_API_KEY": KEY}
    return await asyncio.create_subprocess_exec(
        *recipe.command,
        str(file),
        env=environment,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def run(recipe: Recipe, code: str, url: str, folder: Path) -> tuple[str, str]:
    """What it prints last, and its stderr."""
    process = await start(recipe, code, url, folder)
    async with asyncio.timeout(SECONDS):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return _result(out.decode()), err.decode()


@asynccontextmanager
async def serving(handler: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[str]:
    """A server of the test's own; gives its address."""
    app = web.Application()
    app.router.add_post("/v1/conversions", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture
async def sidecar(starter: Starter) -> AsyncIterator[str]:
    """The address of a sidecar that asks for a key."""
    (starter.folder / "config.yaml").write_text(
        f"server: {{port: 0, api_keys: [{KEY}]}}\nmicrosoft: {{environment: emulator}}\ndelivery: {{linger: 50ms}}\n"
    )
    running: Running = await starter.start("run", "--config", "config.yaml")
    yield await running.output_matching(r"listening on (http://\S+)")


@every_recipe
async def test_recipe_reports_a_conversion_that_is_accepted(recipe: Recipe, sidecar: str, tmp_path: Path) -> None:
    """It reads SIDECAR_URL and SIDECAR_API_KEY, makes an order of its own, and names the result."""
    result, err = await run(recipe, recipe.code(), sidecar, tmp_path)
    assert (result, "not sent" in err, "refused" in err) == ("accepted", False, False)
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as client,
        client.get(f"{sidecar}/v1/conversions") as answer,
    ):
        (row,) = (await answer.json())["items"]
    assert (row["value"], row["currency"], row["event"]) == (99.99, "USD", "purchase")


@every_recipe
async def test_recipe_names_a_refusal_and_says_why(recipe: Recipe, sidecar: str, tmp_path: Path) -> None:
    code = recipe.code().replace("purchase", "purchse")
    result, err = await run(recipe, code, sidecar, tmp_path)
    assert result == "refused"
    assert recipe.heading == "curl" or "did you mean purchase?" in err


@every_recipe
async def test_recipe_waits_for_as_long_as_retry_after_says(recipe: Recipe, tmp_path: Path) -> None:
    """503 with Retry-After, then 202: the very same body, and not before the time."""
    loop, came = asyncio.get_running_loop(), []

    async def answered(request: web.Request) -> web.Response:
        came.append((loop.time(), await request.read(), request.headers.get("Authorization")))
        if len(came) == 1:
            return web.json_response({}, status=503, headers={"Retry-After": "3"})
        return web.json_response({"id": "conv_1"}, status=202)

    async with serving(answered) as url:
        result, _ = await run(recipe, recipe.code(), url, tmp_path)
    (first, body, key), (second, again, _) = came
    assert (result, again, key) == ("accepted", body, f"Bearer {KEY}")
    assert second - first >= 2.9


@every_recipe
async def test_recipe_gives_up_by_name(recipe: Recipe, tmp_path: Path) -> None:
    """What cannot be sent now is for later, and the log has it."""

    async def answered(request: web.Request) -> web.Response:
        return web.json_response({}, status=503, headers={"Retry-After": "1"})

    async with serving(answered) as url:
        result, err = await run(recipe, recipe.code(), url, tmp_path)
    assert result == "later"
    assert recipe.heading == "curl" or "not sent yet: 503" in err


@every_helper
async def test_helper_reports_the_conversion_with_its_order_and_customer(
    helper: Helper, sidecar: str, tmp_path: Path
) -> None:
    result, err = await run(helper.run_as(), helper.code(), sidecar, tmp_path)
    assert (result, err) == ("accepted", "")
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as client,
        client.get(f"{sidecar}/v1/conversions") as answer,
    ):
        (row,) = (await answer.json())["items"]
    assert (row["value"], row["currency"], row["event"]) == (99.99, "USD", "purchase")
    assert row["matched_by"] == ["email", "phone"]


@every_helper
async def test_helper_keeps_no_page_waiting_and_repeats_after_a_lost_answer(helper: Helper, tmp_path: Path) -> None:
    """The page is out before any answer; one is lost, one says when to come back, and the same body is repeated."""
    loop, came, page_is_out = asyncio.get_running_loop(), [], asyncio.Event()

    async def answered(request: web.Request) -> web.Response:
        came.append((loop.time(), await request.read()))
        await page_is_out.wait()
        if len(came) == 1:
            assert request.transport is not None
            request.transport.abort()
        if len(came) == 2:
            return web.json_response({}, status=503, headers={"Retry-After": "2"})
        return web.json_response({"id": "conv_1"}, status=202)

    async with serving(answered) as url, asyncio.timeout(SECONDS):
        process = await start(helper.run_as(), helper.code(), url, tmp_path)
        assert process.stdout is not None and process.stderr is not None
        assert await process.stdout.readline() == b"the page goes out\n", (await process.stderr.read()).decode()
        page_is_out.set()
        out, err = await process.communicate()
    assert (process.returncode, out.strip()) == (0, b"accepted"), err.decode()
    _, second, third = came
    assert {body for _, body in came} == {third[1]}
    assert third[0] - second[0] >= 1.9


@every_helper
async def test_helper_takes_a_customer_without_phone(helper: Helper, sidecar: str, tmp_path: Path) -> None:
    """Null and absent are the same to the sidecar."""
    without = {"Go": ', Phone: "+1 425 555 0123"', "Java": '"+1 425 555 0123"'}
    found = re.search(r""", ['"]?phone['"]?(:| =>) ['"]\+1 425 555 0123['"]""", helper.code())
    part = without.get(helper.heading.split(":")[0]) or (found and found[0])
    assert part and part in helper.code()
    code = helper.code().replace(part, "null" if helper.heading.startswith("Java") else "")
    assert await run(helper.run_as(), code, sidecar, tmp_path) == ("accepted", "")


def test_every_section_with_code_is_run_or_named_as_not_run() -> None:
    sections = re.split(r"\n## ", PAGE.partition("\n## Many at once")[0])[1:]
    headings = {section.partition("\n")[0] for section in sections} - {IN_ONE_CALL}
    inside = next(section for section in sections if section.startswith(IN_ONE_CALL))
    headings |= set(re.findall(r"^### (.*)$", inside, re.MULTILINE))
    assert headings == {each.heading for each in (*RECIPES, *HELPERS)} | NOT_RUN


def test_needed_imports_of_the_java_helper_are_named() -> None:
    assert all(f"`{line}`" in PAGE for helper in HELPERS for line in helper.imports)


def test_every_example_reads_address_and_key_from_the_environment_and_has_no_date() -> None:
    sending = [content for _, _, content in blocks(PAGE) if "/v1/c" in content]
    assert len(sending) == 16
    for content in sending:
        shared = "import requests" in content  # its address is the other recipe's
        assert shared or ("SIDECAR_URL" in content and "SIDECAR_API_KEY" in content)
        assert not _DATE.search(content)


def test_every_recipe_has_order_ids_of_its_own() -> None:
    """A second language that is tried the same day must not meet the order of the first."""
    beginnings = {found[1] for r in RECIPES if (found := re.search(r"([A-Z]{2,8})-[$#{%\"']", _code(r.heading)))}
    assert len(beginnings) == len(RECIPES)
