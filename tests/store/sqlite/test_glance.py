"""A look at an outbox: what it shows, what a start would refuse, and that it leaves everything as it is."""

import fcntl
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from store_kit import running_store

from sidecar.ports.errors import OutboxRefused
from sidecar.store.opening import glance, has_owner
from sidecar.store.store import OutboxGlance

NOBODY = 65_534


def look(path: Path, environment: str = "emulator") -> OutboxGlance:
    return glance(f"sqlite:///{path}", environment)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if not file.name.endswith("-shm")}


@contextmanager
def without_root() -> Iterator[None]:
    """Be another user meanwhile, where this one is root, who may write everywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


async def test_glance_at_an_open_outbox_shows_schema_environment_and_size(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    async with running_store(path) as store:
        await store.secrets.put("refresh_token", "plain:test")
        seen = look(path)
        assert has_owner(f"sqlite:///{path}")
    assert seen.schema
    assert (seen.environment, dict(seen.sealed)) == ("emulator", {"refresh_token": "plain:test"})
    assert seen.size_bytes >= path.stat().st_size
    assert "test" not in repr(seen).replace(str(path), "")
    assert not has_owner(f"sqlite:///{path}")


def test_outbox_that_does_not_exist_yet_is_no_fault_and_nothing_is_made(tmp_path: Path) -> None:
    path = tmp_path / "data" / "outbox.db"
    assert look(path) == OutboxGlance()
    assert not has_owner(f"sqlite:///{path}")
    assert list(tmp_path.iterdir()) == []


async def test_glance_changes_no_file(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    async with running_store(path):
        pass
    before = contents(tmp_path)
    look(path)
    assert contents(tmp_path) == before


async def test_outbox_of_another_environment_is_refused_as_at_a_start(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    async with running_store(path):
        pass
    with pytest.raises(OutboxRefused, match=r"holds conversions for microsoft\.environment 'emulator'"):
        look(path, "production")


def test_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    path.write_text("a letter")
    with pytest.raises(OutboxRefused, match="no SQLite database"):
        look(path)
    path.unlink()
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE letters (x)")
    with pytest.raises(OutboxRefused, match="database of another program"):
        look(path)


async def test_outbox_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    async with running_store(path):
        pass
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 9999")
    with pytest.raises(OutboxRefused, match="written by a newer version"):
        look(path)


def test_folder_that_may_not_be_written_is_refused() -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to other users
        folder = Path(name)
        folder.chmod(0o555)
        with without_root(), pytest.raises(OutboxRefused, match="may not write"):
            look(folder / "outbox.db")
        folder.chmod(0o777)
        with without_root():
            assert look(folder / "outbox.db") == OutboxGlance()


def test_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutboxRefused):
        look(tmp_path)


def test_lock_of_another_holder_is_seen_and_left(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    with (tmp_path / "outbox.db.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert has_owner(f"sqlite:///{path}")
        assert has_owner(f"sqlite:///{path}")
    assert not has_owner(f"sqlite:///{path}")
