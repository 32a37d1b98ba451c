"""The generated key: made once, kept whole, never empty."""

from pathlib import Path

import pytest
from promises import Show

from sidecar.service.api_key import stored_key


def test_key_is_made_once_and_stored(tmp_path: Path) -> None:
    """One that it generates at first start, keeps beside the database and prints once."""
    key, file, is_new = stored_key(tmp_path / "outbox.db")
    assert is_new
    assert file == tmp_path / "outbox.db.api-key"
    assert len(key) >= 40
    assert stored_key(tmp_path / "outbox.db") == (key, file, False)


@pytest.mark.promise("C10")
def test_only_the_owner_reads_it(tmp_path: Path, shown: Show) -> None:
    """Every file it creates is 0600."""
    stored_key(tmp_path / "outbox.db")
    assert [path.stat().st_mode & 0o777 for path in tmp_path.iterdir()] == [0o600]
    shown("1 keys kept in a file", lost=0)


def test_no_two_are_alike(tmp_path: Path) -> None:
    assert stored_key(tmp_path / "a.db")[0] != stored_key(tmp_path / "b.db")[0]


@pytest.mark.parametrize("left", [b"", b"\n", b"\0\0\0\0", b"short", b"two words that are long", b"\xff" * 40])
def test_file_without_a_usable_key_gets_a_new_one(left: bytes, tmp_path: Path) -> None:
    """An empty key would fit every call that brings none."""
    (tmp_path / "outbox.db.api-key").write_bytes(left)
    key, _, is_new = stored_key(tmp_path / "outbox.db")
    assert is_new
    assert len(key) >= 40


def test_draft_of_a_crash_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "outbox.db.api-key.new").write_text("half a k")
    key, file, _ = stored_key(tmp_path / "outbox.db")
    assert file.read_text() == f"{key}\n"


def test_key_that_cannot_be_stored_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "outbox.db.api-key").mkdir()
    with pytest.raises(OSError, match="api-key"):
        stored_key(tmp_path / "outbox.db")
