"""`sidecar backup` while a sidecar is at work, and what bringing the copy back means."""

import asyncio
import random
import time
from pathlib import Path

from process_kit import shop
from process_kit.emulator import microsoft
from process_kit.expected import differences, received
from process_kit.patient import Patient, identified
from process_kit.running import Starter
from process_kit.service import GOALS, Services, Sidecar, config


async def _back_up(starter: Starter, file: Path) -> str:
    running = await starter.start("backup", "--config", "config.yaml", str(file))
    assert await running.ended() == 0, running.err
    return running.out


async def _answered(patient: Patient, count: int) -> set[str]:
    """The orders that were answered 202, once there are `count`."""
    while len(patient.answered) < count:
        await asyncio.sleep(0.02)
    return set(patient.answered)


def _bring_back(folder: Path, copy: Path) -> None:
    """As docs/operating.md says: nothing of the old file may lie beside the copy."""
    (folder / "broken").mkdir()
    for file in folder.glob("outbox.db*"):
        file.rename(folder / "broken" / file.name)
    (folder / "outbox.db").write_bytes(copy.read_bytes())


async def _order_ids(sidecar: Sidecar) -> set[str]:
    return {row["order_id"] for row in await sidecar.rows()}


async def test_backup_under_load_holds_all_that_was_answered_before_and_comes_back(
    starter: Starter, services: Services
) -> None:
    """After the disaster the app repeats the orders that followed the copy; each still counts once."""
    there = await starter.stack.enter_async_context(microsoft(starter, *GOALS))
    settings = config(there)
    sidecar = await services.start(settings)
    bodies = identified(shop.orders(int(time.time()), step=60))
    patient = Patient(list(bodies), random.Random(8))
    async with asyncio.TaskGroup() as group:
        group.create_task(patient.post_until_killed(sidecar))
        before = await _answered(patient, len(bodies) // 3)
        copy = starter.folder / "copy.db"
        assert "checked" in await _back_up(starter, copy)
        await _answered(patient, len(bodies) // 2)
        await sidecar.running.kill()
    _bring_back(starter.folder, copy)
    again = await services.start(settings)
    assert before <= await _order_ids(again)
    patient.waiting = list(bodies)
    await patient.post_until_killed(again)
    assert await _order_ids(again) == {body["order_id"] for body in bodies}
    await again.settled(60)
    rows = await there.ledger()
    assert not [row["raw"] for row in rows if row["changed"]]
    assert not differences(patient.answered.values(), [received(row["raw"]) for row in rows])


async def test_what_a_killed_sidecar_left_is_backed_up_with_its_log(starter: Starter, services: Services) -> None:
    """No process runs, and the rows are only in the write-ahead log."""
    settings = config(None, delivery={"linger": "60s"})
    sidecar = await services.start(settings)
    bodies = identified(shop.orders(int(time.time()), step=2_000))
    patient = Patient(list(bodies), random.Random(9))
    await patient.post_until_killed(sidecar)
    await sidecar.running.kill()
    assert (starter.folder / "outbox.db-wal").stat().st_size > (starter.folder / "outbox.db").stat().st_size
    await _back_up(starter, starter.folder / "copy.db")
    _bring_back(starter.folder, starter.folder / "copy.db")
    assert await _order_ids(await services.start(settings)) == set(patient.answered)
