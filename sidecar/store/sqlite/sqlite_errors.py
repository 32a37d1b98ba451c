"""SQLite's errors: what each says of the file, and what an operator does about it."""

import sqlite3
from pathlib import Path

from sidecar.ports.errors import OutboxRefused


def code_of(error: Exception) -> int:
    """SQLite's extended code; 0 where it is no error of its own."""
    return getattr(error, "sqlite_errorcode", None) or 0


def is_damage(error: Exception) -> bool:
    """Whether SQLite met something in the file that should not be there."""
    return code_of(error) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def unusable(path: Path, error: sqlite3.DatabaseError) -> OutboxRefused:
    """An error of SQLite's at the start, for an operator. Most of them are not about the content of the file."""
    match code_of(error) & 0xFF:
        case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR:
            fix = "most likely the disk is full: make room there, or look at the disk (`dmesg`), and start again"
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            fix = "another program has it open, such as a shell of sqlite3 or a backup: end that, and start again"
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            fix = (
                "give the user of this process the right to read and write it, the files beside it and their folder, "
                "or name another file in storage.url"
            )
        case _:
            fix = f"keep a copy, try `sqlite3 {path} .recover`, or name another file in storage.url"
    return OutboxRefused(f"the outbox {path} cannot be opened: {error}; it was left as it is; {fix}")
