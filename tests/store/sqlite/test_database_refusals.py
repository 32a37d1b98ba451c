"""Errors of SQLite at the start: the fix fits the cause, and only what is damaged is called so."""

import sqlite3
from pathlib import Path

import pytest
from instant_kit import NOW
from store_kit import open_outbox

from sidecar.ports.errors import OutboxRefused
from sidecar.store.sqlite.sqlite_errors import unusable


def full() -> sqlite3.DatabaseError:
    """SQLite's own word for a full disk."""
    with sqlite3.connect(":memory:") as db:
        db.execute("PRAGMA max_page_count = 1")
        with pytest.raises(sqlite3.OperationalError) as error:
            db.execute("CREATE TABLE t (x)")
    return error.value


def made(code: int, words: str) -> sqlite3.DatabaseError:
    error = sqlite3.OperationalError(words)
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (full(), "make room there"),
        (made(sqlite3.SQLITE_IOERR_WRITE, "disk I/O error"), "make room there"),
        (made(sqlite3.SQLITE_BUSY, "database is locked"), "another program has it open"),
        (made(sqlite3.SQLITE_BUSY_SNAPSHOT, "database is locked"), "another program has it open"),
        (made(sqlite3.SQLITE_CANTOPEN, "unable to open database file"), "the right to read and write it"),
        (
            made(sqlite3.SQLITE_READONLY_DIRECTORY, "attempt to write a readonly database"),
            "the right to read and write",
        ),
        (made(sqlite3.SQLITE_CORRUPT, "database disk image is malformed"), ".recover"),
        (made(sqlite3.SQLITE_NOTADB, "file is not a database"), ".recover"),
    ],
)
def test_the_fix_fits_what_sqlite_says(error: sqlite3.DatabaseError, words: str) -> None:
    told = str(unusable(Path("/data/outbox.db"), error))
    assert told.startswith(f"the outbox /data/outbox.db cannot be opened: {error}; ")
    assert words in told
    assert (".recover" in told) is (words == ".recover")


async def refused(path: Path) -> str:
    with pytest.raises(OutboxRefused) as error:
        async with open_outbox(path, "emulator", NOW):
            pass
    return str(error.value)


async def test_an_outbox_that_another_program_holds_is_not_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    async with open_outbox(path, "emulator", NOW):
        pass
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("UPDATE commits SET number = number")
        told = await refused(path)
    other.close()
    assert "another program has it open" in told
    assert "damaged" not in told


@pytest.mark.parametrize("beside", ["lock", "last"])
async def test_a_folder_in_place_of_a_file_beside_it_is_named(tmp_path: Path, beside: str) -> None:
    (tmp_path / f"outbox.db.{beside}").mkdir()
    told = await refused(tmp_path / "outbox.db")
    assert "Is a directory; " in told
