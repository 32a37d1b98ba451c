"""Many connections that each post one conversion after another: plain sockets, since a library would be slower."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from urllib.parse import urlsplit


@dataclass
class Crowd:
    """What became of all requests: how long the accepted ones took in seconds, and how many got which status."""

    accepted: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    stored: set[str] = field(default_factory=set)
    closed: int = 0
    numbers: Iterator[int] = field(default_factory=lambda: count(time.time_ns()))
    over: bool = False


class _Client(asyncio.Protocol):
    """One connection; waits after a 503, as it is told to."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._came = b""
        self._click = ""
        self._sent_at = 0.0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._post()

    def data_received(self, data: bytes) -> None:
        self._came += data
        head, found, body = self._came.partition(b"\r\n\r\n")
        if not found:
            return
        length = _number(head, b"content-length")
        if len(body) < length:
            return
        self._came = body[length:]
        status = int(head.split()[1])
        self._crowd.statuses[status] += 1
        if status == 202:
            self._crowd.accepted.append(time.perf_counter() - self._sent_at)
            self._crowd.stored.add(self._click)
        if self._crowd.over:
            self._transport.close()
        elif status == 503:
            asyncio.get_running_loop().call_later(_number(head, b"retry-after"), self._post)
        else:
            self._post()

    def connection_lost(self, exc: Exception | None) -> None:
        self._crowd.closed += not self._crowd.over
        if not self.ended.done():
            self.ended.set_result(None)

    def _post(self) -> None:
        if self._transport.is_closing():
            return
        self._click = f"{next(self._crowd.numbers):032x}"
        body = json.dumps({"event": "purchase", "order_id": self._click, "value": 1, "msclkid": self._click}).encode()
        head = b"POST /v1/conversions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        self._sent_at = time.perf_counter()
        self._transport.write(b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body))


def _number(head: bytes, name: bytes) -> int:
    """The number in a header."""
    return int(head.lower().partition(name + b":")[2].split(b"\r\n")[0])


async def crowd(url: str, connections: int, seconds: float) -> Crowd:
    """As many connections, for as many seconds."""
    address, seen, loop = urlsplit(url), Crowd(), asyncio.get_running_loop()
    clients: list[_Client] = []
    for _ in range(connections):
        _, client = await loop.create_connection(lambda: _Client(seen), address.hostname, address.port)
        clients.append(client)
    await asyncio.sleep(seconds)  # how long the crowd stays
    seen.over = True
    await asyncio.wait([client.ended for client in clients], timeout=30)
    return seen
