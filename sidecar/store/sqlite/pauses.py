"""Which accounts an operator has paused, a fact each; what a pause means is for `sidecar.delivery.pauses`."""

import sqlite3
from dataclasses import dataclass

from sidecar.core.instant import UnixMillis
from sidecar.store.sqlite.database import Database
from sidecar.store.sqlite.engine import Writer

PUT = "INSERT OR IGNORE INTO facts (name, value) VALUES ('paused:' || ?, ?)"

REMOVE = "DELETE FROM facts WHERE name = 'paused:' || ?"

# The semicolon comes right after the colon, so this is every name that begins with `paused:`.
ALL = "SELECT substr(name, 8), CAST(value AS INTEGER) FROM facts WHERE name >= 'paused:' AND name < 'paused;'"


@dataclass(frozen=True, slots=True)
class SqlitePauses:
    """Implements `ports.Pauses` beside the outbox, through the same committer."""

    committer: Writer
    read: Database

    async def all(self) -> dict[str, UnixMillis]:
        return await self.read.call(_all)

    async def put(self, account: str, since: UnixMillis) -> None:
        await self.committer.write(lambda db: db.execute(PUT, (account, str(since))) and None)

    async def remove(self, account: str) -> None:
        await self.committer.write(lambda db: db.execute(REMOVE, (account,)) and None)


def _all(db: sqlite3.Connection) -> dict[str, UnixMillis]:
    return {account: UnixMillis(since) for account, since in db.execute(ALL)}
