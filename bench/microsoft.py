"""The emulator of Microsoft as trials use it: a process of its own, with a latency, and a sidecar that sends to it."""

import json
import ssl
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import processes
from bench.processes import OTHER_CORE, Service
from bench.started import Started, ended

BATCH = 1_000
PER_MINUTE = 1_000
"""Requests of one account: Microsoft's limit."""
ROWS_PER_SECOND = BATCH * PER_MINUTE / 60


@dataclass(frozen=True)
class Microsoft:
    """The emulator, seen from outside."""

    started: Started
    url: str
    folder: Path

    @classmethod
    def start(
        cls, folder: Path, stack: ExitStack, requests_per_minute: int = PER_MINUTE, core: int | None = OTHER_CORE
    ) -> "Microsoft":
        started = processes.start_emulator(folder, requests_per_minute=requests_per_minute, core=core)
        stack.enter_context(ended(started))
        return cls(started, started.output_matching(r"(https://127\.0\.0\.1:\d+)"), folder)

    def control(self, method: str, path: str, body: object = None) -> Any:
        tls = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        sent = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_emulator/{path}", sent, method=method)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, context=tls) as answer:
            return json.loads(answer.read())

    def answers_after(self, seconds: float) -> None:
        """Every upload takes so long from now on."""
        action = {"type": "slow", "seconds": seconds}
        match = {"operation": "OfflineConversions/Apply"}
        self.control("POST", "faults", {"match": match, "times": None, "action": action})

    def settings(self, **sections: Any) -> dict[str, Any]:
        return processes.settings(self.url, str(self.folder / "ca.pem"), **sections)


def pending(sidecar: Service) -> int:
    return int(sidecar.call("GET", "/healthz")["outbox"]["pending"])
