"""Bodies: their type, their encoding, their size, their pace; and what aiohttp alone would let through."""

import asyncio
import gc
import gzip
import json
import time
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web
from api_kit import Api, OpenApi, read_all

from sidecar.api.http.connection import BODY_BYTES, READ_BYTES, ConnectionLimits
from sidecar.api.request.body import BodyLimits

HEAD = b"POST /v1/conversions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
PATIENT = ConnectionLimits(lingering_seconds=0.2)


def problem(came: bytes) -> tuple[int, str]:
    """Status and type of a raw answer."""
    head, _, body = came.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["type"].rpartition(":")[2]


# --- Type and encoding -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;x=y",
        "application/json ",
    ],
)
async def test_json_is_taken(api: Api, conversion: dict[str, Any], media_type: str) -> None:
    assert (await api.post(conversion, headers={"Content-Type": media_type})).status == 202


@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "text/plain;charset=UTF-8",
        "text/plain; application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "application/json2",
        "application/problem+json",
        "text/json",
        "*/*",
        "",
        ", application/json",
        "application/json, text/plain",
    ],
)
async def test_what_a_page_could_send_unasked_is_415(api: Api, conversion: dict[str, Any], media_type: str) -> None:
    """POST only with application/json."""
    answer = await api.post(conversion, headers={"Content-Type": media_type})
    assert (answer.status, answer.json["type"], await api.pending()) == (415, "urn:sidecar:problem:not_json", 0)


async def test_body_without_a_type_is_415(api: Api) -> None:
    came = await api.raw(
        b"POST /v1/conversions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    )
    assert problem(came) == (415, "not_json")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "GZIP", "identity, gzip", "x", "gzip, identity"])
async def test_encoded_body_is_415(api: Api, encoding: str) -> None:
    answer = await api.post(gzip.compress(b"{}"), headers={"Content-Encoding": encoding})
    assert (answer.status, answer.json["type"]) == (415, "urn:sidecar:problem:encoded_body")


async def test_encoding_behind_another_one_is_415(api: Api) -> None:
    headers = (b"Content-Encoding: identity", b"Content-Encoding: gzip", b"Content-Type: application/json")
    lines = (b"POST /v1/conversions HTTP/1.1", b"Host: localhost", b"Content-Length: 2", b"Connection: close", *headers)
    assert problem(await api.raw(b"\r\n".join((*lines, b"", b"{}")))) == (415, "encoded_body")


@pytest.mark.parametrize("encoding", ["identity", "Identity", ""])
async def test_identity_is_no_encoding(api: Api, conversion: dict[str, Any], encoding: str) -> None:
    assert (await api.post(conversion, headers={"Content-Encoding": encoding})).status == 202


async def test_type_is_judged_before_size_and_size_before_content(open_api: OpenApi) -> None:
    api = await open_api(bodies=BodyLimits(max_bytes=100))
    assert (await api.post(b"{" * 101, headers={"Content-Type": "text/plain"})).status == 415
    assert (await api.post(b"{" * 101)).status == 413
    assert (await api.post(b"{" * 100)).status == 400


async def test_path_is_judged_before_the_type(api: Api) -> None:
    assert (await api.post(b"x", path="/nowhere", headers={"Content-Type": "text/plain"})).status == 404


# --- Size ------------------------------------------------------------------------------------------------------------


async def test_body_of_just_the_limit_is_read(open_api: OpenApi, conversion: dict[str, Any]) -> None:
    body = json.dumps(conversion).encode()
    api = await open_api(bodies=BodyLimits(max_bytes=len(body)))
    assert (await api.post(body)).status == 202
    assert (await api.post(body + b" ")).status == 413


async def test_declared_size_is_refused_before_the_body_comes(open_api: OpenApi) -> None:
    api = await open_api(connections=PATIENT)
    came = await api.raw(HEAD + b"Content-Length: 2097153\r\n\r\n")
    assert problem(came) == (413, "body_too_large")
    assert b"Connection: close" in came


async def test_chunks_beyond_the_limit_are_refused_and_read_no_further(open_api: OpenApi) -> None:
    api = await open_api(connections=PATIENT, bodies=BodyLimits(max_bytes=1_000))
    came = await api.raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + (b"100\r\n" + b" " * 256 + b"\r\n") * 8)
    assert problem(came) == (413, "body_too_large")
    assert b"Connection: close" in came


async def test_chunked_body_within_the_limit_is_taken(api: Api, conversion: dict[str, Any]) -> None:
    body = json.dumps(conversion).encode()
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:5], body[5:]))
    came = await api.raw(HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + chunks + b"0\r\n\r\n")
    assert came.startswith(b"HTTP/1.1 202 ")


