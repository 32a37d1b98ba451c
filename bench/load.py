"""Posts conversions over keep-alive connections, and prints the times as one line of JSON.

    python -m bench.load http://127.0.0.1:8077 --connections 64 --array 100 --seconds 5 [--rate 1000].

A raw asyncio protocol, since the process under test must be the slower one; an HTTP client library is slower. With
`--rate` requests start at their times even when answers are late, and are timed from then (no coordinated omission).
"""

import argparse
import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import quantiles
from urllib.parse import urlsplit

from bench.bodies import Bodies

RETRY_SECONDS = 1.0
"""How long a connection rests after a 503, as its Retry-After says."""


@dataclass
class Work:
    """What all connections share."""

    bodies: Callable[[], bytes]
    until: float
    interval: float
    """Seconds between two requests of one connection; 0 continues as soon as it was answered."""
    took: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)


class Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self, work: Work, host: str, offset: float) -> None:
        self._work = work
        self._head = f"POST /v1/conversions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        self._offset = offset
        self._answer = b""
        self._wanted = 0
        self._due = 0.0
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._due = time.perf_counter() + self._offset
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if not self._wanted:
            end = self._answer.find(b"\r\n\r\n")
            if end < 0:
                return
            at = self._answer.lower().find(b"content-length: ", 0, end)
            self._wanted = end + 4 + int(self._answer[at + 16 : self._answer.find(b"\r\n", at)])
        if len(self._answer) >= self._wanted:
            self._answered()

    def _answered(self) -> None:
        now = time.perf_counter()
        status = self._answer[9:12].decode()
        self._work.statuses[status] += 1
        if status == "202":
            self._work.took.append(now - self._due)
        self._answer, self._wanted = b"", 0
        self._due = self._due + self._work.interval if self._work.interval else now
        self._due += RETRY_SECONDS if status == "503" else 0.0
        self._wait()

    def _wait(self) -> None:
        wait = self._due - time.perf_counter()
        if self._due >= self._work.until:
            self._transport.close()
        elif wait > 0:
            asyncio.get_running_loop().call_later(wait, self._send)
        else:
            self._send()

    def _send(self) -> None:
        body = self._work.bodies()
        self._transport.write(f"{self._head}Content-Length: {len(body)}\r\n\r\n".encode() + body)


async def run(url: str, connections: int, bodies: Bodies, seconds: float, rate: float) -> dict[str, object]:
    """Load it for so long; every request that was begun is answered, and those with 202 count."""
    address = urlsplit(url)
    began = time.perf_counter()
    interval = connections / rate if rate else 0.0
    work = Work(bodies.next, began + seconds, interval)
    loop = asyncio.get_running_loop()
    made = []
    for number in range(connections):
        offset = interval * number / connections
        _, connection = await loop.create_connection(
            lambda offset=offset: Connection(work, address.netloc, offset), address.hostname, address.port
        )
        made.append(connection)
    await asyncio.gather(*(connection.closed for connection in made))
    return {
        "requests": len(work.took),
        "conversions": len(work.took) * max(1, bodies.array),
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time(),
        "percentiles": percentiles(work.took),
        "statuses": dict(work.statuses),
    }


def percentiles(took: Sequence[float]) -> dict[str, float]:
    """The median and the slow ends, in milliseconds."""
    of_1_000 = quantiles(took, n=1_000, method="inclusive")
    return {name: of_1_000[number - 1] * 1_000 for name, number in (("p50", 500), ("p99", 990), ("p999", 999))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--array", type=int, default=0, help="conversions in each request; 0 sends single objects")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rate", type=float, default=0.0, help="requests a second; 0 as fast as they are answered")
    parser.add_argument(
        "--random-ids", action="store_true", help="order ids such as UUIDs, in place of such as count up"
    )
    given = parser.parse_args()
    bodies = Bodies(given.array, random=given.random_ids)
    print(json.dumps(asyncio.run(run(given.url, given.connections, bodies, given.seconds, given.rate))))


if __name__ == "__main__":
    main()
