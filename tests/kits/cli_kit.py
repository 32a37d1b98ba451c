"""Real processes of the command in a temporary folder, and one way to run a verb inside the test's own process."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from click.testing import CliRunner, Result

from sidecar.cli import main

COMMAND = (sys.executable, "-c", "from sidecar.cli import main; main(prog_name='sidecar')")

STOP_SECONDS = 60.0

WAIT = "60"
"""Seconds that a verb waits for what comes soon, on a machine that does much else."""

CLICK_ID = "f894f652ea334e739002f7167ab8f8e3"


def sidecar(*arguments: str, given: str | bytes | None = None, url: str = "http://127.0.0.1:1") -> Result:
    """The verb run in this process; nothing answers at the default address."""
    return CliRunner(env={"SIDECAR_URL": url, "SIDECAR_CONFIG": None}).invoke(
        main, arguments, input=given, prog_name="sidecar"
    )


def free_port() -> int:
    """A free port, outside the range that Linux hands out by default.

    A port of that range may be taken, by an outgoing connection too, before a process listens on it.
    """
    while True:
        port = random.randrange(10_000, 32_768)
        with socket.socket() as found, contextlib.suppress(OSError):
            found.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def process(
    *arguments: str, folder: Path, stdin: int = subprocess.DEVNULL, **env: str
) -> Iterator[subprocess.Popen[str]]:
    """The command as a process of its own; it is killed if the test leaves it running."""
    with subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=folder,
        env={**os.environ, **env},
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as started:
        try:
            yield started
        finally:
            started.kill()


def ended(started: subprocess.Popen[str], number: signal.Signals | None = None) -> tuple[int, str, str]:
    """The exit code, and what was still to be read from stdout and stderr; `number` is sent first."""
    if number is not None:
        started.send_signal(number)
    out, err = started.communicate(timeout=STOP_SECONDS)
    return started.returncode, out, err


def read_until(words: str, stream: Iterator[str] | None) -> str:
    """Everything up to the line that holds `words`."""
    assert stream is not None
    read: list[str] = []
    for line in stream:
        read.append(line)
        if words in line:
            return "".join(read)
    raise AssertionError(f"{words!r} never came: {''.join(read)}")


@dataclass
class Service:
    """`sidecar run` in `folder` on a port of its own, with its embedded emulator unless `settings` say otherwise."""

    folder: Path
    settings: str = "microsoft: {environment: emulator}"
    host: str = "127.0.0.1"
    server: str = ""
    port: int = field(default_factory=free_port)
    banner: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def config(self) -> Path:
        """Writes the configuration file."""
        path = self.folder / "config.yaml"
        path.write_text(
            f"server: {{host: {self.host}, port: {self.port}{self.server}}}\n"
            f"storage: {{url: 'sqlite:///{self.folder / 'outbox.db'}'}}\n"
            f"delivery: {{linger: 50ms}}\n{self.settings}\n"
        )
        return path

    @contextlib.contextmanager
    def running(self) -> Iterator[subprocess.Popen[str]]:
        """The process, once it serves; its stdout must be short."""
        with process("run", "--config", str(self.config), folder=self.folder) as started:
            last = "or run `sidecar connect`" if "production" in self.settings else "curl"
            self.banner = read_until(last, started.stderr)
            yield started
            if started.poll() is None:
                ended(started, signal.SIGTERM)


LAST_WORDS = "docs/emulator.md"


def settings_in(told: str) -> str:
    """The part of its words that belongs into a configuration."""
    return "\n".join(told.split("\n\n")[1].splitlines())
