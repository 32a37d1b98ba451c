"""What the store's URL names."""

from pathlib import Path

import pytest

from sidecar.ports.errors import BackupFailed, OutboxRefused
from sidecar.store.opening import back_up, has_owner, refuse_if_owned
from sidecar.store.store_url import emulator_file_of, file_of, folder_of, shown


@pytest.mark.parametrize(
    ("url", "path"),
    [("sqlite:///data/x.db", "data/x.db"), ("sqlite:////data/x.db", "/data/x.db"), ("sqlite:///./x", "x")],
)
def test_three_slashes_are_relative_and_four_absolute(url: str, path: str) -> None:
    assert file_of(url) == Path(path)


@pytest.mark.parametrize("url", ["mysql://me:test-secret@db/outbox", "/data/outbox.db", "sqlite://x.db", "sqlite:///"])
def test_url_of_no_store_is_refused_with_what_to_write_and_without_its_password(url: str, tmp_path: Path) -> None:
    for door in (file_of, refuse_if_owned, lambda url: back_up(url, tmp_path / "copy.db")):
        with pytest.raises(OutboxRefused, match=r"sqlite:///relative/file\.db") as refused:
            door(url)
        assert "test-secret" not in str(refused.value)


SERVER = "postgresql://me:test-secret@db:5432/shop%20one?sslmode=verify-full"


def test_database_on_a_server_has_no_owner_and_no_folder_and_is_shown_without_its_password() -> None:
    refuse_if_owned(SERVER)
    assert not has_owner(SERVER)
    assert folder_of(SERVER) is None
    assert shown(SERVER) == "postgresql://me:***@db:5432/shop%20one?sslmode=verify-full"


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:////data/x.db", "/data/x.emulator.db"),
        (SERVER, "data/shop_one.emulator.db"),
        ("postgres://db/..%2F..%2Fx", "data/_.._x.emulator.db"),
        ("postgres://db", "data/outbox.emulator.db"),
    ],
)
def test_emulator_inside_keeps_its_state_beside_the_file_or_in_the_data_folder(url: str, path: str) -> None:
    assert emulator_file_of(url) == Path(path)


def test_backup_of_a_server_is_its_own_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BackupFailed, match=r"pg_dump --format=custom --file=\S+/copy\.db ") as failed:
        back_up(SERVER, tmp_path / "copy.db")
    assert "test-secret" not in str(failed.value)
    assert not (tmp_path / "copy.db").exists()
