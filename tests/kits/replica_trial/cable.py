"""A TCP proxy between a replica and a database server: the network, which a test can cut in two ways."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

CHUNK = 65_536


@dataclass
class Cable:
    """Forwards to `port`. Cut, it resets what is open and refuses what comes; silent, it holds every byte back."""

    port: int
    listening_on: int = 0
    is_cut: bool = False
    _speaks: asyncio.Event = field(default_factory=asyncio.Event)
    _open: set["asyncio.Task[None]"] = field(default_factory=set)

    def cut(self) -> None:
        """Reset every connection, and refuse new ones."""
        self.is_cut = True
        self._end_all()

    def silence(self) -> None:
        """Carry nothing more, in either way, and tell neither side."""
        self._speaks.clear()

    def restore(self) -> None:
        """Carry again; connections that were silent come to an end, as after a long break."""
        if not self._speaks.is_set():
            self._end_all()
        self.is_cut = False
        self._speaks.set()

    def _end_all(self) -> None:
        for task in tuple(self._open):
            task.cancel()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of the replica."""
        if self.is_cut:
            _reset(writer)
            return
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        server: asyncio.StreamWriter | None = None
        try:
            await self._speaks.wait()
            from_server, server = await asyncio.open_connection("127.0.0.1", self.port)
            ways = [self._forward(reader, server), self._forward(from_server, writer)]
            tasks = [asyncio.ensure_future(way) for way in ways]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in tasks:
                    way.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        except (ConnectionError, asyncio.CancelledError):
            pass  # the end of a connection, from either side or by `cut`
        finally:
            self._open.discard(task)
            for side in (writer, server):
                if side is not None:
                    _reset(side)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK):
            await self._speaks.wait()
            writer.write(data)
            await writer.drain()

    async def end(self) -> None:
        self._end_all()
        await asyncio.gather(*self._open, return_exceptions=True)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End it with RST rather than FIN."""
    handle: socket.socket = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@asynccontextmanager
async def cable(port: int) -> AsyncIterator[Cable]:
    """A proxy on a free port."""
    made = Cable(port)
    made.restore()
    server = await asyncio.start_server(made.take, "127.0.0.1", 0)
    made.listening_on = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await made.end()
