"""Real processes for the tests of service and faults; whatever a test starts is ended with it, by its pid."""

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from processes.running import Starter
from processes.service import Services

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background job; what it starts would ignore it too
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
async def starter(tmp_path: Path) -> AsyncIterator[Starter]:
    """Starts processes in the test's own folder."""
    starter = Starter(tmp_path)
    yield starter
    await starter.end_all()


@pytest.fixture
async def services(starter: Starter) -> AsyncIterator[Services]:
    """Starts sidecars, and a client session to call them."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield Services(starter, session)
