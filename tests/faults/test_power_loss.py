"""A power cut loses nothing that was answered 202: of the outbox only what was fsynced is left, and it is all there."""

import asyncio
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from process_kit import shop, unsafe
from process_kit.patient import Patient, identified
from process_kit.power import Power, order_ids, power
from process_kit.preloaded import needs_gcc
from process_kit.running import Starter
from process_kit.service import Json, Services, config
from promises import Show

CLIENTS = 4
MOST_ANSWERS = 60
"""A life ends at any moment, after a number of answers at most: how many a second has depends on the machine."""


async def _cut(
    services: Services, backends: Sequence[Patient], supply: Power, chance: random.Random, before: Sequence[str] = ()
) -> None:
    """One life under load that ends with the power; every other time some of the blocks in flight get through."""
    settings = config(None, delivery={"linger": "10ms", "batch_size": 50})
    running = await services.launch(settings, env=supply.env, before=before)
    sidecar = await services.ready(running)
    async with asyncio.TaskGroup() as group:
        for backend in backends:
            group.create_task(backend.post_until_killed(sidecar))
        enough = len(_answered(backends)) + chance.randint(1, MOST_ANSWERS)
        while len(_answered(backends)) < enough and any(backend.waiting for backend in backends):
            await asyncio.sleep(chance.uniform(0, 0.02))  # looked at, and cut, at any moment
        await running.kill()
    supply.cut(chance if chance.random() < 0.5 else None)


def _backends(orders: Sequence[Json], seed: int) -> list[Patient]:
    return [Patient(list(orders[n::CLIENTS]), random.Random(seed + n)) for n in range(CLIENTS)]


def _answered(backends: Sequence[Patient]) -> set[str]:
    return {order_id for backend in backends for order_id in backend.answered}


async def _cut_often(starter: Starter, services: Services, cuts: int, seed: int) -> tuple[str, int, str]:
    """What was tried, how many answered orders were lost, and a figure."""
    chance, supply = random.Random(seed), await power(starter)
    orders = identified(shop.orders(int(time.time()), step=max(1, 400 // cuts)))
    backends = _backends(orders, seed)
    lost: set[str] = set()
    for _ in range(cuts):
        await _cut(services, backends, supply, chance)
        lost |= _answered(backends) - order_ids(supply.database)
    answered = len(_answered(backends))
    assert answered > cuts, "hardly anything was answered"
    on_disk = len(order_ids(supply.database))
    sidecar = await services.start(config(None))
    await sidecar.settled(60)
    accounts = await sidecar.accounts(on_disk)
    return (
        f"{cuts} power cuts under load",
        len(lost),
        f"{answered:,} orders answered, {accounts.total():,} rows on disk",
    )


@needs_gcc
async def test_power_cut_loses_nothing_that_was_answered(starter: Starter, services: Services) -> None:
    """The short form: three cuts."""
    _, lost, _ = await _cut_often(starter, services, cuts=3, seed=11)
    assert lost == 0


@pytest.mark.faults
@pytest.mark.promise("A2")
@pytest.mark.timeout(3_600)
async def test_200_power_cuts_lose_nothing_that_was_answered(starter: Starter, services: Services, shown: Show) -> None:
    shown(*await _cut_often(starter, services, cuts=200, seed=200))


@needs_gcc
@pytest.mark.parametrize("synchronous", ["NORMAL", "OFF"])
async def test_without_an_fsync_for_each_answer_a_power_cut_does_lose_orders(
    starter: Starter, services: Services, synchronous: str
) -> None:
    """What is cut is really cut: the same trial finds the loss where there is one."""
    supply = await power(starter)
    backends = _backends(identified(shop.orders(int(time.time()), step=200)), seed=3)
    running = await services.launch(
        config(None), env=supply.env, before=(sys.executable, str(Path(unsafe.__file__)), synchronous)
    )
    sidecar = await services.ready(running)
    await asyncio.gather(*(backend.post_until_killed(sidecar) for backend in backends))
    await running.kill()
    supply.cut()
    assert _answered(backends) - order_ids(supply.database)
