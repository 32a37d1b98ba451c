"""GET /logs and GET /metrics, over HTTP, with the journal and the outbox they read."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient
from claim_kit import claim_of
from place_kit import OutboxPlace
from store_kit import running_store

from sidecar.api.http.problem import HttpProblem
from sidecar.api.logs import LogCalls
from sidecar.api.metrics import MetricsCalls
from sidecar.api.request.query import to_cursor
from sidecar.core.answer import Lost
from sidecar.core.instant import UnixMillis
from sidecar.core.unstored import What
from sidecar.ports.journal import JournalEntry, JournalPage, JournalQuery, StoredEntry
from sidecar.store.sql.journal import SqlJournal
from sidecar.telemetry import DeadRow, Telemetry, TracesOfOrders
from sidecar.telemetry.followers import MAX_FOLLOWERS

NOW = 1_790_000_000_000
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Client = TestClient[web.Request, web.Application]


@dataclass
class Service:
    """A telemetry, its journal, and a client that may read them."""

    telemetry: Telemetry
    journal: SqlJournal
    client: Client

    async def publish(self, *batches: int) -> None:
        """Let the journal keep one fact per batch number."""
        for number in batches:
            self.telemetry.delivery.batch_halved(claim_of(number, 10))
        await self.telemetry.flush(self.journal)

    async def get(self, query: str = "", **headers: str) -> ClientResponse:
        return await self.client.get(f"/logs{query}", headers=headers)

    async def items(self, query: str = "") -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = (await (await self.get(query)).json())["items"]
        return items


@web.middleware
async def with_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except HttpProblem as problem:
        return problem.reply()


@pytest.fixture
async def service(
    outbox_place: OutboxPlace, aiohttp_client: Callable[[web.Application], Awaitable[Client]]
) -> AsyncIterator[Service]:
    clock = iter(range(NOW, NOW + 10**9, 1_000))
    async with running_store(outbox_place.url, lambda: UnixMillis(NOW)) as store:
        telemetry = Telemetry(lambda: UnixMillis(next(clock)), level="error", fd=2)
        app = web.Application(middlewares=[with_problems])
        traces = TracesOfOrders(telemetry.intake.traces, store.unstored)
        page = LogCalls(store.journal, telemetry.followers, heartbeat_seconds=0.05, traces=traces)
        app.router.add_get("/logs", page.get)
        app.router.add_get("/metrics", MetricsCalls(store.outbox, telemetry).get)
        yield Service(telemetry, store.journal, await aiohttp_client(app))
        telemetry.followers.close()
        telemetry.close()


# --- pages -----------------------------------------------------------------------------------------------------------


async def test_facts_come_newest_first_in_the_words_of_the_journal(service: Service) -> None:
    await service.publish(1, 2)
    response = await service.get()
    assert response.status == 200
    assert response.content_type == "application/json"
    body = await response.json()
    assert body["next_cursor"] is None
    assert [item["batch_id"] for item in body["items"]] == [2, 1]
    assert body["items"][1] == {
        "time": "2026-09-21T14:13:20Z",
        "level": "info",
        "name": "batch_halved",
        "message": "batch 1 of 10 rows was cut in two, to find the row that spoils it",
        "account": "main",
        "batch_id": 1,
        "count": 10,
    }


async def test_browser_is_led_to_the_log_view_with_the_filters_and_scripts_are_not(service: Service) -> None:
    address = "/logs?level=warning&order_id=A%26B+1&limit=7&follow=1&cursor=x"
    browser = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    led = await service.client.get(address, headers=browser, allow_redirects=False)
    assert (led.status, led.headers["Location"]) == (302, "./#/logs?level=warning&order_id=A%26B+1")
    plain = await service.client.get("/logs", headers=browser, allow_redirects=False)
    assert plain.headers["Location"] == "./#/logs"
    for accept in ("*/*", "application/json", "application/x-ndjson"):
        assert (await service.client.get("/logs", headers={"Accept": accept}, allow_redirects=False)).status == 200


async def test_cursor_leads_through_all_pages(service: Service) -> None:
    await service.publish(*range(25))
    seen, cursor = [], ""
    while cursor is not None:
        body = await (await service.get(f"?limit=10{cursor and '&cursor=' + cursor}")).json()
        seen += [item["batch_id"] for item in body["items"]]
        cursor = body["next_cursor"]
    assert seen == list(reversed(range(25)))


async def test_without_limit_a_page_has_a_hundred(service: Service) -> None:
    await service.publish(*range(101))
    assert len(await service.items()) == 100
    assert len(await service.items("?limit=1000")) == 101


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("?level=info", 3),
        ("?level=warning", 1),
        ("?level=error", 0),
        ("?name=batch_halved", 2),
        ("?account=main", 2),
        ("?account=other", 1),
        ("?order_id=ORDER-1", 0),
        ("?conversion_id=conv_1", 0),
        ("?since=2026-09-21T14:13:21Z", 2),
        ("?since=2026-09-21T16:13:21%2B02:00&until=2026-09-21T14:13:22Z", 1),
        ("?account=main&level=warning", 0),
    ],
)
async def test_filters_narrow(service: Service, query: str, count: int) -> None:
    await service.publish(1, 2)
    service.telemetry.delivery.batch_lost(claim_of(3, 1, "other"), Lost("reset"), seconds=1)
    await service.telemetry.flush(service.journal)
    assert len(await service.items(query)) == count


@pytest.mark.parametrize(
    ("query", "field", "hint"),
    [
        ("?limit=0", "limit", "from 1 to 1000"),
        ("?limit=1001", "limit", "from 1 to 1000"),
        ("?limit=ten", "limit", "whole number"),
        ("?limit=%D9%A1", "limit", "whole number"),
        ("?limit=5&limit=6", "limit", "twice"),
        ("?level=loud", "level", "debug, info, warning, error"),
        ("?name=batch_setled", "name", "did you mean batch_settled?"),
        ("?name=x", "name", "docs/operating.md"),
        ("?account=", "account", "1 to 200"),
        ("?since=yesterday", "since", "2026-11-23T15:30:45+01:00"),
        ("?until=2026-11-23T15:30:45", "until", "offset"),
        ("?cursor=-1", "cursor", "next_cursor"),
        ("?cursor=17", "cursor", "next_cursor"),
        ("?follow=yes", "follow", "1"),
        (f"?follow=1&cursor={to_cursor(5)}", "cursor", "leave out"),
        ("?orderid=1", "orderid", "order_id"),
        ("?order_id=someone@example.com", "order_id", "conversion_id"),
    ],
)
async def test_what_cannot_be_used_is_422_with_the_parameter_and_a_hint(
    service: Service, query: str, field: str, hint: str
) -> None:
    response = await service.get(query)
    assert response.status == 422
    assert response.content_type == "application/problem+json"
    (error,) = (await response.json(content_type=None))["errors"]
    assert error["field"] == field
    assert hint in error["message"]


async def test_all_problems_are_named_at_once(service: Service) -> None:
    response = await service.get("?limit=0&level=loud&nonsense=1")
    errors = (await response.json(content_type=None))["errors"]
    assert {error["field"] for error in errors} == {"limit", "level", "nonsense"}


async def test_ndjson_is_one_object_a_line_with_the_cursor_in_a_header(service: Service) -> None:
    await service.publish(1, 2, 3)
    response = await service.get("?limit=2", Accept="application/x-ndjson")
    assert response.content_type == "application/x-ndjson"
    assert [json.loads(line)["batch_id"] for line in (await response.text()).splitlines()] == [3, 2]
    rest = await service.items(f"?cursor={response.headers['X-Next-Cursor']}")
    assert [item["batch_id"] for item in rest] == [1]


# --- watching --------------------------------------------------------------------------------------------------------


async def next_event(response: ClientResponse, kind: str | None = None) -> dict[str, str]:
    """The next server-sent event of that kind; heartbeats are none."""
    event: dict[str, str] = {}
    async with asyncio.timeout(60):
        while line := (await response.content.readline()).decode():
            if line == "\n" and event:
                if event.get("event") == kind:
                    return event
                event = {}
            name, _, value = line.rstrip("\n").partition(": ")
            if name:
                event[name] = value
    return event


def large_fact(seq: int) -> StoredEntry:
    """A fact of 10 kB, so that a few hundred fill every buffer between two sockets."""
    message = "x" * 10_000
    return StoredEntry(
        seq, JournalEntry(time=UnixMillis(NOW), level="info", name="batch", message=message, batch_id=seq)
    )


async def batches(response: ClientResponse, count: int) -> list[int]:
    return [json.loads((await next_event(response))["data"])["batch_id"] for _ in range(count)]


async def test_watch_begins_with_what_was_and_goes_on_with_what_comes(service: Service) -> None:
    await service.publish(1, 2)
    response = await service.get("?follow=1")
    assert response.content_type == "text/event-stream"
    assert await batches(response, 2) == [1, 2]
    await service.publish(3)
    event = await next_event(response)
    assert event["id"] == "3"
    assert json.loads(event["data"])["batch_id"] == 3


async def test_watch_says_where_its_first_page_goes_on(service: Service) -> None:
    await service.publish(*range(1, 8))
    response = await service.get("?follow=1&limit=3")
    page = json.loads((await next_event(response, "page"))["data"])
    older = await service.items(f"?limit=3&cursor={page['next_cursor']}")
    assert [item["batch_id"] for item in older] == [4, 3, 2]


async def test_watch_of_a_short_journal_has_nothing_older(service: Service) -> None:
    response = await service.get("?follow=1")
    assert json.loads((await next_event(response, "page"))["data"]) == {"next_cursor": None}


async def test_watch_resumes_after_the_last_event_without_gap_or_repeat(service: Service) -> None:
    await service.publish(*range(1, 251))
    headers = {"Last-Event-ID": "100"}
    response = await service.get("?follow=1", **headers)
    assert await batches(response, 150) == list(range(101, 251))
    await service.publish(251)
    assert await batches(response, 1) == [251]


async def test_watch_that_resumes_after_nonsense_is_422(service: Service) -> None:
    headers = {"Last-Event-ID": "abc"}
    response = await service.get("?follow=1", **headers)
    assert response.status == 422


async def test_watch_of_a_journal_that_began_again_shows_new_events(service: Service) -> None:
    headers = {"Last-Event-ID": "1000000"}
    response = await service.get("?follow=1", **headers)
    await response.content.readline()
    await service.publish(1)
    assert await batches(response, 1) == [1]


async def test_fact_that_comes_while_the_page_is_read_comes_once(
    service: Service, aiohttp_client: Callable[[web.Application], Awaitable[Client]]
) -> None:
    """It is in the page, and was handed to those who follow already."""

    class Late(SqlJournal):
        async def read(self, query: JournalQuery) -> JournalPage:
            await service.publish(7)
            return await super().read(query)

    page = LogCalls(Late(service.journal.committer, service.journal.reader), service.telemetry.followers)
    app = web.Application(middlewares=[with_problems])
    app.router.add_get("/logs", page.get)
    client = await aiohttp_client(app)
    response = await client.get("/logs?follow=1")
    assert await batches(response, 1) == [7]
    await service.publish(8)
    assert await batches(response, 1) == [8]


async def test_watch_shows_only_what_fits_the_filter(service: Service) -> None:
    await service.publish(1)
    response = await service.get("?follow=1&level=warning")
    await response.content.readline()
    await service.publish(2)
    service.telemetry.delivery.batch_lost(claim_of(3, 1), Lost("reset"), seconds=1)
    await service.telemetry.flush(service.journal)
    assert await batches(response, 1) == [3]


async def test_quiet_watch_is_kept_alive(service: Service) -> None:
    response = await service.get("?follow=1")
    async with asyncio.timeout(60):
        heard = [(await response.content.readline()).decode() for _ in range(9)]
    assert heard[:2] + heard[5:] == [": still here\n", "\n"] * 3


async def test_client_that_does_not_read_misses_a_counted_number_and_delays_no_other(service: Service) -> None:
    quick = await service.get("?follow=1")
    reader_, writer_ = await asyncio.open_connection(service.client.host, service.client.port, limit=2**14)
    writer_.write(b"GET /logs?follow=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    await reader_.readuntil(b": still here")
    told = 0
    for _ in range(20):
        facts = [large_fact(seq) for seq in range(told + 1, told + 201)]
        told += len(facts)
        service.telemetry.followers.offer(facts)
        assert await batches(quick, 200) == [fact.seq for fact in facts]
    service.telemetry.followers.close()
    text = (await reader_.read()).decode()
    writer_.close()
    got = [int(number) for number in re.findall(r"^id: (\d+)\r?$", text, re.MULTILINE)]
    missed = sum(
        json.loads(data)["missed"] for data in re.findall(r"^event: gap\s+data: (.*?)\r?$", text, re.MULTILINE)
    )
    assert got == sorted(set(got))
    assert missed > 0
    assert len(got) + missed == told


async def test_watchers_are_limited_and_a_place_is_free_again_when_one_leaves(service: Service) -> None:
    watching = [await service.get("?follow=1") for _ in range(MAX_FOLLOWERS)]
    refused = await service.get("?follow=1")
    assert refused.status == 503
    assert refused.content_type == "application/problem+json"
    assert refused.headers["Retry-After"] == "15"
    watching[0].close()
    async with asyncio.timeout(60):
        while (await service.get("?follow=1")).status == 503:
            await asyncio.sleep(0)


async def test_watch_ends_when_the_service_stops(service: Service) -> None:
    response = await service.get("?follow=1")
    await response.content.readline()
    service.telemetry.service.stopping("SIGTERM")
    await service.telemetry.flush(service.journal)
    event = await next_event(response)
    assert json.loads(event["data"])["name"] == "stopping"
    assert await next_event(response) == {}


# --- metrics ---------------------------------------------------------------------------------------------------------


async def test_metrics_are_what_a_scraper_expects(service: Service) -> None:
    service.telemetry.intake.received("purchase", ("email",), 2)
    response = await service.client.get("/metrics")
    assert response.status == 200
    assert response.headers["Content-Type"].startswith("text/plain; version=")
    text = await response.text()
    assert 'sidecar_conversions_received_total{event="purchase"} 2.0' in text
    assert 'sidecar_outbox_rows{state="pending"} 0.0' in text
    assert "sidecar_outbox_oldest_due_seconds 0.0" in text
    assert "_created" not in text


async def test_scraper_that_asks_for_openmetrics_gets_it(service: Service) -> None:
    accept = "application/openmetrics-text; version=1.0.0"
    response = await service.client.get("/metrics", headers={"Accept": accept})
    assert response.headers["Content-Type"].startswith("application/openmetrics-text")
    assert (await response.text()).endswith("# EOF\n")


# --- Orders that were not stored -------------------------------------------------------------------------------------


def not_stored(service: Service, order_id: str = "R-1", codes: Sequence[str] = ("too_old",), **given: Any) -> None:
    item = {"order_id": order_id, "event": "purchase", "account": "main", **given}
    what = What.SKIPPED if codes == ("consent_denied",) else What.REFUSED
    service.telemetry.intake.not_stored(item, what, codes, "request-1")


async def test_facts_about_an_order_have_what_was_not_stored_of_it_among_them(service: Service) -> None:
    not_stored(service, codes=("consent_denied",))
    service.telemetry.delivery.rows_died(
        [DeadRow(conversion_id="conv_1", account="main", trouble="poison", error="X", order_id="R-1")]
    )
    not_stored(service)
    not_stored(service, "R-2")
    await service.telemetry.flush(service.journal)
    items = await service.items("?order_id=R-1")
    assert [(item["name"], item["level"], item.get("error")) for item in items] == [
        ("refused", "warning", "too_old"),
        ("row_died", "warning", "X"),
        ("skipped", "info", "consent_denied"),
    ]
    assert (items[0]["order_id"], items[0]["account"], items[0]["count"]) == ("R-1", "main", 1)
    assert items[0]["message"].startswith("purchase of account main was refused (too_old) at ")
    lines = (await (await service.get("?order_id=R-1", Accept="application/x-ndjson")).text()).splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["refused", "row_died", "skipped"]


async def test_watch_of_an_order_begins_with_the_traces_of_it(service: Service) -> None:
    """They have no id: a browser that comes back resumes after the last fact of the journal."""
    not_stored(service)
    event = await next_event(await service.get("?follow=1&order_id=R-1"))
    assert json.loads(event["data"])["order_id"] == "R-1"
    assert "id" not in event


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("level=warning", ["refused"]),
        ("name=skipped", ["skipped"]),
        ("name=refused&account=main", ["refused"]),
        ("account=other", []),
        ("conversion_id=conv_1", []),
        ("until=2026-01-01T00:00:00Z", []),
        ("since=2027-01-01T00:00:00Z", []),
        ("limit=1", ["refused"]),
    ],
)
async def test_filters_hold_for_what_was_not_stored_too(service: Service, query: str, names: list[str]) -> None:
    not_stored(service, codes=("consent_denied",))
    not_stored(service)
    assert [item["name"] for item in await service.items(f"?order_id=R-1&{query}")] == names


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
async def test_pages_about_an_order_lose_no_fact_and_end(service: Service, limit: int) -> None:
    for number in range(6):
        service.telemetry.delivery.rows_died(
            [DeadRow(conversion_id=f"conv_{number}", account="main", trouble="poison", error="X", order_id="R-1")]
        )
        not_stored(service, event=f"event_{number}")
    await service.telemetry.flush(service.journal)
    seen, query = [], f"?order_id=R-1&limit={limit}"
    while True:
        page = await (await service.get(query)).json()
        assert len(page["items"]) <= limit
        seen += [item["conversion_id"] for item in page["items"] if "conversion_id" in item]
        if page["next_cursor"] is None:
            break
        query = f"?order_id=R-1&limit={limit}&cursor={page['next_cursor']}"
    assert seen == [f"conv_{number}" for number in reversed(range(6))]
