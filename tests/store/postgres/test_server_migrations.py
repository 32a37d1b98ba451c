"""The schema of a database on a server: replicas race for it, and a step is carried out whole or not at all."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import postgres_kit
import psycopg
import pytest
from instant_kit import DAY, NOW
from verdict_kit import days_ago

from sidecar.store.postgres import migrations
from sidecar.store.postgres.connection import PostgresConnection
from sidecar.store.postgres.database import connect

REPLICAS = 5

SCHEMA = migrations.SCHEMA

MIGRATE = """
import sys
from sidecar.store.postgres import migrations
from sidecar.store.postgres.database import connect
db = connect(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
migrations.migrate(db, "the outbox")
"""


@pytest.fixture
def url() -> Iterator[str]:
    database = postgres_kit.empty_database()
    yield database
    postgres_kit.drop(database)


@pytest.fixture
def db(url: str) -> Iterator[PostgresConnection]:
    connection = connect(url)
    yield connection
    connection.raw.close()


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two steps in place of the schema."""
    monkeypatch.setattr(migrations, "SCHEMA", tmp_path)
    (tmp_path / "0001_a.sql").write_text("CREATE TABLE a (x int); INSERT INTO a VALUES (1);")
    (tmp_path / "0002_b.sql").write_text("CREATE TABLE b (x int); UPDATE a SET x = x + 1;")
    return tmp_path


def test_processes_that_start_at_once_make_the_schema_once(url: str) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MIGRATE, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(REPLICAS)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60)[1] for process in processes] == [b""] * REPLICAS
    assert {process.returncode for process in processes} == {0}
    with psycopg.connect(url) as seen:
        assert seen.execute("SELECT count(*) FROM facts WHERE name = 'visitor_key'").fetchone() == (1,)
        assert seen.execute("SELECT version FROM sidecar_schema").fetchall() == [
            (len(list(migrations.SCHEMA.iterdir())),)
        ]


async def test_replicas_race_for_each_step_alone(url: str, steps: Path) -> None:
    connections = [connect(url) for _ in range(REPLICAS)]
    await asyncio.gather(*(asyncio.to_thread(migrations.migrate, one, "the outbox") for one in connections))
    assert connections[0].execute("SELECT x FROM a").fetchall() == [(2,)]
    for one in connections:
        one.raw.close()


def test_step_that_fails_leaves_what_was_there_and_is_carried_out_next_time(
    db: PostgresConnection, steps: Path
) -> None:
    good = (steps / "0002_b.sql").read_text()
    (steps / "0002_b.sql").write_text(f"{good} SELECT 1 / 0;")
    with pytest.raises(psycopg.errors.DivisionByZero):
        migrations.migrate(db, "the outbox")
    assert migrations.schema_version(db) == 1
    assert db.execute("SELECT to_regclass('b'), (SELECT x FROM a)").fetchone() == (None, 1)
    (steps / "0002_b.sql").write_text(good)
    migrations.migrate(db, "the outbox")
    assert (migrations.schema_version(db), db.execute("SELECT x FROM a").fetchone()) == (2, (2,))


def test_delivered_rows_of_an_old_database_are_counted_by_goal_day_and_kind(
    url: str, db: PostgresConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second step counts what was stored before it."""
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "SCHEMA", tmp_path)
        (tmp_path / "0001.sql").write_text((SCHEMA / "0001_outbox.sql").read_text())
        migrations.migrate(db, "the outbox")
    with psycopg.connect(url, autocommit=True) as old:
        for kind in ("conversion", "adjustment"):
            old.execute("INSERT INTO lanes (account, event, kind) VALUES ('main', 'purchase', %s)", (kind,))
        for lane, state, settled_at, goal in [
            *[(1, "delivered", NOW, "Sale")] * 3,
            (2, "delivered", NOW, "Sale"),
            (1, "delivered", NOW - 30 * DAY, "Sale"),
            (1, "dead", NOW, "Sale"),
            (1, "pending", None, None),
        ]:
            old.execute(
                "INSERT INTO entries (lane, state, content, time, time_given, received_at, due_at, settled_at, goal) "
                "VALUES (%s, %s, 'content', 1, 1, 1, 1, %s, %s)",
                (lane, state, settled_at, goal),
            )
    migrations.migrate(db, "the outbox")
    assert sorted(db.execute("SELECT account, goal, day, kind, rows FROM sent_days").fetchall()) == [
        ("main", "Sale", days_ago(30), "conversion", 1),
        ("main", "Sale", days_ago(0), "adjustment", 1),
        ("main", "Sale", days_ago(0), "conversion", 3),
    ]
