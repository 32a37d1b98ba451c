"""Clients that mean harm, or were written without care, beside one that works: a real process and many sockets."""

import asyncio
import contextlib
import gzip
import socket
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import quantiles
from urllib.parse import urlsplit

import pytest
from process_kit.service import Json, Services, Sidecar, config
from process_kit.vitals import memory, open_files
from promises import Show

MEBIBYTE = 2**20
LIMIT = 2 * MEBIBYTE
"""`server.max_body`, as it is by default."""

MOST_MEMORY = 24 * MEBIBYTE
"""Bodies of unknown length may take 4 MiB together; the rest is what a hundred connections hold until they end."""

HEAD = b"POST /v1/conversions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
META = {"note": "x" * 1_500}
"""Makes a page of a hundred rows larger than the buffer of its reader."""

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def _connection(sidecar: Sidecar) -> AsyncIterator[Stream]:
    address = urlsplit(sidecar.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def _status(reader: asyncio.StreamReader) -> int:
    """The status of the answer that comes; 0 when the connection ends without one."""
    try:
        line = await reader.readline()
    except ConnectionError:
        return 0
    return int(line.split()[1]) if line.startswith(b"HTTP/1.1 ") else 0


@dataclass
class Healthy:
    """A client that works: one conversion after another, and how long each took."""

    sidecar: Sidecar
    prefix: str
    took: list[float] = field(default_factory=list)

    async def post(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            click = f"{len(self.took):032x}"
            body: Json = {"event": "purchase", "order_id": f"{self.prefix}-{click}", "value": 1, "msclkid": click}
            began = time.perf_counter()
            answer = await self.sidecar.post(body)
            self.took.append(time.perf_counter() - began)
            assert answer.status == 202, answer.text
            await asyncio.sleep(0.005)

    @property
    def p99(self) -> float:
        """In milliseconds."""
        return quantiles(self.took, n=100)[98] * 1_000


# --- Oversized bodies ------------------------------------------------------------------------------------------------


async def _send_declared(sidecar: Sidecar) -> int:
    """A body that says beforehand that it is too large."""
    async with _connection(sidecar) as (reader, writer):
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % (LIMIT + 1))
        return await _pour(reader, writer, b" " * 65_536)


async def _send_chunked(sidecar: Sidecar) -> int:
    """A body without end, in chunks."""
    async with _connection(sidecar) as (reader, writer):
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        return await _pour(reader, writer, b"10000\r\n" + b" " * 65_536 + b"\r\n")


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, part: bytes) -> int:
    """Send `part` again and again until an answer comes; its status."""
    answer = asyncio.create_task(_status(reader))
    with contextlib.suppress(ConnectionError):
        while not answer.done():
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
    return await answer


async def _oversized(services: Services, at_once: int, rounds: int) -> tuple[set[int], int]:
    """The statuses that came, and by how much memory grew at most."""
    sidecar = await services.start(config(None))
    await Healthy(sidecar, "before").post(0.5)
    before = largest = memory(sidecar.running.pid)

    async def watch() -> None:
        nonlocal largest
        while True:
            largest = max(largest, memory(sidecar.running.pid))
            await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    statuses: set[int] = set()
    for _ in range(rounds):
        for send in (_send_declared, _send_chunked):
            statuses |= set(await asyncio.gather(*(send(sidecar) for _ in range(at_once))))
    watching.cancel()
    assert await sidecar.rows() == [row for row in await sidecar.rows() if row["order_id"].startswith("before")]
    return statuses, largest - before


async def test_oversized_bodies_are_refused(services: Services) -> None:
    """The short form. 503: too many large bodies are being read already."""
    statuses, _ = await _oversized(services, at_once=10, rounds=1)
    assert 413 in statuses
    assert statuses <= {413, 503}


@pytest.mark.faults
@pytest.mark.promise("C4")
async def test_a_hundred_oversized_bodies_at_once_take_no_memory(services: Services, shown: Show) -> None:
    statuses, grown = await _oversized(services, at_once=100, rounds=5)
    assert statuses <= {413, 503}
    assert grown <= MOST_MEMORY
    figure = f"answers {sorted(statuses)}, memory + {grown / MEBIBYTE:.0f} MiB, limit {LIMIT // MEBIBYTE} MiB"
    shown("1,000 oversized bodies, 100 at once", lost=0, figure=figure)


# --- Compressed bodies -----------------------------------------------------------------------------------------------


def _bombs() -> dict[str, bytes]:
    """What becomes 190 MiB once it is unpacked, by its coding; twice packed, and none at all."""
    raw = zlib.compressobj(9, wbits=-15)
    deflated = b"".join(raw.compress(b" " * MEBIBYTE) for _ in range(190)) + raw.flush()
    packer = zlib.compressobj(9, wbits=31)
    gzipped = b"".join(packer.compress(b" " * MEBIBYTE) for _ in range(190)) + packer.flush()
    return {
        "gzip": gzipped,
        "x-gzip": gzipped,
        "deflate": deflated,
        "gzip, gzip": gzip.compress(gzipped),
        "br": gzipped,
        "zstd": gzipped,
        "compress": gzipped,
        "GZIP": gzipped,
    }


