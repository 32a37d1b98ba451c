"""The file before SQLite opens it: its one owner, its mode, its folder. Knows nothing of what is in it."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from sidecar.core.start_errors import cannot_open
from sidecar.ports.errors import OutboxRefused

_MAGIC = b"SQLite format 3\0"
"""How every SQLite file begins: https://www.sqlite.org/fileformat2.html#magic_header_string"""


@contextlib.contextmanager
def owned(path: Path) -> Iterator[Path]:
    """Hold the lock beside the file that `path` leads to, and give that file; OutboxRefused names another holder.

    A file of its own: closing any handle of the database itself would drop POSIX locks that SQLite relies on.
    """
    path = Path(os.path.realpath(path))
    try:
        _make_folder(path.parent)
        handle = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise not_opened(path, error) from error
    try:
        _lock(handle, path)
        yield path
    finally:
        os.close(handle)


def same_file(one: Path, other: Path) -> bool:
    """Whether both paths lead to the same place."""
    return os.path.realpath(one) == os.path.realpath(other)


def has_owner(path: Path) -> bool:
    """Whether a process holds the lock of the file; one that may not be read counts as free."""
    try:
        handle = os.open(f"{Path(os.path.realpath(path))}.lock", os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def _lock(handle: int, path: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        owner = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
        raise OutboxRefused(
            f"the outbox {path} is in use by another sidecar (process {owner}), and one process owns one outbox: stop "
            "that one, or give this one another storage.url"
        ) from None
    try:
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
    except OSError as error:
        raise not_opened(path, error) from error


def _make_folder(folder: Path) -> None:
    """Create it and its parents, with names that outlast a power cut."""
    new = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for one in new:
        fsync(one.parent)


def claim_file(path: Path) -> None:
    """Create the file, if it is missing, before SQLite does: with mode 0600, which -wal and -shm inherit.

    SQLite takes a file of a few bytes for an empty database and overwrites it, hence the look at its content. No
    connection to it may be open: closing any handle of a file ends every POSIX lock of this process on it. Another
    program that then closes the file takes itself for the last one and deletes the write-ahead log
    (https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_).
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        fsync(path.parent)
        if path.stat().st_nlink > 1:
            raise OutboxRefused(
                f"the outbox {path} has a second name (a hard link), by which another sidecar could open it unnoticed. "
                "Remove the other name, or name another file in storage.url"
            )
        usable = is_database(path) or not path.stat().st_size
    except OSError as error:
        raise not_opened(path, error) from error
    if not usable:
        raise OutboxRefused(f"{path} is no SQLite database: name another file in storage.url; it was left as it is")


def is_database(path: Path) -> bool:
    """Whether it is a file that begins like one of SQLite's."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def quoted(path: Path) -> str:
    """The path in the form of an SQLite URI."""
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def fsync(path: Path) -> None:
    """Make a file's content, or the names in a folder, last."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def not_opened(path: Path, error: OSError) -> OutboxRefused:
    """An error of the system about the outbox's files or folder, for an operator."""
    return OutboxRefused(cannot_open("the outbox", path, error))
