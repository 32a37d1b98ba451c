"""The rig for a test, started; ended afterwards."""

from collections.abc import AsyncIterator

import pytest
from delivery_kit import Clock, Rig, options
from place_kit import OutboxPlace

from sidecar.emulator import Emulator


@pytest.fixture
async def rig(outbox_place: OutboxPlace, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    """A sidecar that carries, and an emulator that takes.

    On a busy machine requests take long that hang nowhere: none counts as slow, unless the test says from when on.
    """
    monkeypatch.setattr("sidecar.core.in_flight.PATIENCE_SECONDS", 600.0)
    clock = Clock()
    async with Emulator(options(), clock) as emulator:
        built = await Rig.of(outbox_place, emulator, clock)
        await built.start()
        yield built
        await built.close()
