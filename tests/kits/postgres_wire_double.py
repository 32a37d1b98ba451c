"""A wire between a sidecar and its PostgreSQL server that cuts, swallows an answer, or falls silent."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

COMMIT = b"COMMIT\0"
"""How a request ends that commits: https://www.postgresql.org/docs/current/protocol-message-formats.html"""


@dataclass
class Wire:
    """A port of 127.0.0.1 that leads to the server. What happens on it is for the test to say."""

    server_port: int
    port: int = 0
    loses_answer_to: bytes | None = None
    """Keep the next answer to a request with these bytes in it, and cut that connection."""
    made: int = 0
    """How many connections callers made."""
    lost: int = 0
    """How many answers were kept."""
    speaks: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared, it holds back what the server says, and keeps all connections."""
    _ends: set[asyncio.StreamWriter] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.made += 1
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self.server_port)
        except ConnectionError:
            writer.transport.abort()
            return
        ends, is_lost = {writer, to_server}, asyncio.Event()
        self._ends |= ends
        carriers = [
            asyncio.create_task(self._ask(reader, to_server, is_lost)),
            asyncio.create_task(self._answer(from_server, writer, is_lost)),
        ]
        await asyncio.wait(carriers, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.transport.abort()
        await asyncio.wait(carriers)
        self._ends -= ends

    async def _ask(self, reader: asyncio.StreamReader, to_server: asyncio.StreamWriter, is_lost: asyncio.Event) -> None:
        with contextlib.suppress(ConnectionError):
            while request := await reader.read(65_536):
                if self.loses_answer_to is not None and self.loses_answer_to in request:
                    is_lost.set()
                to_server.write(request)

    async def _answer(self, reader: asyncio.StreamReader, to_caller: asyncio.StreamWriter, lost: asyncio.Event) -> None:
        with contextlib.suppress(ConnectionError):
            while answer := await reader.read(65_536):
                if lost.is_set():
                    self.lost += 1
                    self.loses_answer_to = None
                    return
                await self.speaks.wait()
                to_caller.write(answer)

    def cut(self) -> None:
        """End all connections."""
        for end in self._ends:
            end.transport.abort()


@contextlib.asynccontextmanager
async def wire_to(server_port: int) -> AsyncIterator[Wire]:
    """A wire to the server on that port of this machine."""
    wire = Wire(server_port)
    wire.speaks.set()
    server = await asyncio.start_server(wire.serve, "127.0.0.1", 0)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        server.close()
        wire.speaks.set()
        wire.cut()
