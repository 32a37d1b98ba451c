"""A process of ours: started, watched, ended by its pid. Its output lies in two files."""

import asyncio
import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from leash_kit import LEASH

COMMAND = str(Path(sys.executable).with_name("sidecar"))
"""The command that users run, of this virtual environment."""

START_SECONDS = 60.0


@dataclass
class Running:
    """One started process; `out` and `err` are what it has written so far."""

    process: asyncio.subprocess.Process
    out_file: Path
    err_file: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def out(self) -> str:
        return self.out_file.read_text()

    @property
    def err(self) -> str:
        return self.err_file.read_text()

    @property
    def is_over(self) -> bool:
        return self.process.returncode is not None

    async def output_matching(self, pattern: str, seconds: float = START_SECONDS) -> str:
        """The first group of `pattern`, once one of its outputs has it. AssertionError when it ends without."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            over = self.is_over
            if found := re.search(pattern, self.out + self.err):
                return found[1] if found.groups() else found[0]
            assert not over, f"ended with {self.process.returncode}: {self.err or self.out}"
            await asyncio.sleep(0.02)
        raise AssertionError(f"nothing like {pattern!r} within {seconds:g} s: {self.err or self.out}")

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self, seconds: float = 60.0) -> int:
        """The exit code, once it is over; TimeoutError when it is not in time."""
        async with asyncio.timeout(seconds):
            return await self.process.wait()

    async def kill(self) -> None:
        """End it as a power cut would, if it is not over."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()


@dataclass
class Starter:
    """Starts processes in `folder`, and ends at the end those that are left."""

    folder: Path
    started: list[Running] = field(default_factory=list)
    stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)
    """For what a test opens and does not close."""

    async def start(self, *arguments: str, env: Mapping[str, str] | None = None, before: Sequence[str] = ()) -> Running:
        """Start `sidecar` with `arguments`; `before` is a command line that runs it, such as strace's."""
        name = self.folder / f"{arguments[0]}-{len(self.started)}"
        out_file, err_file = name.with_suffix(".out"), name.with_suffix(".err")
        with out_file.open("wb") as out, err_file.open("wb") as err:
            process = await asyncio.create_subprocess_exec(
                *LEASH,
                *before,
                COMMAND,
                *arguments,
                cwd=self.folder,
                env={**os.environ, **(env or {})},
                stdout=out,
                stderr=err,
            )
        running = Running(process, out_file, err_file)
        self.started.append(running)
        return running

    async def end_all(self) -> None:
        await self.stack.aclose()
        for running in self.started:
            if not running.is_over:
                await running.kill()
