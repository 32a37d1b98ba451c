"""Lines that a person pastes into the terminal, read without holding anything else up."""

import contextlib
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(slots=True)
class Pasted:
    """Reads lines from the descriptor `fd` as they come."""

    fd: int
    _begun: bytes = b""
    _ended: bool = False

    def line(self, timeout_seconds: float) -> str:
        """The next line, without blanks around it; empty when none came within the time."""
        if self._ended:
            time.sleep(timeout_seconds)
            return ""
        if not self._has_line() and select.select([self.fd], [], [], timeout_seconds)[0]:
            self._read()
        return self._take() if self._has_line() or self._ended else ""

    def _read(self) -> None:
        came = os.read(self.fd, 65_536)
        self._begun += came.replace(b"\r", b"\n")
        self._ended = not came

    def _has_line(self) -> bool:
        return b"\n" in self._begun

    def _take(self) -> str:
        line, _, self._begun = self._begun.partition(b"\n")
        return line.decode("utf-8", "replace").strip()


@contextlib.contextmanager
def pasted() -> Iterator[Pasted]:
    """What is pasted on standard input.

    On a terminal it is not shown, since it may hold a secret, and may be longer than the line of 1,024 (macOS) or
    4,096 characters (Linux) that a terminal takes otherwise.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        yield Pasted(0, _ended=sys.stdin is None)
        return
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    tty.setcbreak(fd)
    try:
        yield Pasted(fd)
    finally:
        termios.tcsetattr(fd, termios.TCSANOW, before)
