"""Opening the file: one owner, file modes, settings in force, and whose file it is."""

import asyncio
import contextlib
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from conversion_kit import conversion
from instant_kit import NOW
from outbox_kit import put
from promises import Show
from store_kit import SqliteHouse, open_outbox

from sidecar.ports.errors import OutboxRefused
from sidecar.store.sqlite import migrations
from sidecar.store.sqlite.database import reader, writer
from sidecar.store.sqlite.outbox_file import owned

Before = Callable[[Path], AbstractAsyncContextManager[Path]]
"""What happened to an outbox before it is opened; gives its path."""


async def opened(path: Path, environment: str = "emulator") -> None:
    """Open the outbox in `path` and close it again."""
    async with open_outbox(path, environment, NOW):
        pass


def contents(folder: Path) -> dict[str, bytes]:
    """Every file in a folder but for the lock, which is the owner's own."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.suffix != ".lock"}


# --- one owner -------------------------------------------------------------------------------------------------------


async def test_second_process_is_refused_and_learns_which_process_owns_the_outbox(tmp_path: Path) -> None:
    """A second process exits and names the first."""
    path = tmp_path / "outbox.db"
    script = (
        "import pathlib, sys; from sidecar.store.sqlite.outbox_file import owned\n"
        "with owned(pathlib.Path(sys.argv[1])): pass"
    )
    async with open_outbox(path, "emulator", NOW):
        other = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", script, str(path)], capture_output=True, text=True
        )
        assert other.returncode != 0
        assert f"in use by another sidecar (process {os.getpid()})" in other.stderr
        with pytest.raises(OutboxRefused, match=rf"process {os.getpid()}\)"):
            await opened(path)
    await opened(path)


def test_refused_opener_leaves_the_owner_its_lock(tmp_path: Path) -> None:
    with owned(tmp_path / "outbox.db"):
        for _ in range(2):
            with pytest.raises(OutboxRefused, match=str(os.getpid())), owned(tmp_path / "outbox.db"):
                pass


@contextlib.asynccontextmanager
async def _as_new(path: Path) -> AsyncIterator[Path]:
    yield path


@contextlib.asynccontextmanager
async def _after_a_stop(path: Path) -> AsyncIterator[Path]:
    await opened(path)
    yield path


@contextlib.asynccontextmanager
async def _after_a_kill(path: Path) -> AsyncIterator[Path]:
    """What a killed process leaves behind: a file beside a log that was not copied into it."""
    left = path.parent / "left"
    left.mkdir()
    async with open_outbox(path, "emulator", NOW):
        for file in path.parent.glob("outbox.db*"):
            shutil.copy(file, left)
    assert (left / "outbox.db-wal").stat().st_size
    yield left / path.name


@pytest.mark.parametrize("before", [_as_new, _after_a_stop, _after_a_kill])
async def test_other_program_that_looks_into_the_outbox_takes_no_log_away(tmp_path: Path, before: Before) -> None:
    """Without the owner's locks, the last process to close the file would delete acknowledged rows."""
    script = (
        "import sqlite3, sys; db = sqlite3.connect(sys.argv[1])\n"
        "print(db.execute('SELECT count(*) FROM entries').fetchone()[0]); db.close()"
    )
    async with before(tmp_path / "outbox.db") as path, open_outbox(path, "emulator", NOW) as outbox:
        committing = asyncio.create_task(outbox.committer.run())
        await outbox.open_lanes([("main", "purchase")])
        log = Path(f"{path}-wal").stat()
        for count in range(3):
            looked = await asyncio.to_thread(subprocess.check_output, [sys.executable, "-c", script, str(path)])
            assert int(looked) == count
            assert Path(f"{path}-wal").stat().st_ino == log.st_ino
            await put(outbox, conversion(order_id=f"ORDER-{count}"))
        outbox.committer.stop()
        await committing


