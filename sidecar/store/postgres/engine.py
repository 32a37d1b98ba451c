"""Transactions on the connection that writes, and what PostgreSQL's errors mean."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

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
        with db.transaction():
            result = work(db)
            state = db.execute(ALL_STATE).fetchone()
        assert state is not None
        self.committed(db, state)
        return result

    def fault(self, error: Exception) -> StoreFault | None:
        """The database's thread has told apart what is the server's: nothing that it says ends the process."""
        return StoreFault(error, is_broken=False) if isinstance(error, StorageUnavailable) else None
