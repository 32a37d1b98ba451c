"""Reading small files: regular ones of at most 1 MiB, within a time limit; never a pipe or a device."""

import errno
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")

MOST_BYTES = 2**20
SECONDS = 5.0
"""A mount that does not answer is given up after so long; the thread that waits for it ends with the process."""


def read(path: Path, *, seconds: float = SECONDS) -> bytes:
    """The content of the file. OSError, whose `strerror` has the reason, when it cannot be read."""
    return within(seconds, lambda: _read(path, os.O_RDONLY))[0]


def read_own(path: Path, *, seconds: float = SECONDS) -> tuple[bytes, str | None]:
    """As `read`, of a secret that we wrote, and why it is none any more: another's, or open to others. Never a link."""
    content, found = within(seconds, lambda: _read(path, os.O_RDONLY | os.O_NOFOLLOW))
    return content, _complaint(found)


def exists(path: Path, *, seconds: float = SECONDS) -> bool:
    """Whether there is anything at `path`. OSError when that is unknown."""
    return within(seconds, path.exists)


def within(seconds: float, work: Callable[[], T]) -> T:
    """The result of `work`, or what it raises; TimeoutError, with a `strerror`, when it takes longer."""
    attempt = _Attempt(work)
    thread = threading.Thread(target=attempt.run, name="small file", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError(errno.ETIMEDOUT, f"it could not be read within {seconds:g} seconds")
    return attempt.outcome()


class _Attempt(Generic[T]):
    """Work in a thread of its own, and how it ended."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._made: list[T] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        """Carry it out."""
        try:
            self._made.append(self._work())
        except BaseException as error:  # it is raised where the result is wanted
            self._error = error

    def outcome(self) -> T:
        """What it gave; raises what it raised."""
        if self._error is not None:
            raise self._error
        return self._made[0]


def _read(path: Path, flags: int) -> tuple[bytes, os.stat_result]:
    handle = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)  # a pipe would wait for its writer
    try:
        found = os.fstat(handle)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        content = _content(handle)
    finally:
        os.close(handle)
    if len(content) > MOST_BYTES:
        raise OSError(errno.EFBIG, f"it is larger than {MOST_BYTES // 2**20} MiB", str(path))
    return content, found


def _content(handle: int) -> bytes:
    """Up to one byte too many: the file may grow meanwhile, and those under /proc have no size."""
    with os.fdopen(handle, "rb", closefd=False) as file:
        return file.read(MOST_BYTES + 1)


def _complaint(found: os.stat_result) -> str | None:
    if found.st_uid != os.geteuid():
        return "it belongs to another user"
    return "others may read it: chmod 600" if found.st_mode & 0o077 else None
