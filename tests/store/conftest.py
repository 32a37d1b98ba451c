"""What every store must do, over each house in `store_kit`; what is one store's own has a folder of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from committer_kit import Rows
from erasure_kit import Place, opened_place
from store_kit import HOUSES, House

from sidecar.ports.outbox import Outbox
from sidecar.store.sqlite.database import writer


@pytest.fixture(params=HOUSES)
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    """Where an outbox lives, not opened yet; ended in order afterwards."""
    built = HOUSES[request.param](tmp_path)
    yield built
    await built.remove()


@pytest.fixture
async def outbox(house: House) -> Outbox:
    """An empty outbox, ready to take and give."""
    return await house.open()


@pytest.fixture
async def place(house: House) -> AsyncIterator[Place]:
    """A store with an eraser beside it."""
    async with opened_place(house) as built:
        yield built


@pytest.fixture
async def rows(tmp_path: Path) -> AsyncIterator[Rows]:
    """A committer over an empty table; it does not run yet."""
    async with writer(tmp_path / "outbox.db", "emulator") as database:
        built = Rows(database, tmp_path / "outbox.db")
        await built.prepare()
        yield built
