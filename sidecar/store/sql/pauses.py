"""Which accounts an operator has paused, a fact each; what a pause means is for `sidecar.delivery.pauses`."""

from dataclasses import dataclass

from sidecar.core.instant import UnixMillis
from sidecar.store.sql.connection import Reader, SqlConnection, Writer
from sidecar.store.sql.dialects import sql

PUT = "INSERT INTO facts (name, value) VALUES ('paused:' || ?, ?) ON CONFLICT DO NOTHING"

REMOVE = "DELETE FROM facts WHERE name = 'paused:' || ?"

ALL = sql("SELECT substr(name, 8), CAST(value AS BIGINT) FROM facts WHERE [begins name, 'paused:']")


@dataclass(frozen=True, slots=True)
class SqlPauses:
    """Implements `ports.Pauses` beside the outbox, through the same committer."""

    committer: Writer
    read: Reader

    async def all(self) -> dict[str, UnixMillis]:
        return await self.read.call(_all)

    async def put(self, account: str, since: UnixMillis) -> None:
        await self.committer.write(lambda db: db.execute(PUT, (account, str(since))) and None)

    async def remove(self, account: str) -> None:
        await self.committer.write(lambda db: db.execute(REMOVE, (account,)) and None)


def _all(db: SqlConnection) -> dict[str, UnixMillis]:
    return {account: UnixMillis(since) for account, since in db.execute(ALL)}
