"""What surrounds every request: its id, a problem for every failure, and no leak of internals."""

import asyncio
import gc
import json
import types
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from api_kit import Api, OpenApi

import sidecar
from sidecar.api.http.connection import ConnectionLimits
from sidecar.api.request.body import BodyLimits
from sidecar.ports.errors import StorageUnavailable


async def fails(request: web.Request) -> web.Response:
    raise RuntimeError("customer@example.com is in this text")


async def full(request: web.Request) -> web.Response:
    raise StorageUnavailable("disk_nearly_full", "less than storage.min_free_disk is left")


async def breaks_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"begun")
    raise RuntimeError("half way")


async def streams(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write_eof(b"done")
    return response


async def redirects(request: web.Request) -> web.Response:
    raise web.HTTPFound("/elsewhere")


ROUTES = [
    web.get("/fails", fails),
    web.get("/full", full),
    web.get("/breaks-off", breaks_off),
    web.get("/streams", streams),
    web.get("/redirects", redirects),
]


# --- Ids -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["a", "req-17/x:y", "!~", "x" * 128])
async def test_id_of_the_request_is_echoed(api: Api, given: str) -> None:
    assert (await api.get("/livez", headers={"X-Request-Id": given})).headers["X-Request-Id"] == given


@pytest.mark.parametrize("given", ["", "x" * 129, "two words", "é", "a\tb", "\xa0"])
async def test_id_that_might_do_harm_is_replaced(api: Api, given: str) -> None:
    assert (await api.get("/livez", headers={"X-Request-Id": given})).headers["X-Request-Id"] == "request-1"


async def test_every_answer_has_an_id_and_names_no_version(open_api: OpenApi, conversion: dict[str, Any]) -> None:
    api = await open_api(routes=ROUTES)
    answers = [
        await api.post(conversion),
        await api.post({}),
        await api.post(b"{"),
        await api.get("/nowhere"),
        await api.get("/v1/validate"),
        await api.get("/livez", headers={"Host": "evil.example"}),
        await api.get("/full"),
        await api.get("/streams"),
        await api.get("/redirects"),
        await api.get("/livez", headers={"Expect": "the unexpected"}),
    ]
    assert [answer.status for answer in answers] == [202, 422, 400, 404, 405, 421, 503, 200, 302, 200]
    ids = [answer.headers["X-Request-Id"] for answer in answers]
    assert len(set(ids)) == len(answers)
    assert {answer.headers["Server"] for answer in answers} == {"sidecar"}


NO_HTTP = b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n"
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}


async def test_every_answer_is_kept_from_pages_and_their_caches(open_api: OpenApi, conversion: dict[str, Any]) -> None:
    api = await open_api(routes=ROUTES, bodies=BodyLimits(max_bytes=9_000))
    followed = asyncio.create_task(api.get("/logs?follow=1"))
    answers = [
        await api.post(conversion),
        await api.post({}),
        await api.post(b" " * 9_001),
        await api.post(conversion, headers={"Content-Type": "text/plain"}),
        await api.get("/nowhere"),
        await api.get("/v1/validate"),
        await api.get("/livez", headers={"Host": "evil.example"}),
        await api.get("/logs", headers={"Sec-Fetch-Site": "cross-site"}),
        await api.get("/full"),
        await api.get("/streams"),
        await api.get("/redirects"),
        await api.get("/msclkid.js"),
        await api.get("/openapi.json"),
        await api.call("HEAD", "/healthz"),
    ]
    api.telemetry.followers.close()
    answers.append(await followed)
    statuses = [202, 422, 413, 415, 404, 405, 421, 403, 503, 200, 302, 200, 200, 200, 200]
    assert [answer.status for answer in answers] == statuses
    for answer in answers:
        assert {name: answer.headers.getall(name) for name in ALWAYS} == {name: [ALWAYS[name]] for name in ALWAYS}


