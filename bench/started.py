"""A process of a trial, watched from outside: CPU time, also by thread, and memory; ended by its pid."""

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

ANY_CORE = None
"""Nothing is pinned: the system moves the threads between all cores."""

START_SECONDS = 60.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass
class Started:
    """A process that runs; `out` gathers what it writes."""

    process: subprocess.Popen[bytes]
    out: Path

    @classmethod
    def start(
        cls, name: str, folder: Path, core: int | None, *command: str, env: Mapping[str, str] | None = None
    ) -> Self:
        """Start `command` in `folder`, on `core` with all its threads."""
        out = folder / f"{name}.out"
        cores = os.sched_getaffinity(0) if core is None else {core}
        with out.open("wb") as file:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                preexec_fn=lambda: os.sched_setaffinity(0, cores),
            )
        return cls(process, out)

    @property
    def pid(self) -> int:
        return self.process.pid

    def cpu_seconds(self) -> float:
        """What all its threads have used, in user and system."""
        return _cpu_seconds(Path(f"/proc/{self.pid}/stat"))

    def cpu_by_thread(self) -> dict[str, float]:
        """The same by name of thread. Those that have ended, or have no name of their own, are `others`."""
        used: dict[str, float] = defaultdict(float)
        main = Path(f"/proc/{self.pid}/comm").read_text().strip()
        for thread in Path(f"/proc/{self.pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
                name = (thread / "comm").read_text().strip()
                name = "event loop" if int(thread.name) == self.pid else "others" if name == main else name
                used[name] += _cpu_seconds(thread / "stat")
        used["others"] += self.cpu_seconds() - sum(used.values())
        return used

    def memory(self) -> float:
        """Resident, in MiB."""
        return self._status_mib("VmRSS")

    def most_memory(self) -> float:
        """The most that was resident since the start, or since `forget_most_memory`, in MiB."""
        return self._status_mib("VmHWM")

    def forget_most_memory(self) -> None:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def _status_mib(self, name: str) -> float:
        found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
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


@contextlib.contextmanager
def ended(*processes: Started) -> Iterator[None]:
    """End them when the context closes, the last first."""
    try:
        yield
    finally:
        for process in reversed(processes):
            process.end()


def _cpu_seconds(stat: Path) -> float:
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND
