"""Connections: what is no HTTP, who sends nothing, and how many there may be."""

import asyncio
import contextlib
import re
from itertools import product

import pytest
from aiohttp import web
from api_kit import Api, OpenApi
from promises import Show

from sidecar.api.http.connection import ConnectionLimits

GET = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /v1/conversions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNKS = b"2\r\n{}\r\n0\r\n\r\n"
BEHIND = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
"""Sent behind each: who hears two answers could be made to hear one that was meant for another."""

BRIEF = ConnectionLimits(idle_seconds=1)
"""Long enough for a request to be sent, on a busy machine too."""

LENGTHS = [b"Content-Length: %b" % value for value in (b"0", b"2", b"3")]
CODINGS = [b"Transfer-Encoding: %b" % value for value in (b"chunked", b"identity", b"gzip")]

AMBIGUOUS = [
    # Two of what there may be one of, in any order
    *(POST + b"\r\n".join(pair) + b"\r\n\r\n" + CHUNKS for pair in product(LENGTHS + CODINGS, repeat=2)),
    POST + b"content-length: 2\r\nCONTENT-LENGTH: 2\r\n\r\n{}",
    GET + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
    GET + b"Host: localhost\r\n\r\n",
    GET + b"Host: evil.example\r\n\r\n",
    GET + b"host: localhost\r\n\r\n",
    POST + b"Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}",
    b"GET http://evil.example/livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET http://localhost@evil.example/livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
    # No host
    b"GET /livez HTTP/1.1\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nHost : localhost\r\n\r\n",
    # Lengths that are none
    *(
        POST + b"Content-Length:%b\r\n\r\n{}" % value
        for value in (
            *(b"", b" -1", b" -0", b" +2", b" 0x2", b" 2.0", b" 1_0", b" 2 2", b" 2, 2", b" 2,", b" two", b" \xd9\xa2"),
            *(b" 18446744073709551618", b" " + b"9" * 400),
        )
    ),
    POST + b"Content-Length : 2\r\n\r\n{}",
    POST + b" Content-Length: 2\r\n\r\n{}",
    # Codings that are none, or that are not said to be there
    *(
        POST + b"Transfer-Encoding:%b\r\n\r\n" % value + CHUNKS
        for value in (
            *(b"", b" xchunked", b" chunked\x0b", b' "chunked"', b" chunked;q=1", b" chunked, chunked", b" ,chunked"),
            *(b" gzip, chunked", b" chunked, gzip", b" chunked, identity", b" identity, chunked", b"\r\n chunked"),
        )
    ),
    POST + b"Transfer-Encoding : chunked\r\n\r\n" + CHUNKS,
    POST + b"Transfer-Encoding\t: chunked\r\n\r\n" + CHUNKS,
    POST + b" Transfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    POST.replace(b"HTTP/1.1", b"HTTP/1.0") + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    # Chunks
    *(
        CHUNKED + b"%b\r\n{}\r\n0\r\n\r\n" % size
        for size in (b"", b"-2", b"+2", b"0x2", b"0_2", b" 2", b"2 ", b"2\t", b"two", b"2;\x00", b"2;a\nb", b"2;a\rb")
    ),
    CHUNKED + b"10000000000000002\r\n{}\r\n0\r\n\r\n",
    CHUNKED + b"f" * 400 + b"\r\n{}\r\n0\r\n\r\n",
    CHUNKED + b"1\r\n{}\r\n0\r\n\r\n",
    CHUNKED + b"3\r\n{}\r\n0\r\n\r\n",
    CHUNKED + b"2\n{}\r\n0\r\n\r\n",
    CHUNKED + b"2\r\n{}\n0\r\n\r\n",
    CHUNKED + b"2\r\n{}\r\n0\n\n",
    CHUNKED + b"2\r\n{}\r\n0\r\nno trailer\r\n\r\n",
    # Lines that others would end elsewhere
    b"GET /livez HTTP/1.1\nHost: localhost\n\n",
    b"GET /livez HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nHost: localhost\rX: y\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\n",
    GET + b"X: a\rb\r\n\r\n",
    GET + b"X: a\r\n\tb\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nHost: localhost\r\n folded\r\n\r\n",
    b"GET /livez HTTP/1.1\r\n Host: localhost\r\n\r\n",
    # What is no header, and what is no request
    *(GET + name + b": z\r\n\r\n" for name in (b"", b"X Y", b"X\x00", b"X\x01", b"X\xff", b"X()", b"X\n")),
    *(GET + b"X: " + value + b"\r\n\r\n" for value in (b"a\x00b", b"\x1b[2J", b"\x7f", b"x" * 9_000)),
    GET + b"X\r\n\r\n",
    GET + b"X: 1\r\n" * 200 + b"\r\n",
    *(
        line + b"\r\nHost: localhost\r\n\r\n"
        for line in (
            *(b"GET /livez HTTP/9.9", b"GET /livez HTTP/2.0", b"GET /livez HTTP/1.2", b"GET /livez HTTP/0.9"),
            *(b"GET /livez", b"GET /livez http/1.1", b"GET /li vez HTTP/1.1", b"GET\t/livez\tHTTP/1.1", b"GET"),
            *(b" GET /livez HTTP/1.1", b"get /livez HTTP/1.1", b"G\x01T /livez HTTP/1.1", b"BREW /livez HTTP/1.1"),
            *(b"GET livez HTTP/1.1", b"GET /liv\x00ez HTTP/1.1", b"GET /%s HTTP/1.1" % (b"x" * 9_000), b"hello"),
        )
    ),
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50,
]


