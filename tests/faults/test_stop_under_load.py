"""SIGTERM while conversions come in and Microsoft is slow: it ends in time, and the next start does the rest."""

import asyncio
import contextlib
import itertools
import random
import signal
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from process_kit.emulator import microsoft
from process_kit.running import Starter
from process_kit.service import GOALS, Json, Services, Sidecar, config
from promises import Show

from sidecar.service.app import STOP_SECONDS

BACKENDS = 8
SLOW_SECONDS = (1.0, 3.0, 120.0)
"""How long Microsoft takes, by turns: the last is longer than any stop may wait."""


@dataclass
class Backends:
    """Post until the sidecar is gone, and remember what was answered."""

    numbers: Iterator[int] = field(default_factory=itertools.count)
    stored: set[str] = field(default_factory=set)
    refused: int = 0
    unanswered: int = 0

    async def post(self, sidecar: Sidecar) -> None:
        waiting: list[Json] = []
        with contextlib.suppress(aiohttp.ClientError, ConnectionError):
            while True:
                waiting = [self._order() for _ in range(5)]
                answer = await sidecar.post(waiting)
                if answer.status == 202:
                    self.stored |= {str(body["order_id"]) for body in waiting}
                    waiting = []
                else:
                    assert answer.status == 503, answer.text
                    self.refused += 1
        self.unanswered += len(waiting)

    def _order(self) -> Json:
        click = f"{next(self.numbers):032x}"
        return {"event": "purchase", "order_id": click, "value": 1, "msclkid": click}


@dataclass
class Stops:
    """What the stops came to."""

    longest: float = 0.0
    left: int = 0
    """Rows that were still marked as on their way after a stop that could wait for them."""
    orders: int = 0
    """That were stored in all."""


async def _stop(sidecar: Sidecar, backends: Backends, chance: random.Random) -> float:
    """One stop under load; how long it took."""
    async with asyncio.TaskGroup() as group:
        for _ in range(BACKENDS):
            group.create_task(backends.post(sidecar))
        await asyncio.sleep(chance.uniform(0.5, 2.0))  # stopped at any moment under load
        began = time.monotonic()
        sidecar.running.signal(signal.SIGTERM)
        assert await sidecar.running.ended() == 0, sidecar.running.err[-2000:]  # 1 where its own clock cut it short
        return time.monotonic() - began


def _on_their_way(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return int(db.execute("SELECT count(*) FROM entries WHERE claimed = 1").fetchone()[0])


async def _stop_often(starter: Starter, services: Services, stops: int, seed: int) -> tuple[int, str, Stops]:
    """What is lost or counted twice, a figure, and how the stops went."""
    there = await starter.stack.enter_async_context(microsoft(starter, *GOALS))
    settings = config(there, delivery={"batch_size": 50, "linger": "50ms"})
    backends, chance, seen = Backends(), random.Random(seed), Stops()
    path = starter.folder / "outbox.db"
    for number in range(stops):
        await there.call("DELETE", "faults")
        slow = SLOW_SECONDS[number % len(SLOW_SECONDS)]
        await there.fault("slow", times=None, seconds=slow)
        seen.longest = max(seen.longest, await _stop(await services.start(settings), backends, chance))
        assert sorted(file.name for file in path.parent.glob("outbox.db*")) == [
            "outbox.db",
            "outbox.db.last",
            "outbox.db.lock",
        ]
        seen.left += _on_their_way(path) if slow < 8 else 0
    await there.call("DELETE", "faults")
    sidecar = await services.start(config(there))  # in full batches: a quick machine has taken in 260,000 orders by now
    await sidecar.settled(300)
    rows = {row["order_id"]: row["state"] for row in await sidecar.rows()}
    ledger = await there.ledger()
    seen.orders = len(rows)
    lost = len(backends.stored - {order for order, state in rows.items() if state == "delivered"})
    lost += abs(len(ledger) - len(rows)) + sum(row["changed"] for row in ledger)
    figure = f"longest stop {seen.longest:.1f} s, {len(rows):,} orders, {backends.refused} requests answered 503"
    return lost, figure, seen


async def test_stop_under_load_ends_in_time_and_loses_nothing(starter: Starter, services: Services) -> None:
    """The short form: one stop that waits for Microsoft."""
    lost, _, seen = await _stop_often(starter, services, stops=1, seed=1)
    assert (lost, seen.left) == (0, 0)
    assert seen.orders >= 20, "hardly anything was going on"
    assert STOP_SECONDS < 15, "below Kubernetes' 30 s, as the contract has it"


@pytest.mark.faults
@pytest.mark.promise("B9")
@pytest.mark.timeout(1_800)
async def test_30_stops_under_load_end_in_time_and_lose_nothing(
    starter: Starter, services: Services, shown: Show
) -> None:
    lost, figure, seen = await _stop_often(starter, services, stops=30, seed=9)
    shown("30 stops under load", lost=lost + seen.left, figure=figure)
