"""Small sealed values in SQLite, one row each; what they mean and how they are sealed is for `store.tokens`."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sidecar.core.instant import UnixMillis
from sidecar.store.sqlite.committer import Committer
from sidecar.store.sqlite.database import Database

GET = "SELECT value FROM secrets WHERE name = ?"

PUT = "INSERT OR REPLACE INTO secrets (name, value, updated_at) VALUES (?, ?, ?)"


@dataclass(frozen=True, slots=True)
class SqliteSecrets:
    """Implements `ports.Secrets` beside the outbox, through the same committer. Of `now` it keeps when a value came."""

    committer: Committer[Any, Any]
    read: Database
    now: Callable[[], UnixMillis]

    async def get(self, name: str) -> str | None:
        return await self.read.call(lambda db: _value(db, name))

    async def put(self, name: str, value: str) -> None:
        row = (name, value, self.now())
        await self.committer.write(lambda db: db.execute(PUT, row) and None)


def _value(db: sqlite3.Connection, name: str) -> str | None:
    row = db.execute(GET, (name,)).fetchone()
    return None if row is None else str(row[0])
