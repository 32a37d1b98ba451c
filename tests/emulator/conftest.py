"""An emulator on a free port with a clock that stands still, and a client that is signed in to it."""

import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from emulator_kit import GOALS, Client, Serve, StillClock

from sidecar.emulator import Emulator, EmulatorOptions


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def serve(clock: StillClock) -> Serve:
    """`async with serve(option=...) as client:` runs an emulator and signs in."""

    @contextlib.asynccontextmanager
    async def run(**options: Any) -> AsyncIterator[Client]:
        chosen = EmulatorOptions(**{"goals": GOALS, "control": True, **options})
        async with Emulator(chosen, clock) as emulator:
            trust = ssl.create_default_context(cadata=emulator.ca_pem)
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as session:
                client = Client(emulator, session)
                if not chosen.client_secret:
                    await client.sign_in()
                yield client

    return run


@pytest.fixture
async def client(serve: Serve) -> AsyncIterator[Client]:
    async with serve() as client:
        yield client