async def _stall(sidecar: Sidecar, seconds: float, during: Callable[[], Awaitable[None]]) -> tuple[float, float]:
    """The longest answer of /livez in milliseconds, alone and during something."""

    async def look(until: Callable[[], bool]) -> float:
        longest = 0.0
        while not until():
            began = time.perf_counter()
            assert (await sidecar.call("GET", "/livez")).status == 200
            longest = max(longest, time.perf_counter() - began)
        return longest * 1_000

    end = time.monotonic() + seconds
    alone = await look(lambda: time.monotonic() > end)
    doing = asyncio.ensure_future(during())
    return alone, await look(doing.done)


async def _bomb(services: Services, rounds: int) -> tuple[int, float, float]:
    """How many bombs came, and the longest stall without and with them."""
    sidecar = await services.start(config(None))
    bombs = _bombs()
    sent = 0

    async def throw() -> None:
        nonlocal sent
        for _ in range(rounds):
            for coding, bomb in bombs.items():
                answer = await sidecar.post(bomb, **{"Content-Encoding": coding})
                assert answer.status == 415, f"{coding}: {answer.text}"
                sent += 1

    alone, beside = await _stall(sidecar, 2.0, throw)
    assert await sidecar.rows() == []
    return sent, alone, beside


async def test_compressed_bodies_are_refused_in_any_coding(services: Services) -> None:
    """The short form; that the loop does not stall is shown in CPU time beside it, in tests/api/test_bodies.py."""
    await _bomb(services, rounds=1)


@pytest.mark.faults
@pytest.mark.promise("C5")
async def test_compressed_bombs_stall_no_other_client(services: Services, shown: Show) -> None:
    sent, alone, beside = await _bomb(services, rounds=25)
    assert beside <= alone + 10
    figure = f"longest answer of another client {alone:.1f} ms alone, {beside:.1f} ms beside them"
    shown(f"{sent} bombs of 190 MiB", lost=0, figure=figure)


# --- Slow clients ----------------------------------------------------------------------------------------------------


async def _cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, part: bytes, pause: float) -> float:
    """Send a byte now and then until the connection is ended; after how many seconds that was."""
    began = time.monotonic()
    ended = asyncio.create_task(reader.read())

    async def dribble() -> None:
        while True:
            writer.write(part)
            await asyncio.sleep(pause)  # the slow client: a part now and then

    dribbling = asyncio.create_task(dribble())
    with contextlib.suppress(ConnectionError):
        await ended
    dribbling.cancel()
    return time.monotonic() - began


async def _slow_headers(sidecar: Sidecar) -> float:
    async with _connection(sidecar) as (reader, writer):
        writer.write(b"POST /v1/conversions HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        return await _cut(reader, writer, b"x", 1.0)


async def _slow_body(sidecar: Sidecar) -> float:
    async with _connection(sidecar) as (reader, writer):
        writer.write(HEAD + b"Content-Length: 100000\r\n\r\n")
        return await _cut(reader, writer, b" ", 1.0)


async def _silent(sidecar: Sidecar) -> float:
    async with _connection(sidecar) as (reader, writer):
        return await _cut(reader, writer, b"", 1.0)


CUT_SECONDS = 18.0
"""15 s, and the time it takes to open them all."""


async def _slow_reader(sidecar: Sidecar) -> float:
    """Asks for a large page and reads ten bytes of it a second, with the smallest buffer that the system gives."""
    address = urlsplit(sidecar.url)
    loop, began = asyncio.get_running_loop(), time.monotonic()
    with contextlib.closing(socket.socket()) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        slow.setblocking(False)
        await loop.sock_connect(slow, (address.hostname, address.port))
        await loop.sock_sendall(slow, b"GET /v1/conversions?limit=100 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while await loop.sock_recv(slow, 10) and time.monotonic() - began < CUT_SECONDS:
                await asyncio.sleep(1.0)  # the slow client reads ten bytes a second
        return 0.0  # what the system has kept for it can be read long after it was cut


SLOW = (_slow_headers, _slow_body, _silent, _slow_reader)


async def _beside_slow(services: Services, sockets: int, seconds: float) -> tuple[float, float, float, int]:
    """The p99 of a client that works, alone and beside slow ones; when the last was cut; how many are still open."""
    sidecar = await services.start(config(None))
    orders = [{"event": "purchase", "value": 1, "msclkid": f"{n:032x}", "meta": META} for n in range(100)]
    assert (await sidecar.post(orders)).status == 202
    alone = Healthy(sidecar, "alone")
    await alone.post(seconds)
    beside = Healthy(sidecar, "beside")
    sockets_before = open_files(sidecar.running.pid)[1]
    slow: list[asyncio.Task[float]] = []
    for number in range(sockets):
        slow.append(asyncio.create_task(SLOW[number % len(SLOW)](sidecar)))
        await asyncio.sleep(0.002)  # not all connections in one burst
    await beside.post(seconds)  # less than it takes to cut them
    await asyncio.sleep(CUT_SECONDS - seconds)  # by then all of them must have been cut
    left = open_files(sidecar.running.pid)[1] - sockets_before
    return alone.p99, beside.p99, max(await asyncio.gather(*slow)), left


@pytest.mark.faults
@pytest.mark.promise("C6")
async def test_thousand_slow_clients_delay_no_other_and_are_cut_off(services: Services, shown: Show) -> None:
    alone, beside, last, left = await _beside_slow(services, sockets=1_000, seconds=6)
    assert beside <= max(2 * alone, alone + 20)
    figure = f"p99 {alone:.0f} ms alone, {beside:.0f} ms beside them; the last was cut after {last:.1f} s"
    shown("1,000 slow sockets", lost=left, figure=figure)
