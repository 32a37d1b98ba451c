"""A sidecar that cannot deliver while a million conversions come in: its memory and its answers stay as they were."""

import asyncio
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median, quantiles

import pytest
from process_kit.expected import email_sha256
from process_kit.running import Starter
from process_kit.service import Json, Services, Sidecar, config
from process_kit.vitals import memory
from promises import Show

ARRAY = 1_000
NOWHERE = "https://127.0.0.1:9"
MEBIBYTE = 2**20


@dataclass
class Backlog:
    """A sidecar whose Microsoft is away, and how many rows wait in it."""

    sidecar: Sidecar
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def _order(self) -> Json:
        click = f"{next(self.numbers):032x}"
        return {"event": "purchase", "order_id": click, "value": 1, "msclkid": click}

    async def grow(self, rows: int) -> None:
        for _ in range(rows // ARRAY):
            answer = await self.sidecar.post([self._order() for _ in range(ARRAY)])
            assert answer.status == 202, answer.text

    async def p99(self, count: int) -> float:
        """Of single conversions, four at a time, in milliseconds."""
        took: list[float] = []

        async def post() -> None:
            for _ in range(count // 4):
                began = time.perf_counter()
                assert (await self.sidecar.post(self._order())).status == 202
                took.append(time.perf_counter() - began)

        await asyncio.gather(*(post() for _ in range(4)))
        return quantiles(took, n=100)[98] * 1_000

    @property
    def memory(self) -> int:
        return memory(self.sidecar.running.pid)


PAGES = ("/livez", "/readyz", "/healthz", "/metrics")
EMAIL = "canary.shopper@canary-mail.example"
CANARY = {
    "event": "purchase",
    "order_id": "test-canary-order-77",
    "value": 77.77,
    "msclkid": "c0ffee00c0ffee00c0ffee00c0ffee77",
    "user": {"email": EMAIL},
    "meta": {"note": "test-canary-meta"},
}


async def _look_at_pages(sidecar: Sidecar, count: int) -> tuple[dict[str, float], list[str]]:
    """How long each page took in milliseconds, in the middle; and which canaries stand in one of them."""
    assert (await sidecar.post(CANARY)).status == 202
    hashed = email_sha256(EMAIL)
    assert hashed is not None
    canaries = ("canary", "c0ffee", "77.77", hashed[:16])
    took: dict[str, float] = {}
    found: list[str] = []
    for page in PAGES:
        seconds: list[float] = []
        for _ in range(count):
            began = time.perf_counter()
            answer = await sidecar.call("GET", page)
            seconds.append(time.perf_counter() - began)
            assert answer.status == 200
            found += [f"{canary} in {page}" for canary in canaries if canary in answer.text.lower()]
        took[page] = median(seconds) * 1_000
    return took, found


async def _grown(services: Services, rows: int, count: int) -> tuple[int, float, float, Sidecar]:
    """By how many bytes memory grew with `rows` waiting rows, and the p99 before and after."""
    settings = config(None)
    settings["microsoft"]["endpoints"] = {"campaign": NOWHERE, "customer": NOWHERE, "authority": f"{NOWHERE}/common"}
    backlog = Backlog(await services.start(settings))
    await backlog.grow(20 * ARRAY)  # what is made once is made now
    few, before = await backlog.p99(count), backlog.memory
    await backlog.grow(rows)
    many, after = await backlog.p99(count), backlog.memory
    assert await backlog.sidecar.pending() == 20 * ARRAY + rows + 2 * count
    return after - before, few, many, backlog.sidecar


async def test_backlog_is_taken_in_while_microsoft_is_away(starter: Starter, services: Services) -> None:
    """The short form shows that it works; times are not measured."""
    *_, sidecar = await _grown(services, rows=5 * ARRAY, count=40)
    _, found = await _look_at_pages(sidecar, count=3)
    assert found == []


@pytest.mark.faults
@pytest.mark.promise("B10", "C13")
@pytest.mark.timeout(1_800)
async def test_a_million_rows_take_no_memory_and_health_costs_nothing(
    starter: Starter, services: Services, shown: Show
) -> None:
    grown, few, many, sidecar = await _grown(services, rows=1_000_000, count=2_000)
    assert grown <= 30 * MEBIBYTE
    assert many <= 2 * few + 20
    figure = f"memory + {grown / MEBIBYTE:.0f} MiB, p99 of POST {few:.0f} and {many:.0f} ms"
    shown("1,000,000 rows pending", lost=0, figure=figure)
    took, found = await _look_at_pages(sidecar, count=100)
    assert max(took.values()) <= 5
    told = ", ".join(f"{page} {milliseconds:.1f} ms" for page, milliseconds in took.items())
    shown("400 looks beside 1,000,000 rows", lost=len(found), figure=told, promise="C13")
