"""Processes of a trial: each on a core of its own where there are two, watched from outside, ended by their pid."""

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

CORES = sorted(os.sched_getaffinity(0))
SUBJECT_CORE = CORES[0]
"""For what is measured."""
OTHER_CORE = CORES[-1]
"""For load, emulator and everything else."""

START_SECONDS = 60.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

PYTHON = sys.executable
SIDECAR = str(Path(sys.executable).with_name("sidecar"))


@dataclass
class Started:
    """A process that runs; `out` gathers what it writes."""

    process: subprocess.Popen[bytes]
    out: Path

    @classmethod
    def start(cls, name: str, folder: Path, core: int, *command: str, env: Mapping[str, str] | None = None) -> Self:
        """Start `command` in `folder`, on `core` with all its threads."""
        out = folder / f"{name}.out"
        with out.open("wb") as file:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                preexec_fn=lambda: os.sched_setaffinity(0, {core}),
            )
        return cls(process, out)

    @property
    def pid(self) -> int:
        return self.process.pid

    def cpu_seconds(self) -> float:
        """What all its threads have used, in user and system."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND

    def memory(self) -> float:
        """Resident, in MiB."""
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        assert found is not None
        return int(found[1]) / 1024

    def output_matching(self, pattern: str) -> str:
        """The first group of `pattern` in its output, once it is there."""
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            over = self.process.poll()
            if found := re.search(pattern, self.out.read_text()):
                return found[1]
            assert over is None, f"ended with {over}: {self.out.read_text()[-2000:]}"
            time.sleep(0.01)
        raise AssertionError(f"nothing like {pattern!r} in {self.out.read_text()[-2000:]}")

    def told(self) -> dict[str, Any]:
        """The line of JSON that it prints, once it is over; AssertionError when it failed."""
        over = self.process.wait(timeout=1_800)
        printed = self.out.read_text()
        assert over == 0, f"ended with {over}: {printed[-2000:]}"
        found: dict[str, Any] = json.loads(printed.splitlines()[-1])
        return found

    def end(self) -> None:
        """Ask it to stop; kill it when it does not within half a minute."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@dataclass(frozen=True)
class Service:
    """A process that serves HTTP."""

    started: Started
    url: str

    def call(self, method: str, path: str, body: object = None) -> Any:
        """One call with its JSON answer; AssertionError on anything but 200 and 202."""
        status, answer = call(self.url, method, path, body)
        assert status in {200, 202}, (status, answer)
        return json.loads(answer) if answer[:1] in (b"{", b"[") else answer


def call(url: str, method: str, path: str, body: object = None) -> tuple[int, bytes]:
    """Status and body of one call over a connection of its own."""
    connection = http.client.HTTPConnection(url.partition("://")[2], timeout=120)
    with contextlib.closing(connection):
        sent = None if body is None else json.dumps(body)
        connection.request(method, path, sent, {"Content-Type": "application/json"} if sent else {})
        answer = connection.getresponse()
        return answer.status, answer.read()


@contextlib.contextmanager
def ended(*processes: Started) -> Iterator[None]:
    """End them when the context closes, the last first."""
    try:
        yield
    finally:
        for process in reversed(processes):
            process.end()


# --- What is started -------------------------------------------------------------------------------------------------

GOAL = "Bench Purchase"
EVENTS = {"purchase": {"goal": GOAL, "currency": "USD"}}

NOWHERE = "https://127.0.0.1:9"
"""A port without a listener: a sidecar that sends there only stores."""


def settings(endpoint: str = NOWHERE, ca_file: str = "", **sections: Any) -> dict[str, Any]:
    """A configuration, JSON being YAML; `endpoint` is where Microsoft would be."""
    endpoints = {"campaign": endpoint, "customer": endpoint, "authority": f"{endpoint}/common"}
    whole: dict[str, Any] = {
        "server": {"port": 0},
        "storage": {"url": "sqlite:///outbox.db"},
        "microsoft": {"environment": "emulator", "endpoints": endpoints, "ca_bundle": ca_file},
        "events": EVENTS,
    }
    for name, section in sections.items():
        whole[name] = {**whole.get(name, {}), **section} if name not in {"events", "accounts"} else section
    return whole


def start_sidecar(folder: Path, given: Mapping[str, Any], core: int = SUBJECT_CORE) -> Service:
    """A sidecar whose files lie in `folder`, once it is ready."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(json.dumps(given))
    started = Started.start("sidecar", folder, core, SIDECAR, "run", "--config", "config.yaml")
    return Service(started, started.output_matching(r"listening on (http://\S+)"))


def start_server(name: str, folder: Path) -> Service:
    """One of the yardsticks of `bench.servers`."""
    folder.mkdir(parents=True, exist_ok=True)
    started = Started.start(name, folder, SUBJECT_CORE, PYTHON, "-m", "bench.servers", name, env=here())
    return Service(started, started.output_matching(r"listening on (http://\S+)"))


def start_emulator(folder: Path, *, goals: Sequence[str] = (GOAL,), requests_per_minute: int = 1_000) -> Started:
    """An emulator on the other core, with its certificate authority in `ca.pem`."""
    folder.mkdir(parents=True, exist_ok=True)
    named = [option for goal in goals for option in ("--goal", goal)]
    limit = ("--requests-per-minute", str(requests_per_minute))
    return Started.start(
        "emulator", folder, OTHER_CORE, SIDECAR, "emulator", "--port", "0", "--ca-out", "ca.pem", *limit, *named
    )


def here() -> dict[str, str]:
    return {"PYTHONPATH": str(Path(__file__).parent.parent)}


def start_load(folder: Path, url: str, *arguments: str) -> Started:
    """A load generator against `url`; see `bench.load` for its arguments."""
    folder.mkdir(parents=True, exist_ok=True)
    return Started.start("load", folder, OTHER_CORE, PYTHON, "-m", "bench.load", url, *arguments, env=here())
