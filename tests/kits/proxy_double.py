"""A proxy on 127.0.0.1 that takes CONNECT, and leads every tunnel to one port of this machine; or does not."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field


@dataclass
class ProxyDouble:
    """`heads` are the requests that came, as text; `port` is its own."""

    leads_to: int = 0
    """The port behind every tunnel."""
    says: bytes | None = None
    """What it answers in place of a tunnel; nothing at all, for ever, where it is None and there is no port."""
    port: int = 0
    heads: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
            if self.says is not None:
                writer.write(self.says)
            elif self.leads_to:
                await self._lead(reader, writer)
            else:
                await reader.read()
        writer.close()

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection("127.0.0.1", self.leads_to)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_pour(reader, forth), _pour(back, writer))


@contextlib.asynccontextmanager
async def proxy(
    leads_to: int = 0, says: bytes | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[ProxyDouble]:
    """A proxy at `127.0.0.1:port`, which itself speaks TLS with `tls`."""
    it = ProxyDouble(leads_to, says)
    async with await asyncio.start_server(it.serve, "127.0.0.1", 0, ssl=tls) as server:
        it.port = server.sockets[0].getsockname()[1]
        yield it


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while part := await reader.read(65_536):
            writer.write(part)
            await writer.drain()
    finally:
        writer.close()