async def test_answer_to_one_connection_too_many_is_kept_from_pages_too(
    open_api: OpenApi,
) -> None:
    crowded = await open_api(connections=ConnectionLimits(connections=0))
    said = await crowded.raw(NO_HTTP)
    assert said.startswith(b"HTTP/1.1 503 ")
    assert all(f"\r\n{name}: {value}\r\n".encode() in said for name, value in ALWAYS.items())


async def test_answer_to_what_is_no_http_is_kept_from_pages_too(api: Api) -> None:
    said = await api.raw(NO_HTTP)
    assert said.split()[1] == b"400"
    assert all(f"\r\n{name}: {value}\r\n".encode() in said for name, value in ALWAYS.items())


# --- How long a connection is kept -----------------------------------------------------------------------------------

GET = b"GET /livez HTTP/1.%b\r\nHost: localhost\r\n%b\r\n"


async def test_answers_on_a_kept_connection_say_how_long_it_may_be_idle(open_api: OpenApi) -> None:
    api = await open_api(connections=ConnectionLimits(idle_seconds=1.5))
    last = GET % (b"1", b"Connection: close\r\n")
    came = await api.raw(GET % (b"1", b"") + last)
    assert came.count(b"HTTP/1.1 200 ") == 2
    assert came.count(b"\r\nKeep-Alive: timeout=1\r\n") == 1


@pytest.mark.parametrize(
    ("version", "header", "kept"), [(b"0", b"", False), (b"0", b"Connection: keep-alive\r\n", True)]
)
async def test_only_a_persistent_connection_of_http_1_0_announces_its_idle_time(
    open_api: OpenApi, version: bytes, header: bytes, kept: bool
) -> None:
    api = await open_api(connections=ConnectionLimits(idle_seconds=1))
    assert (b"Keep-Alive: timeout=1" in await api.raw(GET % (version, header))) is kept


@pytest.mark.parametrize(
    ("version", "header", "is_kept"),
    [(1, "", True), (1, "Connection: close", False), (0, "", False), (0, "Connection: keep-alive", True)],
)
async def test_answer_to_an_order_says_how_long_its_connection_may_be_idle(
    open_api: OpenApi, conversion: dict[str, Any], version: int, header: str, is_kept: bool
) -> None:
    api = await open_api(connections=ConnectionLimits(idle_seconds=1))
    body = json.dumps(conversion)
    head = f"POST /v1/conversions HTTP/1.{version}\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    more = f"{header}\r\n" if header else ""
    came = await api.raw(f"{head}{more}Content-Length: {len(body)}\r\n\r\n{body}".encode())
    assert came.startswith(b"HTTP/1.%d 202 " % version)
    assert (b"\r\nKeep-Alive: timeout=1\r\n" in came) is is_kept
    assert all(came.count(f"\r\n{name}: {value}\r\n".encode()) == 1 for name, value in ALWAYS.items())


ORDER_HEAD = b"POST /v1/conversions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize("bad", [False, True])
async def test_answer_written_at_once_has_the_head_that_aiohttp_writes(
    api: Api, conversion: dict[str, Any], bad: bool
) -> None:
    body = json.dumps([] if bad else conversion).encode()
    order = b"X-Request-Id: same\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    came = await api.raw(ORDER_HEAD + order + ORDER_HEAD + b"Connection: close\r\n" + order)
    at_once, by_aiohttp = (dict(_headers(answer)) for answer in came.split(b"HTTP/1.1 ")[1:])
    assert at_once.pop("Keep-Alive") == "timeout=15"
    assert by_aiohttp.pop("Connection") == "close"
    if not bad:
        assert by_aiohttp.pop("Idempotent-Replayed") == "true"
    for head in (at_once, by_aiohttp):
        assert parsedate_to_datetime(head.pop("Date")) is not None
    assert at_once == by_aiohttp
    assert "Content-Length" in at_once


def _headers(answer: bytes) -> Iterator[tuple[str, str]]:
    for line in answer.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]:
        name, _, value = line.partition(": ")
        yield name, value


