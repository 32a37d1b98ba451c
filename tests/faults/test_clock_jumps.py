"""The machine's clock is set while the sidecar runs: nothing is lost, repeated, sent too early or given a wrong time.

libfaketime turns the wall clock of the sidecar alone; Microsoft's stand-in, in a process of its own, keeps the true
one.
"""

import asyncio
import itertools
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from process_kit.emulator import microsoft
from process_kit.running import Starter
from process_kit.service import GOALS, LISTENING, Json, Services, Sidecar, config
from process_kit.turned_clock import DAY, Jump, TurnedClock, needs_libfaketime
from promises import Show

JUMPS = (30, -30, DAY, -DAY, "2038", "1970")
WRONG_SECONDS = 3
"""So far the time of an order may be from when it was posted: its way, and the second that it is floored to."""


@dataclass
class Shop:
    """Posts orders, each until it is taken, and remembers when that was."""

    sidecar: Sidecar
    chance: random.Random
    posted: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Between which true times each was posted, by its click."""
    refused: int = 0
    numbers: Iterator[int] = field(default_factory=itertools.count)

    async def post(self, seconds: float) -> None:
        """Orders, one after another, for so long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await self._post_one()
            await asyncio.sleep(self.chance.uniform(0, 0.02))  # orders of a shop, at no regular time

    async def _post_one(self) -> None:
        click = f"{next(self.numbers):032x}"
        body = {"event": "purchase", "order_id": f"ORDER-{click}", "value": 1, "msclkid": click}
        began = time.time()
        if self.chance.random() < 0.5:
            body["time"] = int(began)
        while (answer := await self.sidecar.post(body)).status != 202:
            assert answer.status == 503, answer.text
            assert "clock_jumped" in answer.text
            self.refused += 1
            await asyncio.sleep(0.1)  # sent again, as a backend does
        self.posted[click] = began, time.time()


@dataclass
class Seen:
    """What the jumps came to."""

    orders: int
    wrong: int
    figure: str


async def _jump(starter: Starter, services: Services, jumps: list[Jump], held_seconds: float, seed: int) -> Seen:
    """Post, jump, post, jump back, post, for each of the jumps; some of them while Microsoft asks for a pause."""
    there = await starter.stack.enter_async_context(microsoft(starter, *GOALS))
    clock = TurnedClock(starter.folder / "clock")
    clock.set(0)
    running = await services.launch(config(there), env=clock.environment())
    sidecar = Sidecar(running, await running.output_matching(LISTENING), services.session)
    shop = Shop(sidecar, random.Random(seed))
    pauses, pause_seconds = 0, int(held_seconds) + 2
    for number, jump in enumerate(jumps):
        await shop.post(0.5)
        if number % 6 == 0:
            await there.fault("status", status=429, retry_after=str(pause_seconds))
            pauses += 1
            await shop.post(0.5)
        clock.set(jump)
        await shop.post(held_seconds)
        clock.set(0)
        await shop.post(0.5)
    await sidecar.settled(400)  # each pause halves the rate, which climbs again from minute to minute
    accounts = await sidecar.accounts(len(shop.posted))
    early, fullest = _paces(await there.ledger("requests"), pause_seconds)
    wrong = _wrong(shop, await there.ledger()) + early + (len(shop.posted) - accounts["delivered"])
    assert fullest <= 1_000
    assert (await there.fired())["status"] == pauses
    figure = f"{len(shop.posted):,} orders, {shop.refused} requests answered 503, {pauses} pauses kept"
    return Seen(len(shop.posted), wrong, figure)


def _wrong(shop: Shop, ledger: list[Json]) -> int:
    """Orders that Microsoft has not, has twice, or has at a time at which they were not posted."""
    times: dict[str, list[int]] = {}
    for row in ledger:
        raw = json.loads(row["raw"])
        times.setdefault(raw["MicrosoftClickId"], []).append(_unix(raw["ConversionTime"]))
    wrong = [
        (click, times.get(click), began)
        for click, (began, ended) in shop.posted.items()
        if len(at := times.get(click, [])) != 1 or not began - WRONG_SECONDS <= at[0] <= ended + WRONG_SECONDS
    ]
    assert not wrong, wrong[:5]
    return len(wrong) + sum(row["changed"] for row in ledger)


def _unix(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def _paces(requests: list[Json], pause_seconds: float) -> tuple[int, int]:
    """How many uploads came within a pause that Microsoft had asked for, and the most within any minute."""
    uploads = [request for request in requests if request["operation"].endswith("Apply")]
    at = [request["at"] / 1000 for request in uploads]
    until, early = 0.0, 0
    for request, came in zip(uploads, at, strict=True):
        early += came < until
        if request["answer"] == "HTTP 429":
            until = came + pause_seconds
    fullest = max(sum(start <= other < start + 60 for other in at) for start in at)
    return early, fullest


@needs_libfaketime
async def test_jumps_of_the_clock_lose_repeat_and_hasten_nothing(starter: Starter, services: Services) -> None:
    """The short form: two jumps."""
    seen = await _jump(starter, services, [DAY, -30], held_seconds=1, seed=12)
    assert seen.wrong == 0


@pytest.mark.faults
@pytest.mark.promise("B12")
async def test_clock_that_was_never_set_is_waited_for(starter: Starter, services: Services, shown: Show) -> None:
    """Started in 1970, as small machines are until they have asked for the time: intake refuses, and says why."""
    there = await starter.stack.enter_async_context(microsoft(starter, *GOALS))
    clock = TurnedClock(starter.folder / "clock")
    clock.set("1970")
    running = await services.launch(config(there), env=clock.environment())
    sidecar = Sidecar(running, await running.output_matching(LISTENING), services.session)
    order: dict[str, Any] = {"event": "purchase", "order_id": "ORDER-1", "value": 1, "msclkid": "1" * 32}
    answer = await sidecar.post(order)
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "10"
    assert answer.json()["errors"][0]["code"] == "clock_jumped"
    assert (await sidecar.call("GET", "/readyz")).status == 503
    clock.set(0)
    shop = Shop(sidecar, random.Random(1))
    await shop.post(0.5)
    await sidecar.settled(60)
    shown("1 start in 1970", lost=_wrong(shop, await there.ledger()))


@pytest.mark.faults
@pytest.mark.promise("B12")
@pytest.mark.timeout(3_600)
async def test_60_jumps_of_the_clock_lose_repeat_and_hasten_nothing(
    starter: Starter, services: Services, shown: Show
) -> None:
    chance = random.Random(2038)
    jumps: list[Jump] = [*JUMPS] * 5 + [chance.randint(-400 * DAY, 400 * DAY) for _ in range(30)]
    chance.shuffle(jumps)
    seen = await _jump(starter, services, jumps, held_seconds=5, seed=12)
    shown(f"{len(jumps)} jumps of the clock", lost=seen.wrong, figure=seen.figure)
