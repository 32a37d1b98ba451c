"""What a trial starts: each process on a core of its own where there are two, or on any where nothing is pinned."""

import contextlib
import http.client
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.started import Started

CORES = sorted(os.sched_getaffinity(0))
SUBJECT_CORE = CORES[0]
"""For what is measured."""
OTHER_CORE = CORES[-1]
"""For load, emulator and everything else."""

PYTHON = sys.executable
SIDECAR = str(Path(sys.executable).with_name("sidecar"))


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


def start_sidecar(folder: Path, given: Mapping[str, Any], core: int | None = SUBJECT_CORE) -> Service:
    """A sidecar whose files lie in `folder`, once it is ready."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(json.dumps(given))
    started = Started.start("sidecar", folder, core, SIDECAR, "run", "--config", "config.yaml")
    return Service(started, started.output_matching(r"listening on (http://\S+)"))


def start_server(name: str, folder: Path, core: int | None = SUBJECT_CORE) -> Service:
    """One of the yardsticks of `bench.servers`."""
    folder.mkdir(parents=True, exist_ok=True)
    started = Started.start(name, folder, core, PYTHON, "-m", "bench.servers", name, env=here())
    return Service(started, started.output_matching(r"listening on (http://\S+)"))


def start_emulator(
    folder: Path,
    *,
    goals: Sequence[str] = (GOAL,),
    requests_per_minute: int = 1_000,
    core: int | None = OTHER_CORE,
) -> Started:
    """An emulator, with its certificate authority in `ca.pem`."""
    folder.mkdir(parents=True, exist_ok=True)
    named = [option for goal in goals for option in ("--goal", goal)]
    limit = ("--requests-per-minute", str(requests_per_minute))
    return Started.start(
        "emulator", folder, core, SIDECAR, "emulator", "--port", "0", "--ca-out", "ca.pem", *limit, *named
    )


def here() -> dict[str, str]:
    return {"PYTHONPATH": str(Path(__file__).parent.parent)}


def start_load(folder: Path, url: str, *arguments: str, core: int | None = OTHER_CORE) -> Started:
    """A load generator against `url`; see `bench.load` for its arguments."""
    folder.mkdir(parents=True, exist_ok=True)
    return Started.start("load", folder, core, PYTHON, "-m", "bench.load", url, *arguments, env=here())
