"""What is SQLite's own: files, statements, the engine's errors, damage. The house is SQLite's here."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from store_kit import SqliteHouse


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[SqliteHouse]:
    """A store in a file, not opened yet; closed afterwards."""
    built = SqliteHouse(tmp_path)
    yield built
    await built.close()
