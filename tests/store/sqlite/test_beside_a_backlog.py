"""Claims and intake beside an outbox that is full, against the same beside an empty one; intake beside pruning."""

import asyncio
import contextlib
import gc
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from statistics import quantiles

import pytest
from conversion_kit import LANES, conversion
from instant_kit import DAY, NOW, later
from outbox_kit import TAKEN, claimed
from promises import Show
from store_kit import open_outbox

from sidecar.core.conversion import Conversion
from sidecar.core.instant import UnixMillis, UnixSeconds
from sidecar.ports.intake import Arrival
from sidecar.service.app import spare_the_collector
from sidecar.store.sql.outbox import SqlOutbox
from sidecar.store.sqlite.connection import STEP_PAGES
from sidecar.upkeep.housekeeping import SLICE_ROWS

GROUP = 1_000
MEBIBYTE = 2**20


@contextlib.asynccontextmanager
async def running(path: Path) -> AsyncIterator[SqlOutbox]:
    """The outbox, with its committer."""
    async with open_outbox(path, "emulator", NOW, max_pending=10_000_000) as outbox:
        committing = asyncio.create_task(outbox.committer.run())
        await outbox.open_lanes(LANES)
        yield outbox
        outbox.committer.stop()
        await committing


def shop(start: int, count: int, at: UnixMillis = NOW) -> Iterator[Conversion]:
    """Orders, each of a click of its own, an hour before `at`."""
    for number in range(start, start + count):
        yield conversion(f"ORDER-{number}", msclkid=f"{number:032x}", time=UnixSeconds(at // 1_000 - 3_600))


async def fill(outbox: SqlOutbox, count: int, start: int = 0, at: UnixMillis = NOW) -> None:
    for first in range(start, start + count, GROUP):
        await outbox.put([Arrival(one, at, "request-1") for one in shop(first, GROUP, at)])


def p99(seconds: list[float]) -> float:
    """In milliseconds."""
    return quantiles(seconds, n=100)[98] * 1_000


async def claims(outbox: SqlOutbox, count: int) -> float:
    """The p99 of looking up and claiming a thousand rows; each batch is settled before the next."""
    took: list[float] = []
    for _ in range(count):
        began = time.perf_counter()
        claim = await claimed(outbox)
        took.append(time.perf_counter() - began)
        assert len(claim.entries) == GROUP
        assert await outbox.settle(claim, {}, TAKEN, NOW)
    return p99(took)


async def arrivals(outbox: SqlOutbox, start: int, count: int, pause: float = 0.0) -> list[float]:
    """How long single conversions took, eight at a time, from being handed over until they are on disk."""
    took: list[float] = []
    waiting = iter(shop(start, count))

    async def hand_over() -> None:
        for one in waiting:
            began = time.perf_counter()
            await outbox.put([Arrival(one, NOW, "request-1")])
            took.append(time.perf_counter() - began)
            await asyncio.sleep(pause)  # requests of a shop come one by one

    await asyncio.gather(*(hand_over() for _ in range(8)))
    assert len(took) == count
    return took


async def _beside(path: Path, backlog: int, count: int) -> tuple[float, float]:
    async with running(path) as outbox:
        await fill(outbox, backlog)
        claiming = await claims(outbox, count)
        return claiming, p99(await arrivals(outbox, start=10_000_000, count=count * 50))


@pytest.fixture
def spared() -> Iterator[None]:
    """The garbage collector as it is in the service: it does not walk through what stays, here all of pytest."""
    before = gc.get_threshold()
    spare_the_collector()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


async def test_claims_and_intake_go_on_beside_a_backlog(tmp_path: Path) -> None:
    """The short form shows that it works; times are not measured."""
    await _beside(tmp_path / "outbox.db", backlog=8_000, count=4)


@pytest.mark.faults
@pytest.mark.promise("B10")
@pytest.mark.usefixtures("spared")
@pytest.mark.timeout(1_800)
async def test_claims_and_intake_are_no_slower_beside_a_million_rows(tmp_path: Path, shown: Show) -> None:
    small, few = await _beside(tmp_path / "small.db", backlog=40_000, count=40)
    large, many = await _beside(tmp_path / "large.db", backlog=1_040_000, count=40)
    assert large <= 2 * small + 20
    assert many <= 2 * few + 20
    shown(
        "1,000,000 rows pending",
        lost=0,
        figure=f"claim of 1,000 p99 {small:.0f} ms beside none, {large:.0f} ms beside them; "
        f"intake p99 {few:.1f} and {many:.1f} ms",
    )


# --- Pruning ---------------------------------------------------------------------------------------------------------


async def _settled(path: Path, count: int) -> None:
    """Store `count` rows that were delivered two hundred days ago."""
    async with running(path) as outbox:
        await fill(outbox, count, at=later(-200 * DAY))
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE entries SET state = 'delivered', settled_at = received_at, due_at = received_at")
        db.execute("UPDATE counts SET rows = ? WHERE state = 'delivered'", (count,))
        db.execute("UPDATE counts SET rows = 0 WHERE state = 'pending'")


async def _prune(outbox: SqlOutbox, log: Path) -> int:
    """Prune as housekeeping does; the largest write-ahead log that was seen."""
    after: int | None = 0
    largest = 0
    while after is not None:
        after = await outbox.prune(later(-90 * DAY), after, SLICE_ROWS)
        largest = max(largest, log.stat().st_size)
    return largest


async def _prune_beside_intake(path: Path, settled: int, orders: int) -> tuple[float, float, int]:
    """The p99 of intake alone and beside pruning, and the largest log."""
    await _settled(path, settled)
    async with running(path) as outbox:
        alone = await arrivals(outbox, 10_000_000, orders, pause=0.004)
        forgetting = asyncio.create_task(_prune(outbox, Path(f"{path}-wal")))
        beside: list[float] = []
        while not forgetting.done():
            beside += await arrivals(outbox, 20_000_000 + len(beside), orders, pause=0.004)
        assert ((await outbox.counts()).pending, (await outbox.counts()).delivered) == (orders + len(beside), 0)
        return p99(alone), p99(beside), await forgetting


async def test_pruning_forgets_what_is_old_beside_intake(tmp_path: Path) -> None:
    """The short form shows that it works; times are not measured."""
    await _prune_beside_intake(tmp_path / "outbox.db", settled=10_000, orders=200)


async def test_log_is_copied_back_in_small_steps_while_rows_are_forgotten_and_no_longer(tmp_path: Path) -> None:
    """What is deleted lies all over the file: copied back 4,000 pages at a time it held up answers."""
    await _settled(tmp_path / "outbox.db", GROUP)
    async with running(tmp_path / "outbox.db") as outbox:

        async def step() -> int:
            return await outbox.committer.engine.database.call(
                lambda db: db.execute("PRAGMA wal_autocheckpoint").fetchone()[0]
            )

        before = await step()
        after = await outbox.prune(later(-90 * DAY), 0, 100)
        assert after is not None
        assert await step() == STEP_PAGES < before
        while after is not None:
            after = await outbox.prune(later(-90 * DAY), after, 100)
        assert (await step(), (await outbox.counts()).delivered) == (before, 0)


@pytest.mark.faults
@pytest.mark.promise("B11")
@pytest.mark.usefixtures("spared")
@pytest.mark.timeout(1_800)
async def test_pruning_of_a_million_rows_holds_up_no_intake(tmp_path: Path, shown: Show) -> None:
    alone, beside, largest = await _prune_beside_intake(tmp_path / "outbox.db", settled=1_000_000, orders=5_000)
    assert beside <= alone + 50
    assert largest <= 64 * MEBIBYTE
    shown(
        "1,000,000 rows pruned under intake",
        lost=0,
        figure=f"p99 {alone:.1f} ms alone, {beside:.1f} ms beside it; WAL at most {largest / MEBIBYTE:.0f} MiB",
    )