@pytest.mark.promise("C8")
@pytest.mark.parametrize("sent", AMBIGUOUS)
async def test_what_is_no_valid_http_or_two_things_at_once_is_400_and_closed(
    api: Api, sent: bytes, shown: Show
) -> None:
    """Request smuggling: duplicate Content-Length, both framings, two hosts or none."""
    came = await api.raw(sent + BEHIND)
    answers = re.findall(rb"HTTP/\d\.\d (\d{3}) ", came)
    shown("1 ambiguous requests", lost=sum(status != b"400" for status in answers) + await api.pending())
    assert answers == [b"400"], came
    assert b"urn:sidecar:problem:malformed_request" in came
    assert b"X-Request-Id: request-1\r\n" in came
    assert b"Server: sidecar\r\n" in came


@pytest.mark.parametrize("host", [b"localhost", b"LOCALHOST:8077"])
async def test_whole_address_is_fine_where_host_says_the_same(api: Api, host: bytes) -> None:
    came = await api.raw(b"GET http://%b/livez HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n" % (host, host))
    assert came.startswith(b"HTTP/1.1 200 ")


async def test_path_may_hold_another_address(api: Api) -> None:
    assert (await api.get("/livez?from=http://elsewhere.example/")).status == 200


async def test_old_http_without_a_host_is_misdirected(api: Api) -> None:
    assert (await api.raw(b"GET /livez HTTP/1.0\r\n\r\n")).split()[1] == b"421"


async def test_connection_that_sends_nothing_is_closed(open_api: OpenApi) -> None:
    api = await open_api(connections=ConnectionLimits(idle_seconds=0.05))
    assert await api.raw(b"") == b""


async def test_connection_that_dribbles_its_headers_is_closed(open_api: OpenApi) -> None:
    api = await open_api(connections=ConnectionLimits(idle_seconds=0.1))
    reader, writer = await asyncio.open_connection(api.host, api.port)
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(60):
            writer.write(GET)
            while not reader.at_eof():
                writer.write(b"X: y\r\n")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(), 0.01)
    writer.close()


async def big(_: web.Request) -> web.Response:
    return web.Response(body=b"x" * 16_000_000)


async def test_connection_with_an_unread_answer_is_ended(open_api: OpenApi) -> None:
    api = await open_api(connections=ConnectionLimits(unread_seconds=0.2), routes=[web.get("/big", big)])
    reader, writer = await asyncio.open_connection(api.host, api.port, limit=1_024)
    writer.write(b"GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
    async with asyncio.timeout(60):
        while "too_slow_reader" not in [code for _, code, _ in api.telemetry.intake._aggregator.take()]:
            await asyncio.sleep(0.01)
    came = b""
    with contextlib.suppress(ConnectionError):
        came = await asyncio.wait_for(reader.read(), 60)
    assert len(came) < 16_000_000
    writer.close()
    assert ConnectionLimits().unread_seconds <= 15


async def test_answer_that_is_read_at_leisure_comes_whole(open_api: OpenApi) -> None:
    api = await open_api(connections=ConnectionLimits(unread_seconds=5), routes=[web.get("/big", big)])
    answer = await api.get("/big")
    assert len(answer.text) == 16_000_000


async def test_dribbling_a_second_request_is_no_way_round(open_api: OpenApi) -> None:
    api = await open_api(connections=BRIEF)
    came = await api.raw(GET + b"\r\nGET /livez HT")
    assert came.count(b"HTTP/1.1 200 OK") == 1


async def test_idle_connection_is_kept_no_longer_than_that(open_api: OpenApi) -> None:
    api = await open_api(connections=BRIEF)
    assert (await api.raw(GET + b"\r\n")).startswith(b"HTTP/1.1 200 OK")
    assert ConnectionLimits().idle_seconds <= 15


async def test_connections_beyond_the_limit_are_refused_and_closed(open_api: OpenApi) -> None:
    api = await open_api(connections=ConnectionLimits(connections=3))
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
    async with asyncio.timeout(60):
        while (await api.get("/livez")).status != 200:
            pass  # until the service has noticed that they are gone
    assert (await api.get("/livez")).status == 200
    assert ConnectionLimits().connections == 4_096


async def test_three_hundred_slow_connections_do_not_keep_others_waiting(open_api: OpenApi) -> None:
    api = await open_api(connections=ConnectionLimits(idle_seconds=1))
    slow = [await asyncio.open_connection(api.host, api.port) for _ in range(300)]
    for _, writer in slow:
        writer.write(GET)
    async with asyncio.timeout(60):  # one after another they would take 300 s
        assert (await api.get("/livez")).status == 200
        assert [await reader.read() for reader, _ in slow] == [b""] * 300
    for _, writer in slow:
        writer.close()
