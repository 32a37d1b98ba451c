"""A file from before there were tallies gets those of its rows, and goes on from there."""

import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

from instant_kit import DAY, HOUR, NOW
from outbox_kit import TAKEN, claimed
from store_kit import running_store

from sidecar.core.instant import UnixSeconds, seconds
from sidecar.core.states_and_reasons import State
from sidecar.store.sqlite.migrations import APPLICATION_ID, SCHEMA

ROWS = """
    INSERT INTO entries (lane, state, content, time, time_given, value, currency, received_at, due_at, settled_at)
    VALUES (?, ?, 'content', ?, 1, ?, ?, ?, ?, ?)"""

LANE = "INSERT INTO lanes (account, event, kind) VALUES ('main', 'purchase', 'conversion')"


def old_file(path: Path, rows: list[tuple[State, str | None, str | None, int]]) -> None:
    """An outbox of schema 1 with rows of this state, value, currency and time of receipt."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript((SCHEMA / "0001_outbox.sql").read_text())
        db.execute(LANE)
        for state, value, currency, at in rows:
            db.execute(ROWS, (1, state.value, at // 1_000, value, currency, at, at, at))
            db.execute("UPDATE counts SET rows = rows + 1 WHERE state = ?", (state.value,))
        db.execute("INSERT INTO facts VALUES ('environment', 'emulator')")
        db.executescript(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 1;")


async def test_file_without_tallies_gets_those_of_its_rows_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "old" / "outbox.db"
    long_ago = NOW - 30 * DAY
    old_file(
        path,
        [
            *[(State.PENDING, "0.1", "USD", NOW)] * 3,
            (State.PENDING, None, None, NOW),
            (State.DELIVERED, "999999999999.999", "EUR", NOW - HOUR),
            (State.DELIVERED, "0.001", "EUR", NOW - HOUR),
            (State.DEAD, "7", "USD", long_ago),
        ],
    )
    this_hour, before = (UnixSeconds(seconds(at) // 3_600 * 3_600) for at in (NOW, NOW - HOUR))
    old = UnixSeconds(seconds(long_ago) // 3_600 * 3_600)
    async with running_store(path) as store:
        found = {one[:1] + one[2:6] for one in await store.tallies.by_period(UnixSeconds(0), 3_600)}
        assert found == {
            (this_hour, State.PENDING, "USD", 3, Decimal("0.3")),
            (this_hour, State.PENDING, None, 1, Decimal(0)),
            (before, State.DELIVERED, "EUR", 2, Decimal("1000000000000")),
            (old, State.DEAD, "USD", 1, Decimal(7)),
        }
        assert await store.outbox.settle(await claimed(store.outbox), {}, TAKEN, NOW)
        figures = await store.tallies.figures(this_hour, NOW)
        assert {one[2:6] for one in figures.received} == {
            (State.DELIVERED, "USD", 3, Decimal("0.3")),
            (State.DELIVERED, None, 1, Decimal(0)),
        }
        assert sum(one.rows for one in figures.stored) == 7
        assert figures.first_received_at == NOW
        assert (await store.shares.load()) == {}
