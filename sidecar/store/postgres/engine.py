"""Transactions on the connection that writes, and what PostgreSQL's errors mean."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from psycopg import errors

from sidecar.ports.errors import StorageUnavailable
from sidecar.store.committer import StoreFault
from sidecar.store.postgres.connection import PostgresConnection
from sidecar.store.postgres.database import PostgresDatabase
from sidecar.store.sql.snapshot import ALL_STATE

T = TypeVar("T")

_AGAIN = (errors.UniqueViolation, errors.SerializationFailure, errors.DeadlockDetected)
"""Another replica was faster; a second try sees what it did."""

TRIES = 5

_ITEM_ERRORS = (psycopg.IntegrityError, psycopg.DataError, psycopg.ProgrammingError, psycopg.NotSupportedError)
"""What the server says of what it was given, not of its own state."""


@dataclass(slots=True)
class PostgresEngine:
    """Implements `store.committer.Engine` over a writing connection."""

    database: PostgresDatabase
    committed: Callable[[PostgresConnection, Sequence[Any]], None]
    """Called on the connection's thread after each commit with the STATE it left, before any caller is answered."""

    async def transact(self, work: Callable[[PostgresConnection], T], *, needs_room: bool = False) -> T:
        return await self.database.call(lambda db: self._transact(db, work))

    def _transact(self, db: PostgresConnection, work: Callable[[PostgresConnection], T]) -> T:
        for _ in range(TRIES - 1):
            try:
                return self._try(db, work)
            except _AGAIN:
                continue
        return self._try(db, work)

    def _try(self, db: PostgresConnection, work: Callable[[PostgresConnection], T]) -> T:
        with db.raw.transaction():
            result = work(db)
            state = db.execute(ALL_STATE).fetchone()
        assert state is not None
        self.committed(db, state)
        return result

    def fault(self, error: Exception) -> StoreFault | None:
        if isinstance(error, StorageUnavailable):
            return StoreFault(error, is_broken=False)
        if not isinstance(error, psycopg.Error) or isinstance(error, _ITEM_ERRORS):
            return None
        code = "disk_nearly_full" if isinstance(error, errors.DiskFull) else "storage_failed"
        return StoreFault(StorageUnavailable(code, f"PostgreSQL could not write: {error}"), is_broken=False)
