"""The dashboard: what is served, under which policy; vendored libraries are what their authors published."""

import gzip
import hashlib
import json
import re
from pathlib import Path

import pytest
from api_kit import OpenApi

from sidecar.dashboard.pages import DashboardPages
from sidecar.troubles import CATALOGUE

STATIC = Path(__file__).parents[2] / "sidecar" / "dashboard" / "static"
VENDOR = STATIC / "vendor"
OURS = sorted(path for path in STATIC.rglob("*") if path.is_file() and VENDOR not in path.parents)
MAX_BYTES = 150_000


async def test_page_and_each_of_its_files_are_served_under_a_policy(open_api: OpenApi) -> None:
    api = await open_api()
    served = {"/": "text/html"} | {f"/dashboard/{path}": "" for path in DashboardPages.of_package().contents}
    del served["/dashboard/index.html"]
    for address, content_type in served.items():
        answer = await api.get(address, headers={"Accept-Encoding": "identity"})
        assert answer.status == 200, address
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert answer.headers["Content-Type"].startswith(content_type)


@pytest.mark.parametrize(
    "path", ["index.html", "pages.py", "../pages.py", "%2e%2e/pages.py", "vendor", "nothing.js", "vendor/uplot/LICENSE"]
)
async def test_nothing_else_is_served(open_api: OpenApi, path: str) -> None:
    api = await open_api()
    answer = await api.get(f"/dashboard/{path}")
    assert (answer.status, answer.headers["Content-Type"]) == (404, "application/problem+json")


def test_vendored_files_are_those_of_the_manifest() -> None:
    manifest = json.loads((VENDOR / "manifest.json").read_text("utf-8"))
    listed = {f"{name}/{path}": digest for name, pack in manifest.items() for path, digest in pack["files"].items()}
    there = {str(path.relative_to(VENDOR)) for path in VENDOR.rglob("*") if path.is_file()} - {"manifest.json"}
    assert there == listed.keys()
    assert {path: hashlib.sha256((VENDOR / path).read_bytes()).hexdigest() for path in there} == listed
    assert all(pack["license"] and pack["version"] and "LICENSE" in pack["files"] for pack in manifest.values())


@pytest.mark.parametrize(
    ("accepted", "is_compressed"),
    [
        *((text, True) for text in ("gzip", "gzip, deflate, br", "br, GZIP ;q=0.5", "deflate,gzip;q=1.0")),
        *((text, False) for text in ("", "identity", "br", "gzip;q=0", "gzip; q=0.0, br", "x-gzip")),
    ],
)
async def test_file_is_compressed_for_whom_accepts_it(open_api: OpenApi, accepted: str, is_compressed: bool) -> None:
    api = await open_api()
    async with api.client.get(
        f"http://{api.host}:{api.port}/dashboard/app.js", headers={"Accept-Encoding": accepted}
    ) as answer:
        body = await answer.read()
        assert (answer.headers.get("Content-Encoding") == "gzip") is is_compressed
        assert answer.headers["Vary"] == "Accept-Encoding"
    assert (gzip.decompress(body) if is_compressed else body) == (STATIC / "app.js").read_bytes()


@pytest.mark.parametrize("keys", [(), ("test-key-0123456789",)])
async def test_page_says_whether_its_examples_need_a_key(open_api: OpenApi, keys: tuple[str, ...]) -> None:
    """No script can see that the browser sent one."""
    api = await open_api(keys=keys)
    given = {"Authorization": f"Bearer {keys[0]}"} if keys else {}
    page = await api.get("/", headers={"Accept-Encoding": "identity", **given})
    assert ("<html data-key " in page.text) is bool(keys)


def test_page_with_all_its_files_is_light() -> None:
    """As a browser gets it."""
    assert sum(map(len, DashboardPages.of_package().compressed.values())) < MAX_BYTES


@pytest.mark.parametrize("path", OURS, ids=lambda path: str(path.relative_to(STATIC)))
def test_no_file_of_ours_needs_more_than_the_policy_allows(path: Path) -> None:
    """No inline script, handler or style; no address of another host; no markup from text."""
    text = path.read_text("utf-8")
    assert not re.search(
        r"<script(?![^>]*\bsrc=)|\sstyle=[\"']|\son[a-z]+=[\"']|innerHTML|insertAdjacentHTML|\beval\(|unsafe", text
    )
    addresses = set(re.findall(r"https?://[^\s\"'`)]+", text)) - {"http://www.w3.org/2000/svg"}
    assert addresses <= ALLOWED_ADDRESSES
    assert len(text.splitlines()) <= 400


ALLOWED_ADDRESSES = {"http://localhost:8077"}
"""In texts to copy. The page itself calls only its own origin."""


def test_page_has_a_remedy_for_each_trouble_of_the_catalogue() -> None:
    """A button or a plain word beside every problem; `tests/browser` shows each of them."""
    table = re.search(
        r"const REMEDIES = \{(.*?)\n\};", (STATIC / "views" / "remedies.js").read_text("utf-8"), re.DOTALL
    )
    assert table is not None
    assert re.findall(r"^  (\w+): ", table[1], re.MULTILINE) == list(CATALOGUE)
