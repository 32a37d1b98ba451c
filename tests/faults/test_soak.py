"""All of it together and for long: orders without end, a remote that flaps, and a kill -9 each minute."""

import asyncio
import contextlib
import itertools
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import aiohttp
import pytest
from process_kit.emulator import Microsoft, microsoft
from process_kit.running import Running, Starter
from process_kit.service import GOALS, LISTENING, Services, Sidecar, config
from process_kit.vitals import Vitals, started_with, vitals
from promises import Show

BACKENDS = 4
ARRAY = 25
PAUSE_SECONDS = 0.4
"""Between two arrays of a backend: about 250 orders a second in all."""

FLAP_SECONDS = 7.0
"""How long the remote stays as it is."""

MEMORY = 24 * 2**20
LOG = 64 * 2**20
"""The largest write-ahead log, in bytes."""

FLAPS = (
    {},
    {"kind": "status", "status": 503},
    {"kind": "slow", "seconds": 1.5, "probability": 0.5, "seed": 1},
    {"kind": "reset_after", "probability": 0.3, "seed": 2},
    {"kind": "hang", "probability": 0.2, "seed": 3},
    {"kind": "status", "status": 429, "retry_after": "2"},
    {"kind": "malformed", "body": "truncated", "probability": 0.3, "seed": 4},
)


@dataclass
class Backend:
    """Posts arrays, each until it is answered, as clients are told to."""

    numbers: Iterator[int]
    answered: int = 0

    async def post(self, sidecar: Sidecar) -> None:
        """Until the sidecar is gone; what has no answer then goes first in its next life."""
        with contextlib.suppress(aiohttp.ClientError, ConnectionError, asyncio.TimeoutError):
            while True:
                answer = await sidecar.post(self.waiting)
                assert answer.status in (202, 503), answer.text
                if answer.status == 202:
                    self.answered += len(self.waiting)
                    self.waiting = self._array()
                await asyncio.sleep(PAUSE_SECONDS)  # the rate of the soak

    def __post_init__(self) -> None:
        self.waiting = self._array()

    def _array(self) -> list[dict[str, object]]:
        clicks = [f"{number:032x}" for number in itertools.islice(self.numbers, ARRAY)]
        now = int(time.time())
        return [
            {"event": "purchase", "order_id": click, "value": 1, "msclkid": click, "time": now - 5} for click in clicks
        ]


@dataclass
class Soak:
    """The sidecar through its lives."""

    services: Services
    settings: dict[str, object]
    backends: list[Backend]
    file: Path
    lives: list[Vitals] = field(default_factory=list)
    """How each was shortly before its end."""
    largest_log: int = 0

    async def live(self, seconds: float) -> None:
        """One life, ended by kill -9."""
        sidecar = await self._born()
        async with asyncio.TaskGroup() as group:
            for backend in self.backends:
                group.create_task(backend.post(sidecar))
            await asyncio.sleep(seconds)  # the life of this process
            self.lives.append(await vitals(sidecar.running, self.file))
            log = self.services.starter.folder / "outbox.db-wal"
            self.largest_log = max(self.largest_log, log.stat().st_size)
            await sidecar.running.kill()

    async def last_life(self) -> Sidecar:
        """The backends send once more what had no answer, and everything goes out."""
        sidecar = await self._born()
        for backend in self.backends:
            answer = await sidecar.post(backend.waiting)
            assert answer.status == 202, answer.text
            backend.answered += len(backend.waiting)
        await sidecar.settled(300)
        return sidecar

    async def _born(self) -> Sidecar:
        running: Running = await self.services.launch(self.settings, before=started_with(self.file))
        return Sidecar(running, await running.output_matching(LISTENING), self.services.session)


@contextlib.asynccontextmanager
async def _flapping(there: Microsoft, chance: random.Random) -> AsyncIterator[None]:
    """The remote is another one every few seconds, and well in the end."""

    async def flap() -> None:
        for number in itertools.count():
            await there.call("DELETE", "faults")
            fault = dict(FLAPS[number % len(FLAPS)])
            if fault:
                await there.fault(str(fault.pop("kind")), times=None, **fault)
            await asyncio.sleep(FLAP_SECONDS * chance.uniform(0.5, 1.5))  # the remote changes its mind

    flapping = asyncio.create_task(flap())
    try:
        yield
    finally:
        flapping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await flapping
        await there.call("DELETE", "faults")


async def _soak(starter: Starter, services: Services, lives: int, seconds: float) -> tuple[Soak, int, str]:
    """What is lost, counted twice or changed; and a figure."""
    there = await starter.stack.enter_async_context(microsoft(starter, *GOALS))
    numbers = itertools.count()
    settings = config(there, delivery={"request_timeout": "5s"})
    soak = Soak(services, settings, [Backend(numbers) for _ in range(BACKENDS)], starter.folder / "vitals.json")
    async with _flapping(there, random.Random(16)):
        for _ in range(lives):
            await soak.live(seconds)
    sidecar = await soak.last_life()
    answered = sum(backend.answered for backend in soak.backends)
    delivered = (await sidecar.accounts(answered))["delivered"]
    ledger = await there.ledger()
    clicks = Counter(json.loads(row["raw"])["MicrosoftClickId"] for row in ledger)
    lost = (answered - delivered) + (answered - len(clicks)) + sum(count - 1 for count in clicks.values())
    again = sum(row["seen"] > 1 for row in ledger)
    figure = f"{answered:,} orders, {again:,} sent again byte for byte, WAL at most {soak.largest_log / 2**20:.0f} MiB"
    return soak, lost + sum(row["changed"] for row in ledger), figure


async def test_flapping_remote_and_kills_lose_nothing(starter: Starter, services: Services) -> None:
    """The short form: two lives."""
    _, lost, figure = await _soak(starter, services, lives=2, seconds=1.5)
    assert lost == 0, figure


@pytest.mark.faults
@pytest.mark.promise("B16")
@pytest.mark.timeout(4_500)
async def test_half_an_hour_of_a_flapping_remote_and_a_kill_each_minute(
    starter: Starter, services: Services, shown: Show
) -> None:
    soak, lost, figure = await _soak(starter, services, lives=30, seconds=60)
    first, last = soak.lives[1:6], soak.lives[-5:]  # the first life began with an empty outbox
    assert soak.largest_log <= LOG
    assert median(one.files for one in last) <= median(one.files for one in first) + 2  # one look at each life
    assert median(one.tasks for one in last) <= median(one.tasks for one in first) + 5  # what is in flight
    assert median(one.memory for one in last) <= median(one.memory for one in first) + MEMORY
    shown("30 minutes and 30 kills", lost=lost, figure=f"{figure}; early: {first[-1]}; in the end: {last[-1]}")
