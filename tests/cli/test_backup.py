"""`sidecar backup`: what it refuses, and what it leaves behind."""

import re
import sqlite3
from pathlib import Path

import pytest
from cli_kit import Service, sidecar
from click.testing import Result
from promises import Show


def backup(service: Service, name: str = "copy.db") -> Result:
    return sidecar("backup", "--config", str(service.config), str(service.folder / name))


@pytest.mark.promise("C10")
def test_copy_is_complete_and_for_its_owner_alone(stopped: Service, shown: Show) -> None:
    result = backup(stopped)
    assert result.exit_code == 0, result.output
    copy = stopped.folder / "copy.db"
    assert copy.stat().st_mode & 0o777 == 0o600
    assert re.search(
        r"copy.db: 0\.\d MiB, checked\. Rows: 0 pending, 1 delivered, 0 skipped, 0 dead, 0 c", result.output
    )
    with sqlite3.connect(copy) as opened:
        assert opened.execute("SELECT state FROM entries").fetchall() == [("delivered",)]
    assert not list(stopped.folder.glob(".copy*"))
    shown("1 backups", lost=0)


def test_existing_file_is_left_alone(stopped: Service) -> None:
    (stopped.folder / "copy.db").write_text("something else")
    result = backup(stopped)
    assert result.exit_code == 1
    assert "exists already and is left alone; name a new file" in result.output
    assert (stopped.folder / "copy.db").read_text() == "something else"


def test_outbox_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    result = backup(Service(tmp_path))
    assert result.exit_code == 1
    assert "there is no outbox" in result.output
    assert "storage.url" in result.output
    assert [file.name for file in tmp_path.iterdir()] == ["config.yaml"]


def test_database_of_another_program_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "outbox.db") as other:
        other.execute("CREATE TABLE theirs (id)")
    result = backup(Service(tmp_path))
    assert result.exit_code == 1
    assert "another program" in result.output
    assert not (tmp_path / "copy.db").exists()


@pytest.mark.parametrize("offset", [0, 100, 4_096 * 3, 4_096 * 9], ids=str)
def test_damaged_outbox_makes_no_backup(stopped: Service, offset: int) -> None:
    """A copy that is as damaged would be found out on the day it is needed."""
    outbox = stopped.folder / "outbox.db"
    content = bytearray(outbox.read_bytes())
    content[offset : offset + 64] = bytes(byte ^ 0xFF for byte in content[offset : offset + 64])
    outbox.write_bytes(content)
    result = backup(stopped)
    assert result.exit_code == 1, result.output
    assert "is damaged" in result.output
    assert ".recover" in result.output
    assert not list(stopped.folder.glob("*copy*"))


def test_folder_that_is_not_there_is_named(stopped: Service) -> None:
    result = backup(stopped, "nowhere/copy.db")
    assert result.exit_code == 1
    assert "cannot be written: No such file or directory; name a file in a folder that exists" in result.output
