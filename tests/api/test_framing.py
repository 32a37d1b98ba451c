"""Connections: what is no HTTP, who sends nothing, and how many there may be."""

import asyncio
import contextlib

import pytest
from api_kit import Api, OpenApi

from sidecar.api.door import DoorLimits

GET = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /v1/conversions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        POST + b"Content-Length: -1\r\n\r\n",
        POST + b"Content-Length: +2\r\n\r\n{}",
        POST + b"Content-Length: 0x2\r\n\r\n{}",
        POST + b"Content-Length : 2\r\n\r\n{}",
        GET + b"Host: localhost\r\n\r\n",
        GET + b"Host: evil.example\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\n folded\r\n\r\n",
        b"GET /livez HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET /li vez HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % (b"x" * 9_000),
        GET + b"X: %s\r\n\r\n" % (b"x" * 9_000),
        GET + b"X: 1\r\n" * 200 + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50,
        b"BREW /livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"hello\r\n\r\n",
    ],
)
async def test_what_is_no_valid_http_is_400_and_closed(api: Api, sent: bytes) -> None:
    """Request smuggling: duplicate Content-Length, both framings, two hosts or none."""
    came = await api.raw(sent)
    assert came.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
    assert b"urn:sidecar:problem:malformed_request" in came
    assert b"X-Request-Id: request-1\r\n" in came
    assert b"Server: sidecar\r\n" in came
    assert came.count(b"HTTP/1.") == 1
    assert api.pending == 0


async def test_old_http_without_a_host_is_misdirected(api: Api) -> None:
    assert (await api.raw(b"GET /livez HTTP/1.0\r\n\r\n")).split()[1] == b"421"


async def test_connection_that_sends_nothing_is_closed(open_api: OpenApi) -> None:
    api = await open_api(door=DoorLimits(idle_seconds=0.05))
    assert await api.raw(b"") == b""


async def test_connection_that_dribbles_its_headers_is_closed(open_api: OpenApi) -> None:
    api = await open_api(door=DoorLimits(idle_seconds=0.1))
    reader, writer = await asyncio.open_connection(api.host, api.port)
    loop = asyncio.get_running_loop()
    started = loop.time()
    closed = False
    try:
        writer.write(GET)
        while not closed and loop.time() - started < 10:
            writer.write(b"X: y\r\n")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reader.read(), 0.01)
            closed = reader.at_eof()
    except ConnectionError:
        closed = True
    assert closed
    writer.close()


async def test_dribbling_a_second_request_is_no_way_round(open_api: OpenApi) -> None:
    api = await open_api(door=DoorLimits(idle_seconds=0.1))
    came = await api.raw(GET + b"\r\nGET /livez HT")
    assert came.count(b"HTTP/1.1 200 OK") == 1


async def test_idle_connection_is_kept_no_longer_than_that(open_api: OpenApi) -> None:
    api = await open_api(door=DoorLimits(idle_seconds=0.05))
    assert (await api.raw(GET + b"\r\n")).startswith(b"HTTP/1.1 200 OK")
    assert DoorLimits().idle_seconds <= 15


async def test_connections_beyond_the_limit_are_told_and_closed(open_api: OpenApi) -> None:
    api = await open_api(door=DoorLimits(connections=3))
    held = [await asyncio.open_connection(api.host, api.port) for _ in range(3)]
    for reader, writer in held:
        writer.write(GET + b"\r\n")
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
    came = await api.raw(b"")
    assert came.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 1\r\n" in came
    assert b"X-Request-Id: request-4\r\n" in came
    for _, writer in held:
        writer.close()
    for _ in range(100):
        if (await api.get("/livez")).status == 200:
            break
    assert (await api.get("/livez")).status == 200
    assert DoorLimits().connections == 4_096


async def test_three_hundred_slow_connections_do_not_keep_others_waiting(open_api: OpenApi) -> None:
    api = await open_api(door=DoorLimits(idle_seconds=1))
    slow = [await asyncio.open_connection(api.host, api.port) for _ in range(300)]
    for _, writer in slow:
        writer.write(GET)
    async with asyncio.timeout(5):
        assert (await api.get("/livez")).status == 200
        assert [await reader.read() for reader, _ in slow] == [b""] * 300
    for _, writer in slow:
        writer.close()
