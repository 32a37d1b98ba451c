"""Small sealed values in SQLite, one row each; what they mean and how they are sealed is for `store.tokens`."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from sidecar.core.instant import UnixMillis
from sidecar.store.sqlite.database import Database
from sidecar.store.sqlite.engine import SqliteEngine, Writer
from sidecar.store.vault import is_plain

GET = "SELECT CAST(value AS BLOB) FROM secrets WHERE name = ?"
"""As bytes: what was damaged need not be text any more."""

PUT = "INSERT OR REPLACE INTO secrets (name, value, updated_at) VALUES (?, ?, ?)"

ALL = "SELECT name, value, updated_at FROM secrets"

CLEAR = "DELETE FROM secrets"
"""The whole table: its pages are overwritten, bytes included that lie between the rows (secure_delete)."""


@dataclass(slots=True)
class SqliteSecrets:
    """Implements `ports.Secrets` beside the outbox, through the same committer. `now` dates each value."""

    committer: Writer
    engine: SqliteEngine
    read: Database
    now: Callable[[], UnixMillis]
    _log_is_clean: bool = False
    """Whether the write-ahead log holds nothing that was stored in plain; a process before may have died over it."""

    async def get(self, name: str) -> str | None:
        return await self.read.call(lambda db: _value(db, name))

    async def put(self, name: str, value: str) -> None:
        """Keep `value`. Where it is sealed and the one before was not, nothing of that is left in the files."""
        row = (name, value, self.now())
        was_plain = await self.committer.write(lambda db: _put(db, row))
        if was_plain or not self._log_is_clean:
            self._log_is_clean = not is_plain(value) and await self.engine.checkpoint()


def _value(db: sqlite3.Connection, name: str) -> str | None:
    row = db.execute(GET, (name,)).fetchone()
    return None if row is None else bytes(row[0]).decode("utf-8", "replace")


def _put(db: sqlite3.Connection, row: tuple[str, str, UnixMillis]) -> bool:
    """Store it; whether it took the place of a plain one."""
    name, value, _ = row
    before = _value(db, name)
    replaces_plain = before is not None and is_plain(before) and not is_plain(value)
    if replaces_plain:
        others = [other for other in db.execute(ALL) if other[0] != name]
        db.execute(CLEAR)
        db.executemany(PUT, others)
    db.execute(PUT, row)
    return replaces_plain
