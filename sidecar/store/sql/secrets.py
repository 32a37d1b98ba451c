"""Small sealed values, one row each; what they mean and how they are sealed is for `store.tokens`."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from sidecar.core.instant import UnixMillis
from sidecar.store.sql.account_holds import SECRETS
from sidecar.store.sql.connection import Reader, SqlConnection, Writer
from sidecar.store.sql.dialects import Dialects
from sidecar.store.vault import is_plain

GET = Dialects(
    sqlite="SELECT CAST(value AS BLOB) FROM secrets WHERE name = ?",
    postgres="SELECT convert_to(value, 'UTF8') FROM secrets WHERE name = ?",
)
"""As bytes: what was damaged need not be text any more."""

PUT = """
    INSERT INTO secrets (name, value, updated_at) VALUES (?, ?, ?)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at"""

ADD = "INSERT INTO secrets (name, value, updated_at) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING"

ALL = "SELECT name, value, updated_at FROM secrets"

TAKE = "DELETE FROM secrets WHERE name = ? RETURNING value"

EXPIRE = "DELETE FROM secrets WHERE updated_at < ? AND substr(name, 1, ?) = ?"

CLEAR = "DELETE FROM secrets"
"""The whole table: its pages are overwritten, bytes included that lie between the rows (secure_delete)."""


@dataclass(slots=True)
class SqlSecrets:
    """Implements `ports.Secrets` beside the outbox, through the same committer. `now` dates each value."""

    committer: Writer
    wipe_log: Callable[[], Coroutine[Any, Any, bool]]
    """Lets what was replaced leave the log: whether it did."""
    read: Reader
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
            self._log_is_clean = not is_plain(value) and await self.wipe_log()

    async def add(self, name: str, value: str) -> str:
        """Keep `value` unless another one, perhaps of another replica, was there first; the one that is kept."""
        row = (name, value, self.now())
        return await self.committer.write(lambda db: _add(db, row))

    async def take(self, name: str, kind: str, since: UnixMillis) -> str | None:
        return await self.committer.write(lambda db: _take(db, name, kind, since))


def _take(db: SqlConnection, name: str, kind: str, since: UnixMillis) -> str | None:
    db.execute(EXPIRE, (since, len(kind), kind))
    row = db.execute(TAKE, (name,)).fetchone()
    return None if row is None else str(row[0])


def _add(db: SqlConnection, row: tuple[str, str, UnixMillis]) -> str:
    db.hold((SECRETS,))
    name, value, _ = row
    db.execute(ADD, row)
    return _value(db, name) or value


def _value(db: SqlConnection, name: str) -> str | None:
    row = db.execute(GET, (name,)).fetchone()
    return None if row is None else bytes(row[0]).decode("utf-8", "replace")


def _put(db: SqlConnection, row: tuple[str, str, UnixMillis]) -> bool:
    """Store it; whether it took the place of a plain one."""
    db.hold((SECRETS,))
    name, value, _ = row
    before = _value(db, name)
    replaces_plain = before is not None and is_plain(before) and not is_plain(value)
    if replaces_plain:
        others = [other for other in db.execute(ALL) if other[0] != name]
        db.execute(CLEAR)
        db.executemany(PUT, others)
    db.execute(PUT, row)
    return replaces_plain
