"""A failed fsync ends intake: its rows are not acknowledged, and the same file is not synced again."""

import asyncio
import json
import random
import time
from pathlib import Path

import pytest
from process_kit import shop
from process_kit.patient import Patient, identified
from process_kit.power import order_ids, power
from process_kit.preloaded import compiled, needs_gcc
from process_kit.running import Starter
from process_kit.service import Services, config
from promises import Show

CLIENTS = 16


async def _fail(starter: Starter, services: Services, seed: int) -> tuple[int, int]:
    """One sidecar whose disk fails under load, and its next life: answered orders, and how many of them are lost."""
    fault, supply = starter.folder / "fault", await power(starter)
    trouble = await compiled("fsync_trouble", starter.folder)
    env = {**supply.env, "LD_PRELOAD": f"{trouble}:{supply.library}", "FSYNC_FAULT": str(fault)}
    running = await services.launch(config(None), env=env)
    sidecar = await services.ready(running)
    orders = identified(shop.orders(int(time.time()), step=30))
    backends = [Patient(orders[n::CLIENTS], random.Random(seed + n)) for n in range(CLIENTS)]
    async with asyncio.TaskGroup() as group:
        for backend in backends:
            group.create_task(backend.post_until_killed(sidecar))
        while sum(len(backend.answered) for backend in backends) < 50 + seed:
            await asyncio.sleep(0.01)
        fault.touch()
        assert await running.ended() == 1
    _check_end(fault, running.out)
    supply.cut()
    answered = {order_id for backend in backends for order_id in backend.answered}
    lost = answered - order_ids(supply.database)
    await (await services.start(config(None))).settled(60)
    return len(answered), len(lost)


def _check_end(fault: Path, log: str) -> None:
    """The log was asked to last once, and the operator is told what happened and what to do."""
    assert len(fault.read_text().split()) == 1
    last = json.loads(log.splitlines()[-1])
    assert last["error"] == "storage_broken"
    assert "disk I/O error" in last["message"]
    assert "start the sidecar again" in last["fix"]


@needs_gcc
async def test_failed_fsync_ends_intake_and_acknowledges_nothing(starter: Starter, services: Services) -> None:
    answered, lost = await _fail(starter, services, seed=1)
    assert answered >= 50
    assert lost == 0


@pytest.mark.faults
@pytest.mark.promise("A5")
@pytest.mark.timeout(900)
async def test_20_failed_fsyncs_acknowledge_nothing(
    tmp_path_factory: pytest.TempPathFactory, services: Services, shown: Show
) -> None:
    seen = []
    for number in range(20):
        services.starter.folder = tmp_path_factory.mktemp("failing")
        seen.append(await _fail(services.starter, services, seed=10 * number))
    answered, lost = (sum(numbers) for numbers in zip(*seen, strict=True))
    shown(f"20 failed fsyncs under {CLIENTS} clients", lost, f"{answered:,} orders answered before, each on disk")
