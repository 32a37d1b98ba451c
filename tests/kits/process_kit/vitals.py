"""Starts the sidecar so that a signal makes it tell what it holds; open files are read from outside.

`vitals.py FILE sidecar ...`: SIGUSR2 replaces FILE with the numbers. Only this start script knows the signal.
"""

import asyncio
import ctypes
import gc
import json
import os
import re
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import aiosqlite

if TYPE_CHECKING:  # the script that is started knows no tests
    from process_kit.running import Running

PAGE_SECONDS = 0.02


@dataclass(frozen=True)
class Vitals:
    """What a process holds."""

    tasks: int
    files: int
    sockets: int
    memory: int
    """Resident, in bytes, once SQLite has given back the pages that it keeps to read them sooner.

    They fill up as the file grows, each connection's to its own bound: 25 MiB more within 40,000 orders, and no leak.
    """

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
    told = json.loads(file.read_text())
    return Vitals(told["tasks"], *open_files(running.pid), told["memory"])


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


def _asked(_: int, frame: FrameType | None) -> None:
    loop = asyncio.get_running_loop()
    loop.call_soon_threadsafe(lambda: loop.create_task(_report()))


async def _report() -> None:
    """Count first: what follows takes tasks and memory of its own."""
    tasks = len(asyncio.all_tasks()) - 1
    gc.unfreeze()  # what was there at the start was put out of sight
    gc.collect()
    for connection in [one for one in gc.get_objects() if issubclass(type(one), aiosqlite.Connection)]:
        await connection.execute("PRAGMA shrink_memory")
    _give_back_freed()
    new = Path(sys.argv[1]).with_suffix(".new")
    new.write_text(json.dumps({"tasks": tasks, "memory": memory(os.getpid())}))
    new.replace(sys.argv[1])


def _give_back_freed() -> None:
    """What glibc keeps of freed memory goes back to the system; other C libraries keep none."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


if __name__ == "__main__":
    from sidecar.cli import main

    signal.signal(signal.SIGUSR2, _asked)
    main(sys.argv[3:], prog_name="sidecar")
