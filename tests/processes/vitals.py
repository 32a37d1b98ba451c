"""Starts the sidecar so that a signal makes it tell how many tasks it has; memory and files are read from outside.

`vitals.py FILE sidecar ...`: SIGUSR2 replaces FILE with the numbers. Only this start script knows the signal.
"""

import asyncio
import gc
import json
import re
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the script that is started knows no tests
    from processes.running import Running

PAGE_SECONDS = 0.02


@dataclass(frozen=True)
class Vitals:
    """What a process holds."""

    tasks: int
    files: int
    sockets: int
    memory: int
    """Resident, in bytes."""

    def __str__(self) -> str:
        mebibytes = self.memory / 2**20
        return f"{self.tasks} tasks, {self.sockets} sockets, {self.files} files, {mebibytes:.0f} MiB"


def started_with(file: Path) -> tuple[str, ...]:
    """The command line that goes before `sidecar`."""
    return sys.executable, str(Path(__file__)), str(file)


async def vitals(running: "Running", file: Path) -> Vitals:
    """How it is now; it was started with `started_with(file)`."""
    file.unlink(missing_ok=True)
    running.signal(signal.SIGUSR2)
    async with asyncio.timeout(30):
        while not file.exists():
            await asyncio.sleep(PAGE_SECONDS)
    tasks = json.loads(file.read_text())["tasks"]
    return Vitals(tasks, *open_files(running.pid), memory(running.pid))


def memory(pid: int) -> int:
    """Resident memory of a process, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


def open_files(pid: int) -> tuple[int, int]:
    """Open files that are no sockets, and sockets."""
    names: list[str] = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            names.append(str(entry.readlink()))
        except FileNotFoundError:  # closed meanwhile
            continue
    sockets = sum(name.startswith("socket:") for name in names)
    return len(names) - sockets, sockets


def _tell(_: int, frame: FrameType | None) -> None:
    gc.collect()
    new = Path(sys.argv[1]).with_suffix(".new")
    new.write_text(json.dumps({"tasks": len(asyncio.all_tasks())}))
    new.replace(sys.argv[1])


if __name__ == "__main__":
    from sidecar.cli import main

    signal.signal(signal.SIGUSR2, _tell)
    main(sys.argv[3:], prog_name="sidecar")