async def test_request_after_a_declined_upgrade_is_answered(api: Api, conversion: dict[str, Any]) -> None:
    body = json.dumps(conversion).encode()
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    came = await api.raw(ORDER_HEAD + upgrade + GET % (b"1", b"Connection: close\r\n"))
    assert [answer[:3] for answer in came.split(b"HTTP/1.1 ")[1:]] == [b"202", b"200"]


async def test_answer_that_ends_its_connection_promises_nothing(api: Api) -> None:
    assert b"Keep-Alive" not in await api.raw(NO_HTTP)


async def test_connection_is_kept_for_fifteen_seconds_by_default(api: Api) -> None:
    assert (await api.get("/livez")).headers["Keep-Alive"] == "timeout=15"


async def test_row_keeps_the_id_of_the_request_that_brought_it(api: Api, conversion: dict[str, Any]) -> None:
    await api.post(conversion, headers={"X-Request-Id": "checkout-9"})
    [(kept,)] = await api.outbox.committer.engine.database.call(
        lambda db: db.execute("SELECT request_id FROM entries").fetchall()
    )
    assert kept == "checkout-9"


# --- Problems --------------------------------------------------------------------------------------------------------


async def test_problem_says_the_same_as_its_status_line(api: Api) -> None:
    """RFC 9457: type, title, status, detail, and errors."""
    for answer in (await api.get("/nowhere"), await api.post(b""), await api.post([]), await api.get("/v1/validate")):
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert list(answer.json) == ["type", "title", "status", "detail", "errors"]
        assert answer.json["status"] == answer.status
        assert answer.json["title"]
        assert answer.json["detail"].endswith((".", "?")) or answer.json["errors"]


@pytest.mark.parametrize(
    "path",
    ["/v1/conversions/", "/v1//conversions", "/V1/conversions", "/v2/conversions", "/v1/conversions/conv_1/nothing"],
)
async def test_path_that_is_not_quite_one_is_404_and_stores_nothing(
    api: Api, conversion: dict[str, Any], path: str
) -> None:
    answer = await api.post(conversion, path=path)
    assert (answer.status, answer.json["type"]) == (404, "urn:sidecar:problem:not_found")
    assert (await api.outbox.counts()).pending == 0


async def test_unknown_path_suggests_a_near_one(api: Api) -> None:
    assert "Did you mean /v1/conversions?" in (await api.post({}, path="/v1/conversion")).json["detail"]
    assert "/openapi.json" in (await api.get("/favicon.ico")).json["detail"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/conversions", "GET, HEAD, POST"),
        ("GET", "/v1/validate", "POST"),
        ("DELETE", "/v1/conversions/conv_1", "GET, HEAD"),
        ("POST", "/healthz", "GET, HEAD"),
        ("PATCH", "/livez", "GET, HEAD"),
    ],
)
async def test_wrong_method_is_405_and_names_the_right_ones(api: Api, method: str, path: str, allowed: str) -> None:
    answer = await api.call(method, path)
    assert (answer.status, answer.headers["Allow"]) == (405, allowed)
    assert allowed in answer.json["detail"]


async def test_unexpected_error_is_a_problem_that_leaks_nothing(open_api: OpenApi) -> None:
    api = await open_api(routes=ROUTES)
    answers = [await api.get("/fails"), await api.get("/fails")]
    assert [answer.status for answer in answers] == [500, 500]
    assert "customer" not in answers[0].text
    assert "RuntimeError" not in answers[0].text
    [trouble] = api.telemetry.board.active("loop_failed")
    assert (trouble.subject, trouble.count) == ("GET /fails, RuntimeError", 2)
    api.world.expected_failures = [trouble.message]


async def test_unexpected_error_of_an_order_names_its_route(api: Api, conversion: dict[str, Any]) -> None:
    api.world.rules = None  # type: ignore[assignment] # no caller can do that
    assert (await api.post(conversion)).status == 500
    [trouble] = api.telemetry.board.active("loop_failed")
    assert trouble.subject == "POST /v1/conversions, AttributeError"
    api.world.expected_failures = [trouble.message]


