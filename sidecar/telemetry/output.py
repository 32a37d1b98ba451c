"""Log lines to a file descriptor, from a thread of its own: a reader that stalls never stalls the service."""

import os
import select
import threading
from collections import deque
from collections.abc import Callable

from sidecar.system.thread_names import name_thread

MAX_LINES = 5_000
"""Lines that wait for a slow reader; beyond them lines are dropped and counted."""

_CHUNK_LINES = 100


class Output:
    """`put` never blocks. `notice(n)` is the line written once output flows again, for `n` dropped lines.

    Writes to the descriptor itself: a thread that is stuck inside sys.stdout would hold its lock when Python exits.
    """

    def __init__(self, fd: int, notice: Callable[[int], str], *, limit: int = MAX_LINES) -> None:
        self._fd = fd
        self._notice = notice
        self._limit = limit
        self._lines: deque[str] = deque()
        self._dropped = 0
        self._closing = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    @property
    def dropped(self) -> int:
        """How many lines were dropped without a notice so far."""
        return self._dropped

    def put(self, line: str) -> None:
        """Queue one line, without its end; from any thread."""
        with self._changed:
            if len(self._lines) >= self._limit or self._closing:
                self._dropped += 1
                return
            self._lines.append(line)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="log-lines", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self, timeout_seconds: float = 1.0) -> None:
        """Write what waits, but for `timeout_seconds` at most."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout_seconds)

    def _run(self) -> None:
        name_thread("log-lines")
        while taken := self._take():
            lines, noticed = taken
            try:
                self._write("".join(f"{line}\n" for line in lines).encode(errors="backslashreplace"))
            except OSError:  # the reader is gone; the service goes on without its log
                with self._changed:
                    self._dropped += len(lines) + noticed

    def _take(self) -> tuple[list[str], int] | None:
        """Wait for lines; return them and the number of dropped ones that they mention, None when closed."""
        with self._changed:
            while not self._lines and not self._closing:
                self._changed.wait()
            if not self._lines:
                return None
            lines = [self._lines.popleft() for _ in range(min(_CHUNK_LINES, len(self._lines)))]
            noticed, self._dropped = self._dropped, 0
            return ([*lines, self._notice(noticed)] if noticed else lines), noticed

    def _write(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:  # another process made the shared descriptor non-blocking
                select.select([], [self._fd], [])
