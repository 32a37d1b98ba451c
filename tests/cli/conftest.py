"""One sidecar for all tests that only talk to one, and a fresh one for those that stop it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_kit import Service


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running sidecar that asks for no key."""
    service = Service(tmp_path_factory.mktemp("running"))
    with service.running():
        yield service


@pytest.fixture
def service(tmp_path: Path) -> Service:
    """A sidecar that the test starts itself."""
    return Service(tmp_path)
