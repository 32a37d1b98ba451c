"""Dead letters by the thousand: none goes away by itself, and a replay that is cut off loses none."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from conversion_kit import LANES, orders
from instant_kit import HOUR, NOW, later
from promises import Show
from store_kit import open_outbox

from sidecar.core.states_and_reasons import State
from sidecar.ports.intake import Arrival
from sidecar.ports.upkeep import ReplayQuery
from sidecar.store.sql.outbox import SqlOutbox

SLICE = 1_000
IDENTITY = "SELECT seq, order_id, lane, time, value, currency, msclkid, key_hash, key_digest, received_at FROM entries"


@contextlib.asynccontextmanager
async def running(path: Path) -> AsyncIterator[SqlOutbox]:
    """The outbox, with its committer; what is cut off is cut off at its end."""
    async with open_outbox(path, "emulator", NOW) as outbox:
        committing = asyncio.create_task(outbox.committer.run())
        await outbox.open_lanes(LANES)
        yield outbox
        outbox.committer.stop()
        await committing


async def _fill(path: Path, count: int) -> None:
    """Store `count` rows that Microsoft refused."""
    async with running(path) as outbox:
        for start in range(0, count, SLICE):
            await outbox.put([Arrival(one, NOW, "request-1") for one in orders(min(SLICE, count - start), start)])
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE entries SET state = 'dead', reason = 'poison', settled_at = ?", (NOW,))
        db.execute("UPDATE counts SET rows = ? WHERE state = 'dead'", (count,))
        db.execute("UPDATE counts SET rows = 0 WHERE state = 'pending'")


def _identities(path: Path) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as db:
        return db.execute(f"{IDENTITY} ORDER BY seq").fetchall()


async def _replay(outbox: SqlOutbox, slices: int | None) -> int:
    """Replay every dead row, or break off after `slices` slices; return how many became due."""
    due, after = 0, 0
    while slices is None or slices > 0:
        done = await outbox.replay_slice(ReplayQuery(State.DEAD), after, SLICE // 2, later(HOUR), dry_run=False)
        due += done.matched
        if done.next_seq is None:
            return due
        after, slices = done.next_seq, None if slices is None else slices - 1
    return due


async def _keep_and_replay(path: Path, count: int) -> int:
    """How many rows are lost, or other than they were, after pruning, a replay that is cut off, and another one."""
    await _fill(path, count)
    before = _identities(path)
    async with running(path) as outbox:
        after: int | None = 0
        while after is not None:
            after = await outbox.prune(NOW, after, SLICE)  # to the last moment of their retention
        assert (await outbox.counts()).dead == count
        cut = await _replay(outbox, slices=count // SLICE)
    assert 0 < cut < count
    async with running(path) as outbox:
        rest = await _replay(outbox, slices=None)
        assert ((await outbox.counts()).pending, (await outbox.counts()).dead) == (count, 0)
    assert cut + rest == count
    return sum(old != new for old, new in zip(before, _identities(path), strict=True))


async def test_dead_rows_stay_and_are_replayed_as_they_were(tmp_path: Path) -> None:
    """The short form."""
    assert await _keep_and_replay(tmp_path / "outbox.db", 4_000) == 0


@pytest.mark.faults
@pytest.mark.promise("B14")
@pytest.mark.timeout(1_200)
async def test_100000_dead_rows_stay_and_are_replayed_as_they_were(tmp_path: Path, shown: Show) -> None:
    changed = await _keep_and_replay(tmp_path / "outbox.db", 100_000)
    shown("100,000 dead rows, pruned past, replayed in two goes", lost=changed, figure="each with its id, time and key")
