"""A file from before there were days of goals gets those of its delivered rows, and goes on from there."""

import sqlite3
from contextlib import closing
from pathlib import Path

from instant_kit import DAY, NOW
from store_kit import running_store
from verdict_kit import days_ago

from sidecar.core.goal_days import SentRows
from sidecar.ports.reports import VerdictQuery
from sidecar.store.sqlite.migrations import APPLICATION_ID, SCHEMA

OLD_STEPS = 4

LANE = "INSERT INTO lanes (account, event, kind) VALUES ('main', 'purchase', ?)"

ROW = """
    INSERT INTO entries (lane, state, content, time, time_given, received_at, due_at, settled_at, goal)
    VALUES (?, ?, 'content', 1, 1, 1, 1, ?, ?)"""


def old_file(path: Path, rows: list[tuple[int, str, int | None, str | None]]) -> None:
    """An outbox of schema 4 with rows of this lane, state, time of settlement and goal."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        for step in sorted(SCHEMA.iterdir(), key=lambda file: file.name)[:OLD_STEPS]:
            db.executescript(step.read_text())
        db.executemany(LANE, [("conversion",), ("adjustment",)])
        db.executemany(ROW, rows)
        db.execute("INSERT INTO facts VALUES ('environment', 'emulator')")
        db.executescript(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {OLD_STEPS};")


async def test_delivered_rows_of_an_old_file_are_counted_by_goal_day_and_kind(tmp_path: Path) -> None:
    path = tmp_path / "old" / "outbox.db"
    old_file(
        path,
        [
            *[(1, "delivered", NOW, "Sale")] * 3,
            (2, "delivered", NOW, "Sale"),
            (1, "delivered", NOW - 30 * DAY, "Sale"),
            (1, "delivered", NOW, "Lead"),
            (1, "dead", NOW, "Sale"),
            (1, "pending", None, "Sale"),
            (1, "skipped", NOW, None),
        ],
    )
    async with running_store(path) as store:
        days = (await store.verdicts.find(VerdictQuery())).days
    assert [(day.account, day.goal, day.day, day.sent) for day in days] == [
        ("main", "Lead", days_ago(0), SentRows(1, 0)),
        ("main", "Sale", days_ago(0), SentRows(3, 1)),
        ("main", "Sale", days_ago(30), SentRows(1, 0)),
    ]
