"""Transactions on the connection that writes, and what PostgreSQL's errors mean."""

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from psycopg import errors

from sidecar.ports.errors import StorageUnavailable
from sidecar.store.committer import StoreFault
from sidecar.store.postgres.connection import PostgresConnection
from sidecar.store.postgres.database import PostgresDatabase
from sidecar.store.postgres.holds import HoldMore
from sidecar.store.postgres.server_snapshot import STATE

T = TypeVar("T")

_AGAIN = (errors.UniqueViolation, errors.SerializationFailure, errors.DeadlockDetected)
"""Another replica was faster; a second try sees what it did."""

TRIES = 8

PAUSE_SECONDS = 0.005
"""Up to twice as long a transaction waits after its first failure, and twice as long again after each further one."""


@dataclass(slots=True)
class PostgresEngine:
    """Implements `store.committer.Engine` over a writing connection."""

    database: PostgresDatabase
    committed: Callable[[PostgresConnection, Sequence[Any]], None]
    """Called on the connection's thread after each commit with the STATE it left, before any caller is answered."""

    chance: Callable[[], float] = lambda: secrets.randbelow(1000) / 1000
    """A number from 0 to 1, so that two replicas do not try again at the same moment."""

    async def transact(self, work: Callable[[PostgresConnection], T], *, needs_room: bool = False) -> T:
        return await self.database.call(lambda db: self._transact(db, work))

    def _transact(self, db: PostgresConnection, work: Callable[[PostgresConnection], T]) -> T:
        """Run `work` until it is committed: it reads again what it decides by, and nothing outside remembers a try."""
        names: frozenset[str] = frozenset()
        failures = 0
        while True:
            try:
                return self._try(db, work, names)
            except HoldMore as more:
                names |= more.names
            except _AGAIN:
                failures += 1
                if failures == TRIES:
                    raise
                time.sleep(self.chance() * PAUSE_SECONDS * 2**failures)

    def _try(self, db: PostgresConnection, work: Callable[[PostgresConnection], T], names: frozenset[str]) -> T:
        with db.transaction():
            db.holds.begin(names)
            result = work(db)
            state = db.execute(STATE).fetchone()
        assert state is not None
        self.committed(db, state)
        return result

    def fault(self, error: Exception) -> StoreFault | None:
        """The database's thread has told apart what is the server's: nothing that it says ends the process."""
        return StoreFault(error, is_broken=False) if isinstance(error, StorageUnavailable) else None
