"""A migration that is killed at any statement leaves the old version or the new one, and every row."""

import shutil
import sqlite3
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from process_kit import kill_migration
from process_kit.running import Running, Starter
from process_kit.service import LISTENING, Services, config
from promises import Show

from sidecar.store.sqlite.migrations import APPLICATION_ID, SCHEMA

SETTINGS = config(None, accounts={"elsewhere": {"customer_id": "1", "account_id": "2"}})
"""Without the rows' own account, so that nothing is sent."""

FILL = """
    INSERT INTO entries
        (lane, state, content, order_id, time, time_given, value, currency, msclkid, received_at, due_at)
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :rows)
    SELECT 1, 'pending', 'content-' || n, 'ORDER-' || n, :now - n % 1000, 1, n || '.50', 'EUR', printf('%032x', n),
        :now * 1000, :now * 1000 FROM numbers"""

NEXT_STEPS = (
    "ALTER TABLE entries ADD COLUMN color TEXT; UPDATE entries SET color = 'red' WHERE seq % 2;",
    """DROP INDEX entries_due;
    CREATE INDEX entries_due ON entries (lane, again, due_at, seq, color) WHERE state = 'pending' AND claimed = 0;""",
    """CREATE TABLE colors (name TEXT PRIMARY KEY, rows INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO colors SELECT color, count(*) FROM entries WHERE color IS NOT NULL GROUP BY color;""",
)
"""Steps as later versions might bring them: there is no second version yet."""

ROWS = (
    "SELECT seq, lane, state, content, order_id, time, value, currency, msclkid, received_at FROM entries ORDER BY seq"
)


def schema(folder: Path) -> Path:
    """Write the steps of the schema, and NEXT_STEPS, to the new folder."""
    folder.mkdir()
    steps = [step.read_text() for step in sorted(SCHEMA.iterdir(), key=lambda step: step.name)]
    for number, step in enumerate((*steps, *NEXT_STEPS), start=1):
        (folder / f"{number:04}.sql").write_text(step)
    return folder


def old_file(path: Path, steps: list[Path], rows: int) -> None:
    """An outbox as the version with these steps left it, in order."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("PRAGMA journal_mode = WAL")
        for number, step in enumerate(steps, start=1):
            db.executescript(f"BEGIN;{step.read_text()};PRAGMA user_version = {number};COMMIT;")
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute("INSERT INTO facts VALUES ('environment', 'emulator')")
        db.execute("INSERT INTO lanes VALUES (1, 'gone', 'purchase', 'conversion')")
        db.execute(FILL, {"rows": rows, "now": int(time.time())})
        db.execute("UPDATE counts SET rows = ? WHERE state = 'pending'", (rows,))


def rows_of(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return db.execute(ROWS).fetchall()


@dataclass
class Trial:
    """Files of one old version, and starts on copies of them."""

    services: Services
    old: Path
    schema: Path
    rows: list[tuple[object, ...]]

    async def statements(self) -> int:
        """How many statements the migration has when it is not killed."""
        trace = await self._start("whole", 0)
        return len(trace.read_text().splitlines())

    async def loses(self, number: int) -> int:
        """Rows that are missing or other ones after a kill before that statement and another start."""
        await self._start(f"killed-{number}", number)
        folder = self.services.starter.folder
        running = await self._launch(folder / "restarted.txt", 0)
        await running.output_matching(LISTENING)
        await running.kill()
        left = rows_of(folder / "outbox.db")
        shutil.rmtree(folder)
        return len(set(self.rows) ^ set(left))

    async def _start(self, name: str, number: int) -> Path:
        folder = self.services.starter.folder = self.old.parent.with_name(f"{self.old.parent.name}-{name}")
        shutil.copytree(self.old.parent, folder)
        trace = folder / "statements.txt"
        running = await self._launch(trace, number)
        if number:
            assert await running.ended(60) == -9
        else:
            await running.output_matching(LISTENING)
            await running.kill()
        return trace

    async def _launch(self, trace: Path, number: int) -> Running:
        tapped = (sys.executable, kill_migration.__file__, str(trace), str(number), str(self.schema))
        return await self.services.launch(SETTINGS, before=tapped)


def _trial(services: Services, steps: Path, version: int, rows: int) -> Trial:
    old = services.starter.folder / f"version-{version}" / "outbox.db"
    old_file(old, sorted(steps.iterdir())[:version], rows)
    return Trial(services, old, steps, rows_of(old))


async def test_killed_migration_loses_nothing(starter: Starter, services: Services) -> None:
    """The short form: from the first version, at three statements."""
    trial = _trial(services, schema(starter.folder / "schema"), 1, 1_000)
    count = await trial.statements()
    assert len(trial.rows) == 1_000
    assert [await trial.loses(number) for number in (2, count // 2, count)] == [0, 0, 0]


@pytest.mark.faults
@pytest.mark.promise("A8")
@pytest.mark.timeout(7_200)
async def test_migrations_of_100000_rows_killed_at_each_statement_lose_nothing(
    starter: Starter, services: Services, tmp_path: Path, shown: Show
) -> None:
    kills = lost = 0
    steps = schema(tmp_path / "schema")
    newest = len(list(steps.iterdir()))
    for version in range(1, newest):
        starter.folder = tmp_path
        trial = _trial(services, steps, version, 100_000)
        for number in range(1, await trial.statements() + 1):
            kills += 1
            lost += await trial.loses(number)
    shown(f"{kills} kills, one at each statement from each of {newest - 1} versions with 100,000 rows", lost)