def test_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    script = (
        "import pathlib, sys; from sidecar.store.sqlite.outbox_file import owned\n"
        "with owned(pathlib.Path(sys.argv[1])): print('mine', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "outbox.db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"mine\n"
        other.kill()
        other.wait()
    with owned(tmp_path / "outbox.db"):
        assert (tmp_path / "outbox.db.lock").read_text() == f"{os.getpid()}\n"


# --- modes -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def open_umask() -> Iterator[None]:
    """A careless user: nothing is masked."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.promise("C10")
@pytest.mark.usefixtures("open_umask")
async def test_every_file_is_for_the_owner_alone(tmp_path: Path, shown: Show) -> None:
    """Every file it creates is 0600."""
    house = SqliteHouse(tmp_path)
    await put(await house.open(), conversion())
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in house.path.parent.iterdir()}
    assert modes == {f"outbox.db{end}": 0o600 for end in ("", "-wal", "-shm", ".lock", ".last")}
    assert stat.S_IMODE(house.path.parent.stat().st_mode) == 0o700
    await house.close()
    shown(f"{len(modes)} files made without any umask, and their folder", lost=0)


async def test_folder_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    await opened(tmp_path / "outbox.db")
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


@pytest.mark.parametrize("name", ["with space.db", "a?b#c%41&d.db", "ünï.db", "sub/sub/outbox.db"])
async def test_any_file_name_will_do(tmp_path: Path, name: str) -> None:
    await opened(tmp_path / name)
    assert (tmp_path / name).is_file()


async def test_clean_end_leaves_everything_in_the_one_file(tmp_path: Path) -> None:
    house = SqliteHouse(tmp_path)
    await put(await house.open(), conversion())
    await house.close()
    left = sorted(name for name, content in contents(house.path.parent).items() if content)
    assert left == ["outbox.db", "outbox.db.last"]
    with sqlite3.connect(house.path) as db:
        assert db.execute("SELECT order_id FROM entries").fetchall() == [("ORDER-1",)]


# --- whose file ------------------------------------------------------------------------------------------------------


async def refusal(path: Path, environment: str = "emulator") -> str:
    """Why the file is refused; it must be as it was afterwards."""
    before = contents(path.parent)
    with pytest.raises(OutboxRefused) as refused:
        await opened(path, environment)
    assert contents(path.parent) == before
    assert str(path) in str(refused.value)
    assert "storage.url" in str(refused.value)
    return str(refused.value)


def altered(path: Path, *statements: str) -> None:
    with sqlite3.connect(path) as db:
        for statement in statements:
            db.execute(statement)
    db.close()


async def test_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    await opened(path)
    altered(path, "PRAGMA user_version = 999")
    assert re.search(r"newer version of the sidecar \(schema 999, this one knows \d+\)", await refusal(path))


async def test_database_of_another_environment_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    await opened(path, "production")
    reason = await refusal(path, "emulator")
    assert "'production'" in reason
    assert "'emulator'" in reason
    await opened(path, "production")


async def test_database_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    altered(path, "CREATE TABLE entries (seq)", "INSERT INTO entries VALUES (1)")
    assert "another program" in await refusal(path)


GARBAGE = {
    "text": b"order_id,value\n" * 500,
    "short": b"x",
    "random": bytes(range(256)) * 64,
    "header alone": b"SQLite format 3\0",
    "header and noise": b"SQLite format 3\0" + bytes(range(1, 255)) * 64,
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
async def test_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path, garbage: bytes) -> None:
    path = tmp_path / "outbox.db"
    path.write_bytes(garbage)
    assert "left as it is" in await refusal(path)


async def test_truncated_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    await opened(path)
    path.write_bytes(path.read_bytes()[:5_000])
    await refusal(path)


async def test_empty_file_becomes_an_outbox(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    path.touch()
    await opened(path)
    assert path.stat().st_size > 0


@pytest.mark.parametrize("name", ["", "file/outbox.db"])
async def test_place_that_cannot_hold_a_file_is_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / ".lock").mkdir()
    with pytest.raises(OutboxRefused, match=r"storage\.url"):
        await opened(tmp_path / name)


async def test_file_with_a_second_name_is_refused(tmp_path: Path) -> None:
    """SQLite would keep a write-ahead log for each name."""
    await opened(tmp_path / "outbox.db")
    (tmp_path / "other.db").hardlink_to(tmp_path / "outbox.db")
    assert "second name" in await refusal(tmp_path / "outbox.db")


async def test_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "outbox.db").mkdir()
    with pytest.raises(OutboxRefused, match="Is a directory"):
        await opened(tmp_path / "outbox.db")


# --- settings --------------------------------------------------------------------------------------------------------

IN_FORCE = {
    "auto_vacuum": 2,  # INCREMENTAL
    "journal_mode": "wal",
    "synchronous": 2,  # FULL: every commit is fsynced
    "fullfsync": 1,
    "busy_timeout": 5_000,
    "foreign_keys": 1,
    "trusted_schema": 0,
    "cell_size_check": 1,
    "temp_store": 2,
    "cache_size": -2_048,
    "journal_size_limit": 64 * 2**20,
    "query_only": 0,
    "application_id": migrations.APPLICATION_ID,
}


async def test_settings_of_the_writer_are_in_force(tmp_path: Path) -> None:
    """SQLite WAL with `synchronous=FULL`."""
    async with writer(tmp_path / "outbox.db", "emulator") as write:
        found = await write.call(lambda db: {name: db.execute(f"PRAGMA {name}").fetchone()[0] for name in IN_FORCE})
    assert found == IN_FORCE


async def test_settings_are_in_force_in_a_file_that_was_there_before(tmp_path: Path) -> None:
    await opened(tmp_path / "outbox.db")
    async with writer(tmp_path / "outbox.db", "emulator") as write:
        assert await write.call(lambda db: db.execute("PRAGMA synchronous").fetchone()[0]) == 2


@pytest.mark.parametrize("statement", ["DELETE FROM entries", "CREATE TABLE t (x)", "PRAGMA user_version = 7"])
async def test_reader_cannot_write(tmp_path: Path, statement: str) -> None:
    """Readers are separate `mode=ro` connections."""
    path = tmp_path / "outbox.db"
    async with writer(path, "emulator"), reader(path, "reader") as read:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await read.call(lambda db: db.execute(statement))


async def test_threads_of_connections_bear_the_names_that_top_and_bench_show(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    async with writer(path, "emulator"), reader(path, "due reader"):
        names = {(thread / "comm").read_text().strip() for thread in Path("/proc/self/task").iterdir()}
    assert names >= {"writer", "due reader"}


async def test_reader_sees_what_was_committed_and_nothing_before(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    count = "SELECT count(*) FROM lanes"
    async with writer(path, "emulator") as write, reader(path, "reader") as read:
        await write.call(lambda db: db.execute("BEGIN"))
        await write.call(lambda db: db.execute("INSERT INTO lanes VALUES (1, 'main', 'purchase', 'conversion')"))
        assert await read.call(lambda db: db.execute(count).fetchone()[0]) == 0
        await write.call(lambda db: db.execute("COMMIT"))
        assert await read.call(lambda db: db.execute(count).fetchone()[0]) == 1


# --- schema ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of steps, with the real ones in it, that takes more."""
    folder = tmp_path / "schema"
    shutil.copytree(Path(migrations.__file__).parent / "schema", folder)
    monkeypatch.setattr(migrations, "SCHEMA", folder)
    return folder


def version_of(path: Path) -> int:
    with sqlite3.connect(path) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


NEXT_STEPS = (
    "ALTER TABLE entries ADD COLUMN color TEXT; UPDATE entries SET color = 'red';",
    "CREATE INDEX entries_color ON entries (color);",
)


async def test_newest_schema_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    await opened(path)
    assert version_of(path) == len(list((Path(migrations.__file__).parent / "schema").glob("*.sql")))
    before = contents(tmp_path)
    await opened(path)
    assert contents(tmp_path).keys() == before.keys()


async def test_file_of_an_earlier_version_is_brought_up_to_date_with_its_rows(tmp_path: Path, schema: Path) -> None:
    house = SqliteHouse(tmp_path / "house")
    await put(await house.open(), conversion())
    await house.close()
    before = version_of(house.path)
    for number, step in enumerate(NEXT_STEPS, before + 1):
        (schema / f"{number:04}_color.sql").write_text(step)
    await opened(house.path)
    assert version_of(house.path) == before + 2
    with sqlite3.connect(house.path) as db:
        assert db.execute("SELECT order_id, color FROM entries INDEXED BY entries_color WHERE color = 'red'").fetchall()


async def test_step_that_fails_leaves_the_file_at_the_step_before(tmp_path: Path, schema: Path) -> None:
    await opened(tmp_path / "outbox.db")
    before = version_of(tmp_path / "outbox.db")
    (schema / f"{before + 1:04}_color.sql").write_text(NEXT_STEPS[0])
    (schema / f"{before + 2:04}_wrong.sql").write_text("DROP INDEX entries_due; DROP TABLE nowhere;")
    with pytest.raises(OutboxRefused, match="no such table: nowhere"):
        await opened(tmp_path / "outbox.db")
    assert version_of(tmp_path / "outbox.db") == before + 1
    with sqlite3.connect(tmp_path / "outbox.db") as db:
        assert db.execute("SELECT name FROM sqlite_schema WHERE name = 'entries_due'").fetchone()


async def test_schema_is_brought_up_to_date_where_nothing_can_be_sorted_in_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container without a folder for temporary files."""
    stores: list[str] = []
    carry_out = migrations._carry_out

    def without_files(db: sqlite3.Connection, step: str, temp_store: str) -> None:
        stores.append(temp_store)
        if temp_store == "FILE":
            step += "SELECT * FROM nowhere.table_in_a_file;"
        try:
            carry_out(db, step, temp_store)
        except sqlite3.OperationalError as error:
            error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
            raise

    monkeypatch.setattr(migrations, "_carry_out", without_files)
    await opened(tmp_path / "outbox.db")
    assert stores == ["FILE", "MEMORY"] * (len(stores) // 2)
    with sqlite3.connect(tmp_path / "outbox.db") as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(stores) // 2,)
        assert db.execute("SELECT number FROM commits").fetchone() is not None
