"""Callers who want more than one process has: they get 503 or wait, memory stays bounded, and others are served."""

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from process_kit import prober
from process_kit.service import Json, Services, Sidecar, config
from process_kit.vitals import memory
from promises import Show

MEBIBYTE = 2**20
MOST_MEMORY = 64 * MEBIBYTE
LIVEZ_SECONDS = 0.25
POST_SECONDS = 1.0

META = {"note": "x" * 1_500}
HEAD = (
    b"POST /v1/conversions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
)
PAGE = b"GET /v1/conversions?limit=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n"

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Seen:
    """What others saw beside an attack, and what it cost."""

    livez: list[float] = field(default_factory=list)
    posts: list[float] = field(default_factory=list)
    statuses: list[dict[str, int]] = field(default_factory=list)
    before: int = 0
    most: int = 0

    @property
    def grown(self) -> int:
        return self.most - self.before

    def figure(self) -> str:
        livez, post = (f"{max(took) * 1_000:.0f} ms" for took in (self.livez, self.posts))
        return f"memory + {self.grown / MEBIBYTE:.0f} MiB, /livez <= {livez}, a POST <= {post}"

    def check(self) -> None:
        """Whether the bars hold."""
        assert self.grown <= MOST_MEMORY, self.figure()
        assert max(self.livez) <= LIVEZ_SECONDS, self.figure()
        assert max(self.posts) <= POST_SECONDS, self.figure()
        assert [list(some) for some in self.statuses] == [["200"], ["202"]], f"others were refused: {self.statuses}"


async def _beside(sidecar: Sidecar, attack: Callable[[], Awaitable[object]], least: float = 2.0) -> Seen:
    """What a probe and a shop see while the attack goes on, and for `least` seconds in all."""
    seen = Seen(before=memory(sidecar.running.pid))
    command = (sys.executable, prober.__file__, sidecar.url)
    beside = await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert beside.stdout is not None
    assert await beside.stdout.readline() == b"ready\n"

    async def watch() -> None:
        while True:
            seen.most = max(seen.most, memory(sidecar.running.pid))
            await asyncio.sleep(0.01)

    watching, began = asyncio.create_task(watch()), time.monotonic()
    await attack()
    await asyncio.sleep(
        max(0.0, least - (time.monotonic() - began))
    )  # so that the other client is measured for long enough
    told = json.loads((await beside.communicate(b""))[0])
    watching.cancel()
    seen.livez, seen.posts, seen.statuses = told["livez"], told["posts"], told["statuses"]
    return seen


@contextlib.asynccontextmanager
async def _sockets(sidecar: Sidecar, count: int) -> AsyncIterator[list[socket.socket]]:
    """Connections with the smallest buffer for what comes, which read nothing by themselves."""
    address, loop = urlsplit(sidecar.url), asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        opened = []
        for _ in range(count):
            one = stack.enter_context(socket.socket())
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            one.setblocking(False)
            await loop.sock_connect(one, (address.hostname, address.port))
            opened.append(one)
        yield opened


async def _filled(services: Services, rows: int = 1_000) -> Sidecar:
    """A sidecar with `rows` large rows, warmed up."""
    sidecar = await services.start(config(None))
    for first in range(0, rows, 500):
        orders = [
            {"event": "purchase", "value": 1, "msclkid": f"{n:032x}", "meta": META} for n in range(first, first + 500)
        ]
        assert (await sidecar.post(orders)).status == 202
    await sidecar.settled(60)
    await sidecar.rows()
    return sidecar


# --- Answers that are not read ---------------------------------------------------------------------------------------


async def _ask_and_do_not_read(sidecar: Sidecar, request: bytes, count: int, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    async with _sockets(sidecar, count) as sockets:
        for one in sockets:
            await loop.sock_sendall(one, request)
        await asyncio.sleep(seconds)  # the answers wait unread for as long


PATHS = (
    "/v1/conversions?limit=1000",
    "/logs?limit=1000",
    "/logs?follow=1&limit=1000",
    "/openapi.json",
    "/metrics",
    "/healthz",
    "/v1/conversions/conv_1/explain",
    "/v1/conversiens",
)


@pytest.mark.faults
@pytest.mark.promise("C14")
@pytest.mark.parametrize("path", PATHS)
async def test_unread_pages_take_no_memory_and_delay_no_other_client(
    services: Services, shown: Show, path: str
) -> None:
    sidecar = await _filled(services)
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    seen = await _beside(sidecar, lambda: _ask_and_do_not_read(sidecar, request, count=400, seconds=8))
    shown(f"400 sockets that ask for {path} and do not read", lost=0, figure=seen.figure())
    print(path, seen.figure(), seen.statuses)
    seen.check()


# --- Bodies that are dear to refuse ----------------------------------------------------------------------------------


def _array_of_unknown_names() -> bytes:
    """64 KiB, an array: each item has names that are nearly right."""
    items: list[Json] = []
    while len(json.dumps(items)) < 60_000:
        items.append({f"curency_{len(items)}_{letter}ord": 1 for letter in "abcdefgh"})
    return json.dumps(items).encode()


def _object_of_unknown_names() -> bytes:
    """64 KiB, one object."""
    return json.dumps({f"external_atribution{n}": 1 for n in range(2_000)}).encode()


def _twenty_unknown_names() -> bytes:
    """Hardly a KiB."""
    inner = {f"emial_sha{letter}256{letter}": 1 for letter in "abcdefghij"}
    return json.dumps({**{f"vistor_{letter}_id_order": 1 for letter in "abcdefghij"}, "user": inner}).encode()


def _many_small_items() -> bytes:
    return json.dumps([{}] * 1_000).encode()


BODIES = {
    "an array of unknown names": _array_of_unknown_names,
    "an object of unknown names": _object_of_unknown_names,
    "twenty unknown names": _twenty_unknown_names,
    "a thousand empty items": _many_small_items,
}


async def _post_all(sidecar: Sidecar, body: bytes, count: int) -> Counter[int]:
    """The statuses of `count` requests at once."""
    address = urlsplit(sidecar.url)

    async def one() -> int:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        try:
            writer.write(HEAD % len(body) + body)
            return int((await reader.readline()).split()[1])
        finally:
            writer.transport.abort()

    return Counter(await asyncio.gather(*(one() for _ in range(count))))


@pytest.mark.faults
@pytest.mark.promise("C14")
@pytest.mark.parametrize("name", BODIES)
async def test_bodies_that_are_expensive_to_refuse_delay_no_other_client(
    services: Services, shown: Show, name: str
) -> None:
    sidecar = await _filled(services)
    body, came = BODIES[name](), Counter[int]()

    async def attack() -> None:
        for _ in range(3):
            came.update(await _post_all(sidecar, body, count=200))

    seen = await _beside(sidecar, attack)
    shown(f"600 bodies of {name}, 200 at once", lost=0, figure=seen.figure())
    print(name, len(body), seen.figure(), seen.statuses, dict(came))
    assert set(came) <= {422, 503}
    seen.check()


# --- Queries ---------------------------------------------------------------------------------------------------------


@pytest.mark.faults
@pytest.mark.promise("C14")
async def test_queries_of_very_many_parameters_cost_nothing(services: Services, shown: Show) -> None:
    sidecar = await _filled(services)
    query = "&".join(f"{n:x}=" for n in range(1_599))
    request = f"GET /v1/conversions?{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    seen = await _beside(sidecar, lambda: _ask_and_do_not_read(sidecar, request, count=400, seconds=8))
    shown("400 queries of 1,599 parameters", lost=0, figure=seen.figure())
    print("parameters", seen.figure(), seen.statuses)
    seen.check()
