"""Transactions on the one connection that writes, and what SQLite's errors mean."""

import os
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sidecar.ports.errors import StorageUnavailable
from sidecar.store.committer import StoreFault
from sidecar.store.sql.snapshot import STATE
from sidecar.store.sqlite.connection import SqliteConnection
from sidecar.store.sqlite.database import Database
from sidecar.store.sqlite.sqlite_errors import code_of, is_damage

T = TypeVar("T")

Work = Callable[[SqliteConnection], T]

_ITEM_ERRORS = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError)
"""What SQLite raises for what it was given, not for its own state."""

# Ends each transaction. Reading what it leaves within it spares a statement, and a transaction, after it.
COUNT_COMMIT = f"UPDATE commits SET number = number + 1 RETURNING number, {STATE}"  # noqa: S608 - constants only

_CHECKPOINT_MILLIS = 250
"""How long a checkpoint waits for readers; intake waits meanwhile."""


@dataclass(slots=True)
class SqliteEngine:
    """Implements `store.committer.Engine` over a writing connection."""

    database: Database
    folder: Path
    """Where the file lies."""
    min_free_bytes: int = 0
    committed: Callable[[SqliteConnection, Sequence[Any]], None] = lambda db, state: None
    """Called on the connection's thread after each commit with the STATE it left, before any caller is answered."""
    noted: Callable[[int], None] = lambda number: None
    """Called there too, with the number of the commit."""

    async def transact(self, work: Work[T], *, needs_room: bool = False) -> T:
        return await self.database.call(lambda db: self._transact(db, work, needs_room))

    def _transact(self, db: SqliteConnection, work: Work[T], needs_room: bool) -> T:
        if needs_room:
            self._refuse_if_full()
        result, (number, *state) = _in_transaction(db, work)
        self.noted(number)
        self.committed(db, state)
        return result

    def _refuse_if_full(self) -> None:
        """Keep a reserve, so that settling and pruning still work when intake no longer may write."""
        disk = os.statvfs(self.folder)
        if disk.f_bavail * disk.f_frsize < self.min_free_bytes:
            raise StorageUnavailable("disk_nearly_full", "less than storage.min_free_disk is left")

    def fault(self, error: Exception) -> StoreFault | None:
        if isinstance(error, StorageUnavailable):
            return StoreFault(error, is_broken=False)
        if not isinstance(error, sqlite3.Error) or isinstance(error, _ITEM_ERRORS):
            return None
        code = "disk_nearly_full" if code_of(error) == sqlite3.SQLITE_FULL else "storage_failed"
        is_broken = code_of(error) == sqlite3.SQLITE_IOERR_FSYNC or is_damage(error)
        return StoreFault(StorageUnavailable(code, f"SQLite could not write: {error}"), is_broken)

    async def checkpoint(self) -> bool:
        """Move the log into the file and cut it off: whether that worked. A reader may be in the way.

        https://www.sqlite.org/pragma.html#pragma_wal_checkpoint
        """
        return await self.database.call(_checkpoint)


def _in_transaction(db: SqliteConnection, work: Work[T]) -> tuple[T, Sequence[Any]]:
    """Run `work` between BEGIN and COMMIT; its result, the number of the commit and the STATE it left.

    The connection is out of the transaction afterwards in any case.
    """
    db.execute("BEGIN IMMEDIATE")
    try:
        result = work(db)
        committed: Sequence[Any] = db.execute(COUNT_COMMIT).fetchone()
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return result, committed


def _checkpoint(db: SqliteConnection) -> bool:
    patience: int = db.execute("PRAGMA busy_timeout").fetchone()[0]
    db.execute(f"PRAGMA busy_timeout = {_CHECKPOINT_MILLIS}").fetchall()
    try:
        busy: int = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.OperationalError:  # no room for it
        return False
    finally:
        db.execute(f"PRAGMA busy_timeout = {patience}").fetchall()
    return not busy
