"""What is SQLite's own: files, statements, the committer's engine, damage. The house is SQLite's here."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from committer_kit import Rows
from store_kit import SqliteHouse

from sidecar.store.sqlite.database import writer


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[SqliteHouse]:
    """A store in a file, not opened yet; closed afterwards."""
    built = SqliteHouse(tmp_path)
    yield built
    await built.close()


@pytest.fixture
async def rows(tmp_path: Path) -> AsyncIterator[Rows]:
    """A committer over an empty table; it does not run yet."""
    async with writer(tmp_path / "outbox.db", "emulator") as database:
        built = Rows(database, tmp_path / "outbox.db")
        await built.prepare()
        yield built
