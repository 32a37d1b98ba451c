"""Reads lines that are pasted into the terminal, with a time limit, so that the verb can do other work between them."""

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
class PastedLines:
    """Reads lines from the descriptor `fd` as they arrive."""

    fd: int
    _buffer: bytes = b""
    _at_end: bool = False

    def line(self, timeout_seconds: float) -> str:
        """The next line, without blanks around it; empty when none arrives in time."""
        if self._at_end:
            time.sleep(timeout_seconds)
            return ""
        if b"\n" not in self._buffer and select.select([self.fd], [], [], timeout_seconds)[0]:
            received = os.read(self.fd, 65_536)
            self._buffer += received.replace(b"\r", b"\n")
            self._at_end = not received
        if b"\n" not in self._buffer and not self._at_end:
            return ""
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode("utf-8", "replace").strip()


@contextlib.contextmanager
def pasted_lines() -> Iterator[PastedLines]:
    """The lines that arrive on standard input.

    A terminal does not show them, since they may hold a secret. It also takes lines that are longer than its usual
    limit of 1,024 (macOS) or 4,096 characters (Linux).
    """
    if sys.stdin is None or not sys.stdin.isatty():
        yield PastedLines(0, _at_end=sys.stdin is None)
        return
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    tty.setcbreak(fd)
    try:
        yield PastedLines(fd)
    finally:
        termios.tcsetattr(fd, termios.TCSANOW, before)
