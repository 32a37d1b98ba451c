"""A proxy between the sidecar and Microsoft's stand-in that breaks connections in every way that networks know."""

import asyncio
import contextlib
import random
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

CHUNK = 65_536
CLEAN_SECONDS = 0.4
"""How long a connection that is not broken may be used, so that another one comes soon."""

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class FaultProxy:
    """Forwards to `host` and `port`; while `breaking` is set most connections get a fault, by chance."""

    host: str
    port: int
    chance: random.Random
    breaking: bool = False
    clean_share: float = 0.4
    faults: Counter[str] = field(default_factory=Counter)
    """How many connections each fault happened to."""
    url: str = ""
    _open: set["asyncio.Task[None]"] = field(default_factory=set)

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of the sidecar."""
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        client = reader, writer
        try:
            if not self.breaking:
                await self._through(client)
            elif self.chance.random() < self.clean_share:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CLEAN_SECONDS):
                        await self._through(client)
            else:
                kind = self.chance.choice(list(FAULTS))
                self.faults[kind] += 1
                await FAULTS[kind](self, client)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open.discard(task)
            writer.close()

    async def end(self) -> None:
        """Close every connection that is still open."""
        for task in tuple(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _through(self, client: Stream, up: "Way | None" = None, down: "Way | None" = None) -> None:
        """Forward both ways until one of them ends."""
        server = await asyncio.open_connection(self.host, self.port)
        try:
            async with asyncio.TaskGroup() as ways:
                tasks = [
                    ways.create_task(_forward(client[0], server[1], up or Way())),
                    ways.create_task(_forward(server[0], client[1], down or Way())),
                ]
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in tasks:
                    task.cancel()
        except* ConnectionError:
            pass
        finally:
            server[1].close()

    # --- What goes wrong ---------------------------------------------------------------------------------------------

    async def _reset_at_once(self, client: Stream) -> None:
        _reset(client[1])

    async def _garbage(self, client: Stream) -> None:
        """No TLS at all."""
        client[1].write(self.chance.randbytes(self.chance.randint(1, 2_000)))
        await client[1].drain()

    async def _half_open(self, client: Stream) -> None:
        """Takes everything and says nothing, until the other side gives up."""
        while await client[0].read(CHUNK):
            pass

    async def _reset_request(self, client: Stream) -> None:
        await self._through(client, up=Way(limit=self.chance.randint(0, 4_000)))
        _reset(client[1])

    async def _reset_answer(self, client: Stream) -> None:
        await self._through(client, down=Way(limit=self.chance.randint(0, 4_000)))
        _reset(client[1])

    async def _close_answer(self, client: Stream) -> None:
        """Ends in order, in the middle of it."""
        await self._through(client, down=Way(limit=self.chance.randint(0, 4_000)))

    async def _stall(self, client: Stream) -> None:
        """Nothing more comes after a part of the answer."""
        await self._through(client, down=Way(limit=self.chance.randint(0, 4_000), then_hold=True))

    async def _latency(self, client: Stream) -> None:
        pause = self.chance.uniform(0.05, 0.5)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(4 * CLEAN_SECONDS):
                await self._through(client, up=Way(pause=pause), down=Way(pause=pause))

    async def _trickle(self, client: Stream) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(4 * CLEAN_SECONDS):
                await self._through(client, down=Way(pause=0.005, chunk=64))

    async def _spoil(self, client: Stream) -> None:
        """One byte of the answer is another."""
        await self._through(client, down=Way(spoiled=self.chance.randint(0, 4_000)))


FAULTS: dict[str, Callable[[FaultProxy, Stream], Awaitable[None]]] = {
    name.strip("_"): getattr(FaultProxy, name)
    for name in (
        *("_reset_at_once", "_garbage", "_half_open", "_reset_request", "_reset_answer"),
        *("_close_answer", "_stall", "_latency", "_trickle", "_spoil"),
    )
}


@dataclass(frozen=True)
class Way:
    """How bytes are forwarded: `limit` of them, `chunk` at a time, `pause` seconds before each, one of them spoiled."""

    limit: int | None = None
    then_hold: bool = False
    pause: float = 0.0
    chunk: int = CHUNK
    spoiled: int | None = None


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
    passed = 0
    while way.limit is None or passed < way.limit:
        left = way.chunk if way.limit is None else min(way.chunk, way.limit - passed)
        if not (data := await reader.read(left)):
            return
        if way.pause:
            await asyncio.sleep(way.pause)  # the slow way
        writer.write(_spoiled(data, way.spoiled, passed))
        await writer.drain()
        passed += len(data)
    if way.then_hold:
        await asyncio.Event().wait()


def _spoiled(data: bytes, at: int | None, passed: int) -> bytes:
    if at is None or not passed <= at < passed + len(data):
        return data
    place = at - passed
    return data[:place] + bytes([data[place] ^ 0x40]) + data[place + 1 :]


def _reset(writer: asyncio.StreamWriter) -> None:
    """End it with RST rather than FIN."""
    handle: socket.socket = writer.get_extra_info("socket")
    handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@asynccontextmanager
async def fault_proxy(host: str, port: int, seed: int) -> AsyncIterator[FaultProxy]:
    """A proxy on a free port."""
    proxy = FaultProxy(host, port, random.Random(seed))
    server = await asyncio.start_server(proxy.take, "127.0.0.1", 0)
    proxy.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        await proxy.end()
