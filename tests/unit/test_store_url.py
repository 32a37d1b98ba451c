"""What the store's URL names."""

from pathlib import Path

import pytest

from sidecar.ports.errors import OutboxRefused
from sidecar.store.opening import back_up, refuse_if_owned
from sidecar.store.store_url import file_of


@pytest.mark.parametrize(
    ("url", "path"),
    [("sqlite:///data/x.db", "data/x.db"), ("sqlite:////data/x.db", "/data/x.db"), ("sqlite:///./x", "x")],
)
def test_three_slashes_are_relative_and_four_absolute(url: str, path: str) -> None:
    assert file_of(url) == Path(path)


@pytest.mark.parametrize(
    "url", ["postgresql://me:test-secret@db/outbox", "/data/outbox.db", "sqlite://x.db", "sqlite:///"]
)
def test_url_of_no_store_is_refused_with_what_to_write_and_without_its_password(url: str, tmp_path: Path) -> None:
    for door in (file_of, refuse_if_owned, lambda url: back_up(url, tmp_path / "copy.db")):
        with pytest.raises(OutboxRefused, match=r"sqlite:///relative/file\.db") as refused:
            door(url)
        assert "test-secret" not in str(refused.value)
