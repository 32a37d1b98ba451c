"""A run of tests that is killed leaves no server, no pooler and no folder behind."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import leash_kit
import pgbouncer_kit
import postgres_kit
import pytest
from postgres_server_kit import wait_for

CONFTEST = """
    import postgres_kit

    def pytest_configure(config):
        if not hasattr(config, "workerinput"):
            postgres_kit.prepare()
"""

RUN = """
    import json
    import os
    import signal
    from pathlib import Path

    from pgbouncer_kit import pooled
    from postgres_kit import empty_database, run_folder
    from postgres_server_kit import running_server

    def test_uses_servers():
        with running_server(), pooled(empty_database()):
            servers = [int(path.read_text().split()[0]) for path in run_folder().rglob("postmaster.pid")]
            children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
            poolers = [each for each in map(int, children) if "pgbouncer" in Path(f"/proc/{each}/comm").read_text()]
            Path("half").write_text(json.dumps([str(run_folder()), *servers, *poolers]))
            Path("half").rename("started")
            signal.pause()
"""

needs_pgbouncer = pytest.mark.skipif(
    pgbouncer_kit.INSTALLED is None,
    reason="pgbouncer is needed for this check: install it (`apt-get install pgbouncer`)",
)


def lives(process: int) -> bool:
    """Whether it runs; one that was not waited for yet does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def run_in(folder: Path) -> "subprocess.Popen[bytes]":
    """A run of its own, as this one."""
    (folder / "conftest.py").write_text(textwrap.dedent(CONFTEST))
    (folder / "test_run.py").write_text(textwrap.dedent(RUN))
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", postgres_kit.FOLDER))}
    env["PYTHONPATH"] = str(Path(postgres_kit.__file__).parent)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir"]
    with (folder / "output").open("wb") as output:
        return subprocess.Popen([*command, str(folder), str(folder)], cwd=folder, env=env, stdout=output, stderr=output)


@needs_pgbouncer
def test_killed_run_leaves_no_server_no_pooler_and_no_folder(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    wait_for(lambda: (tmp_path / "started").exists() or run.poll() is not None)
    assert run.poll() is None, (tmp_path / "output").read_text()
    folder, *processes = json.loads((tmp_path / "started").read_text())
    assert len(processes) == 3 and all(map(lives, processes))
    run.send_signal(signal.SIGKILL)
    run.wait(60)
    wait_for(lambda: not any(map(lives, processes)) and not Path(folder).exists())


def test_next_run_removes_the_folder_of_a_run_whose_guard_was_killed_too_and_no_other(tmp_path: Path) -> None:
    for name in ("run-dead", "run-other"):
        (tmp_path / name / "data").mkdir(parents=True)
    (tmp_path / "run-dead" / leash_kit.HELD).touch()
    living = leash_kit.RunFolder(tmp_path, "run-")
    assert {path.name for path in tmp_path.iterdir()} == {"run-other", living.path.name}
    leash_kit.sweep_leftovers(tmp_path, "run-")
    assert living.path.exists()
    living.remove()
    assert [path.name for path in tmp_path.iterdir()] == ["run-other"]
