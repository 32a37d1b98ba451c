"""One sidecar for all tests that only talk to one, and a fresh one for those that stop it."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_kit import WAIT, Service, sidecar


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running sidecar that asks for no key, and whose log has begun."""
    service = Service(tmp_path_factory.mktemp("running"))
    with service.running():
        until = time.monotonic() + float(WAIT)
        while not sidecar("logs", "--name", "started", url=service.url).stdout:
            assert time.monotonic() < until, "the log shows no start"
            time.sleep(0.05)
        yield service


@pytest.fixture
def service(tmp_path: Path) -> Service:
    """A sidecar that the test starts itself."""
    return Service(tmp_path)


@pytest.fixture(scope="session")
def stopped_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sidecar that delivered one conversion and stopped."""
    folder = tmp_path_factory.mktemp("stopped")
    service = Service(folder)
    with service.running():
        assert sidecar("send", "lead", "--email", "a@example.com", "--wait", WAIT, url=service.url).exit_code == 0
    return folder


@pytest.fixture
def stopped(stopped_once: Path, tmp_path: Path) -> Service:
    """A stopped sidecar with an outbox of its own."""
    shutil.copytree(stopped_once, tmp_path, dirs_exist_ok=True)
    return Service(tmp_path)
