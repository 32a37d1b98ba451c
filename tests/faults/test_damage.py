"""A damaged outbox is refused, or every row is right: it never becomes an empty one, nor loses rows in silence."""

import random
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from process_kit import shop
from process_kit.damage import Snapshot, harm, rows_of, snapshot
from process_kit.patient import Patient, identified
from process_kit.running import Starter
from process_kit.service import LISTENING, Json, Services, config
from promises import Show

SETTINGS = config(None, delivery={"linger": "60s"})
"""Nothing is sent while it is looked at."""


async def _post(services: Services, orders: Sequence[Json], kill: bool) -> None:
    sidecar = await services.start(SETTINGS)
    await Patient(list(orders), random.Random(1)).post_until_killed(sidecar)
    if kill:
        await sidecar.running.kill()
    else:
        sidecar.running.process.terminate()
        assert await sidecar.running.ended() == 0


async def _snapshots(services: Services) -> list[Snapshot]:
    """What a stop leaves; what a kill leaves, once with everything in the log, and once with some rows in the file."""
    folder = services.starter.folder
    orders = identified(shop.orders(int(time.time()), step=100))
    half = len(orders) // 2
    await _post(services, orders[:half], kill=True)
    killed = snapshot("killed", folder, folder / "killed")
    await _post(services, orders[half : half + 20], kill=False)
    stopped = snapshot("stopped", folder, folder / "stopped")
    await _post(services, orders[half + 20 :], kill=True)
    killed_later = snapshot("killed later", folder, folder / "killed-later")
    assert [one.has_log for one in (killed, stopped, killed_later)] == [True, False, True]
    return [killed, stopped, killed_later]


def _content(folder: Path) -> dict[str, bytes]:
    """All that holds data; `-shm` is SQLite's scratch paper."""
    files = folder.glob("outbox.db*")
    return {file.name: file.read_bytes() for file in files if not file.name.endswith(("-shm", ".lock"))}


async def _start(services: Services, left: Snapshot, number: int) -> tuple[str, str]:
    """The kind of damage, and what the start made of it: `refused`, `right`, or what is wrong."""
    folder = services.starter.folder = left.folder.with_name(f"damaged-{number}")
    left.copy_to(folder)
    kind = harm(folder, number)
    before = _content(folder)
    running = await services.launch(SETTINGS)
    try:
        await running.output_matching(LISTENING)
    except AssertionError:
        return kind, await _refused(running.err, await running.ended(), folder, before)
    await running.kill()
    verdict = "right" if rows_of(folder) == left.rows else "rows differ"
    shutil.rmtree(folder)
    return kind, verdict


async def _refused(told: str, code: int, folder: Path, before: dict[str, bytes]) -> str:
    """Whether a refusal is what an operator needs."""
    if code != 1 or str(Path("outbox.db")) not in told or "Traceback" in told:
        return f"ended with {code}: {told}"
    if not any(remedy in told for remedy in (".recover", "storage.url", "run that version")):
        return f"says not what to do: {told}"
    return "refused" if _content(folder) == before else "the file was changed"


async def _damage(starter: Starter, services: Services, numbers: Sequence[int]) -> Counter[tuple[str, str]]:
    snapshots = await _snapshots(services)
    found = Counter([await _start(services, snapshots[number % 3], number) for number in numbers])
    wrong = {pair: times for pair, times in found.items() if pair[1] not in ("refused", "right")}
    assert not wrong, wrong
    return found


async def test_damaged_file_is_refused_or_right(starter: Starter, services: Services) -> None:
    """The short form: six of them."""
    found = await _damage(starter, services, range(0, 30, 5))
    assert found.total() == 6


@pytest.mark.faults
@pytest.mark.promise("A6")
@pytest.mark.timeout(3_600)
async def test_200_damaged_files_are_refused_or_right(starter: Starter, services: Services, shown: Show) -> None:
    found = await _damage(starter, services, range(200))
    by_verdict: Counter[str] = Counter()
    for (_, verdict), times in found.items():
        by_verdict[verdict] += times
    kinds = len({kind for kind, _ in found})
    shown(
        f"{found.total()} damages of {kinds} kinds",
        found.total() - by_verdict["refused"] - by_verdict["right"],
        f"{by_verdict['refused']} refused and left as they were, {by_verdict['right']} harmless with every row right",
    )
