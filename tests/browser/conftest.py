"""One Chromium for all tests of this folder. It belongs to one event loop, so they and their fixtures share that."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from page_kit import one_chromium
from process_kit.running import Starter
from process_kit.service import Services


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session", autouse=True)
async def chromium() -> AsyncIterator[None]:
    async with one_chromium():
        yield


@pytest_asyncio.fixture(loop_scope="session")
async def starter(tmp_path: Path) -> AsyncIterator[Starter]:
    starter = Starter(tmp_path)
    yield starter
    await starter.end_all()


@pytest_asyncio.fixture(loop_scope="session")
async def services(starter: Starter) -> AsyncIterator[Services]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield Services(starter, session)