async def test_error_in_the_middle_of_an_answer_ends_the_connection(open_api: OpenApi) -> None:
    api = await open_api(routes=ROUTES)
    came = await api.raw(b"GET /breaks-off HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert came.endswith(b"5\r\nbegun\r\n")  # and no last chunk: the caller sees that it is not whole
    [trouble] = api.telemetry.board.active("loop_failed")
    api.world.expected_failures = [trouble.message]


async def test_full_disk_is_503_with_its_remedy_and_a_trouble(open_api: OpenApi) -> None:
    api = await open_api(routes=ROUTES)
    answer = await api.get("/full")
    assert (answer.status, answer.codes) == (503, ["disk_nearly_full"])
    assert int(answer.headers["Retry-After"]) > 0
    assert "Free space" in answer.json["errors"][0]["message"]
    assert [trouble.code for trouble in api.telemetry.board.active()] == ["disk_nearly_full"]


async def test_caller_sees_no_text_of_its_own_again(api: Api) -> None:
    """Problems never repeat what was given: it may be somebody's address."""
    canary = "canary@example.com"
    given = {"event": canary, "value": canary, canary: 1, "user": {"email_sha256": canary, "country": canary}}
    answers = [
        await api.post(given),
        await api.post([given]),
        await api.post(given, path="/v1/validate"),
        await api.post(f'{{"{canary}'.encode()),
        await api.get("/v1/conversions", params={"state": canary, "limit": canary, "cursor": canary}),
        await api.get(f"/{canary}"),
    ]
    assert [answer.status for answer in answers] == [422, 422, 200, 400, 422, 404]
    assert not [answer for answer in answers if canary in answer.text]


async def test_requests_on_one_connection_are_answered_in_order(api: Api, conversion: dict[str, Any]) -> None:
    """Keep-alive and pipelining."""
    sent = b""
    for number in range(20):
        body = json.dumps({**conversion, "order_id": str(number)}).encode()
        head = b"POST /v1/conversions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        sent += b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body)
    came = await api.raw(sent + b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    answers = came.split(b"HTTP/1.1 ")[1:]
    assert [int(answer[:3]) for answer in answers] == [202] * 20 + [200]
    assert all(f'"order_id":"{number}"'.encode() in answer for number, answer in enumerate(answers[:20]))


# --- What stays ------------------------------------------------------------------------------------------------------

UNFINISHED = (
    b"POST /v1/conversions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n"
    b"Expect: 100-continue\r\n\r\n[{"
)


async def test_refused_requests_leave_no_circle_that_holds_their_bodies(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    """Circles wait for the collector, which comes late; what is refused must be gone with its answer."""
    refused = [{"event": "nothing"}, {"event": 1}, b"{"]
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        statuses = [(await api.post(bad)).status for bad in refused]
        statuses += [(await api.get("/v1/conversions/conv_9")).status]
        await leave_half_way(api)
        gc.collect()
        frames = [one.f_code for one in gc.garbage if isinstance(one, types.FrameType)]
        ours = [code.co_qualname for code in frames if Path(code.co_filename).is_relative_to(PACKAGE)]
        held = [str(one) for one in gc.garbage if isinstance(one, web.BaseRequest)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert statuses == [422, 422, 400, 404]
    assert (ours, held, caplog.records) == ([], [], [])  # a record would hold its error, and so hide a circle


PACKAGE = Path(sidecar.__file__).parent


async def leave_half_way(api: Api) -> None:
    """Send a part of a body and hang up; returns once the service has noticed."""
    before = len(asyncio.all_tasks())
    reader, writer = await asyncio.open_connection(api.host, api.port)
    writer.write(UNFINISHED)
    await reader.readuntil(b"100 Continue\r\n\r\n")  # the handler waits for the rest
    writer.transport.abort()
    while len(asyncio.all_tasks()) > before:
        await asyncio.sleep(0.001)