@pytest.fixture
def pieces(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The size of each piece that connections were given."""
    sizes: list[int] = []
    take = web.RequestHandler.data_received

    def note(self: web.RequestHandler, data: bytes) -> None:
        sizes.append(len(data))
        take(self, data)

    monkeypatch.setattr(web.RequestHandler, "data_received", note)
    return sizes


async def test_large_pieces_are_for_bodies_of_declared_size(api: Api, pieces: list[int]) -> None:
    """Of others each connection may hold a few: a thousand must not take much memory together."""
    body = b" " * 300_000 + b"[]"
    sized = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    chunked = HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    await api.raw(sized + chunked)
    largest = max(pieces)
    assert READ_BYTES < largest <= BODY_BYTES
    last_large = max(number for number, size in enumerate(pieces) if size > READ_BYTES)
    assert sum(pieces[: last_large + 1]) < len(sized) + BODY_BYTES
    assert pieces[0] <= READ_BYTES


async def test_body_that_is_refused_is_thrown_away_in_small_pieces(open_api: OpenApi, pieces: list[int]) -> None:
    api = await open_api(bodies=BodyLimits(max_bytes=1_000))
    came = await api.raw(HEAD + b"Content-Length: 300000\r\n\r\n" + b" " * 300_000)
    assert problem(came) == (413, "body_too_large")
    assert max(pieces) <= READ_BYTES


async def test_many_large_bodies_at_once_are_all_refused(open_api: OpenApi) -> None:
    api = await open_api(bodies=BodyLimits(max_bytes=100_000))
    answers = await asyncio.gather(*(api.post(b" " * 150_000) for _ in range(50)))
    assert {answer.status for answer in answers} == {413}


# --- Pace ------------------------------------------------------------------------------------------------------------


async def test_slow_body_is_408_and_closed(open_api: OpenApi) -> None:
    """A body that takes longer than 10 s is answered 408 and closed."""
    api = await open_api(bodies=BodyLimits(seconds=0.05), connections=PATIENT)
    came = await api.raw(HEAD + b'Content-Length: 100\r\n\r\n{"event"')
    assert problem(came) == (408, "body_too_slow")
    assert b"Connection: close" in came


async def test_body_that_dribbles_is_408_all_the_same(open_api: OpenApi) -> None:
    api = await open_api(bodies=BodyLimits(seconds=0.1), connections=PATIENT)
    reader, writer = await asyncio.open_connection(api.host, api.port)
    writer.write(HEAD + b"Content-Length: 100000\r\n\r\n")

    async def dribble() -> None:
        while True:
            writer.write(b" ")
            await asyncio.sleep(0.01)  # the slow client: a byte now and then

    dribbling = asyncio.create_task(dribble())
    came = await asyncio.wait_for(read_all(reader), 60)
    dribbling.cancel()
    writer.close()
    assert problem(came) == (408, "body_too_slow")


async def test_default_limits_are_those_of_the_contract() -> None:
    assert BodyLimits() == BodyLimits(max_bytes=2 * 2**20, seconds=10.0)


async def test_body_that_is_cut_off_stores_nothing(api: Api) -> None:
    assert await api.raw(HEAD + b'Content-Length: 100\r\n\r\n{"event"', half_close=True) == b""
    assert await api.pending() == 0


async def test_broken_chunk_is_400(open_api: OpenApi) -> None:
    api = await open_api(connections=PATIENT)
    came = await api.raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\nnot a number\r\n")
    assert problem(came) == (400, "malformed_request")


async def test_body_is_asked_for_only_after_the_guard_agreed(open_api: OpenApi, conversion: dict[str, Any]) -> None:
    """Expect: 100-continue."""
    api = await open_api(keys=("test-key",), connections=PATIENT)
    body = json.dumps(conversion).encode()
    expecting = HEAD + b"Connection: close\r\nExpect: 100-continue\r\nContent-Length: %d\r\n" % len(body)
    assert problem(await api.raw(expecting + b"\r\n")) == (401, "no_valid_key")
    reader, writer = await asyncio.open_connection(api.host, api.port)
    writer.write(expecting + b"Authorization: Bearer test-key\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(body)
    assert (await reader.read()).startswith(b"HTTP/1.1 202 ")
    writer.close()


# --- Compressed bombs ------------------------------------------------------------------------------------------------


@pytest.fixture
def uncollected() -> Iterator[None]:
    """The garbage collector rests: a walk through all of pytest may take longer than what is measured."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("uncollected")
async def test_compressed_bomb_does_not_stall_the_loop(open_api: OpenApi) -> None:
    """A 189 KiB gzip bomb freezes the loop while it is inflated, even when it is answered 415."""
    api = await open_api(connections=PATIENT)
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(b" " * 2**20) for _ in range(190)) + packer.flush()
    started = time.process_time()
    zlib.decompress(bomb, wbits=31)
    inflating = time.process_time() - started
    worst = 0.0

    async def watch() -> None:
        """In CPU seconds, which other processes do not lengthen."""
        nonlocal worst
        while True:
            started = time.process_time()
            await asyncio.sleep(0.001)  # how long the loop took to come back is what is measured
            worst = max(worst, time.process_time() - started)

    watching = asyncio.create_task(watch())
    head = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    came = await api.raw(head + bomb + b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    watching.cancel()
    assert problem(came[: came.rindex(b"HTTP/1.1 ")]) == (415, "encoded_body")
    assert came[came.rindex(b"HTTP/1.1 ") :].startswith(b"HTTP/1.1 200 ")  # so the rest of the bomb was read before
    assert worst < inflating / 20  # here about 1/400, and 1/3 when the body is inflated
