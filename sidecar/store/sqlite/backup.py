"""A consistent copy of an outbox, also while a sidecar writes to it. Knows nothing of what the tables mean."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from sidecar.ports.errors import BackupFailed
from sidecar.store.sql.row_counts import counts
from sidecar.store.sqlite.connection import SqliteConnection
from sidecar.store.sqlite.migrations import refuse_foreign
from sidecar.store.sqlite.outbox_file import fsync, quoted
from sidecar.store.sqlite.sqlite_errors import code_of
from sidecar.store.store import BackupFacts


def back_up(source: Path, target: Path) -> BackupFacts:
    """Copy the outbox `source` to the new file `target`, check it and fsync it; BackupFailed when that cannot be.

    One read transaction covers the whole copy: writers go on beside it, and what they commit meanwhile is not in it.
    The write-ahead log only grows until the copy is made. `target` gets its name when it is whole; its mode is 0600.
    """
    if not source.is_file():
        raise BackupFailed(f"there is no outbox {source}: check storage.url, and from which folder the sidecar runs")
    if target.exists():
        raise BackupFailed(f"{target} exists already and is left alone; name a new file")
    with _unfinished(target) as part:
        try:
            copied = _copy(source, part)
        except sqlite3.Error as error:
            raise BackupFailed(_reason(error, source, target)) from error
        _publish(part, target)
    return copied


@contextlib.contextmanager
def _unfinished(target: Path) -> Iterator[Path]:
    """A new empty file beside `target`, gone at the end."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise BackupFailed(
            f"{target} cannot be written: {error.strerror}; name a file in a folder that exists"
        ) from error
    try:
        yield part
    finally:
        for left in (part, Path(f"{part}-journal")):
            left.unlink(missing_ok=True)


def _copy(source: Path, part: Path) -> BackupFacts:
    with (
        contextlib.closing(sqlite3.connect(f"file:{quoted(source)}?mode=ro", uri=True, timeout=5)) as outbox,
        contextlib.closing(sqlite3.connect(part)) as copy,
    ):
        refuse_foreign(outbox, source)
        copy.execute("PRAGMA synchronous = OFF")  # it is fsynced once, at the end
        outbox.backup(copy)
    with contextlib.closing(
        sqlite3.connect(f"file:{quoted(part)}?immutable=1", uri=True, factory=SqliteConnection)
    ) as copy:
        _check(copy, source)
        return BackupFacts(part.stat().st_size, counts(copy))


def _check(copy: sqlite3.Connection, source: Path) -> None:
    """A copy of a damaged file must not pass for a backup."""
    [verdict] = copy.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise BackupFailed(_damaged(source, verdict))


def _damaged(source: Path, detail: object) -> str:
    return (
        f"the outbox {source} is damaged ({detail}): no backup was made. Stop the sidecar, keep a copy of the file and "
        f"of what lies beside it; then bring an earlier backup back, or try `sqlite3 {source} .recover`"
    )


def _reason(error: sqlite3.Error, source: Path, target: Path) -> str:
    match code_of(error) & 0xFF:
        case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR:
            return (
                f"{target} could not be written: {error}. Most likely the disk is full: make room, or write elsewhere"
            )
        case sqlite3.SQLITE_CANTOPEN:
            return f"the outbox {source} cannot be read: {error}. Run this as the user that the sidecar runs as"
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return _damaged(source, error)
        case _:
            return f"the outbox {source} could not be copied: {error}"


def _publish(part: Path, target: Path) -> None:
    """Give the whole file its name, unless another has taken it; all of it lasting."""
    try:
        fsync(part)
        os.link(part, target)
        fsync(target.parent)
    except FileExistsError:
        raise BackupFailed(f"{target} exists already and is left alone; name a new file") from None
    except OSError as error:
        raise BackupFailed(f"{target} cannot be written: {error.strerror}") from error
