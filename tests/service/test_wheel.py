"""The wheel runs without the repository: configuration, service, dashboard, a delivered conversion."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from docs_page import ROOT, text_of
from process_kit.running import Running
from process_kit.service import Services

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
FROM_HERE = ("--no-index", "--no-deps")
NOT_OF_THE_SOURCE = shutil.ignore_patterns(".*", "tests", "bench", "docs", "build", "dist", "*.egg-info", "__pycache__")


def ran(*command: str | Path, cwd: Path) -> str:
    """What the command prints; it must end well. It knows nothing of this environment's modules."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SIDECAR_"))}
    done = subprocess.run(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=250
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `make wheel` does, from a copy of the source."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, folder / "source", ignore=NOT_OF_THE_SOURCE, symlinks=True)
    ran(*PIP, "wheel", *FROM_HERE, "--no-build-isolation", "--wheel-dir", folder, ".", cwd=folder / "source")
    [built] = folder.glob("*.whl")
    shutil.rmtree(folder / "source")
    return built


@dataclass(frozen=True)
class Fresh:
    """An environment that has the wheel, and what it depends on from the environment of the tests."""

    folder: Path

    @property
    def command(self) -> Path:
        return self.folder / "venv" / "bin" / "sidecar"


@pytest.fixture(scope="module")
def fresh(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Fresh:
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder / "venv", symlinks=True)
    python = folder / "venv" / "bin" / "python"
    ran(*PIP, "--python", python, "install", *FROM_HERE, wheel, cwd=folder)
    [packages] = (folder / "venv").glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    place = ran(python, "-c", "import sidecar; print(sidecar.__file__)", cwd=folder)
    assert place.startswith(str(packages))
    return Fresh(folder)


def test_make_wheel_builds_it_from_this_repository_alone() -> None:
    rule = text_of("Makefile").partition("\nwheel: ")[2].partition("\n\n")[0]
    assert "wheel --no-index --no-deps --no-build-isolation --wheel-dir dist ." in rule


def test_wheel_has_every_file_of_the_package_and_no_other(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    found = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "sidecar").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert len(found) > 200
    assert packed == found


async def test_wheel_is_installed_initialised_and_run_and_delivers(
    fresh: Fresh, services: Services, tmp_path: Path
) -> None:
    ran(fresh.command, "init", cwd=tmp_path)
    written = (tmp_path / "config.yaml").read_text()
    changed = re.sub(r"^  port: 8077 ", "  port: 0 ", written, flags=re.MULTILINE)
    assert changed != written
    (tmp_path / "config.yaml").write_text(changed)
    assert "environment: emulator" in ran(fresh.command, "check", cwd=tmp_path)
    with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
        process = await asyncio.create_subprocess_exec(fresh.command, "run", cwd=tmp_path, stdout=out, stderr=err)
    running = Running(process, tmp_path / "out", tmp_path / "err")
    services.starter.started.append(running)
    sidecar = await services.ready(running)
    assert (await sidecar.post({"event": "purchase", "order_id": "A", "value": 1, "msclkid": "a" * 32})).status == 202
    await sidecar.settled(60)
    [row] = await sidecar.rows()
    assert row["state"] == "delivered"
    for path in ("/", "/dashboard/app.js", "/openapi.json", "/msclkid.js", "/metrics"):
        assert (await sidecar.call("GET", path)).status == 200, path
    assert "conversion" in await asyncio.to_thread(ran, fresh.command, "status", "--url", sidecar.url, cwd=tmp_path)
    running.signal(signal.SIGTERM)
    assert await running.ended() == 0
