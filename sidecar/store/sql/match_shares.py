"""What each goal's last conversions could be matched by, over restarts: every replica adds what it has counted."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sidecar.core.match_share import FADED, WINDOW, Share
from sidecar.store.sql.account_holds import SHARES
from sidecar.store.sql.connection import BulkStatement, Reader, SqlConnection, Writer
from sidecar.store.sql.dialects import sql

_RECEIVED = "match_shares.received + excluded.received"


def _faded(column: str) -> str:
    """The sum of what is stored and what is added, as `Share.faded` has it."""
    added = f"(match_shares.{column} + excluded.{column})"
    return f"{column} = CASE WHEN {_RECEIVED} > {WINDOW} THEN {added} * {FADED} / ({_RECEIVED}) ELSE {added} END"


ALL = "SELECT goal, received, carrying, msclkid, email, phone, visitor, none FROM match_shares"
FORGET = sql("DELETE FROM match_shares WHERE goal NOT IN [texts ?]")
ADD = BulkStatement(
    "INSERT INTO match_shares (goal, received, carrying, msclkid, email, phone, visitor, none)",
    "text bigint bigint bigint bigint bigint bigint bigint",
    f"ON CONFLICT (goal) DO UPDATE SET {', '.join(map(_faded, Share._fields))}",
)


@dataclass(frozen=True, slots=True)
class SqlShares:
    """Implements `ports.MatchShares` through the outbox's committer, behind all other work."""

    committer: Writer
    reader: Reader

    async def load(self) -> Mapping[str, Share]:
        return await self.reader.call(_load)

    async def add(self, counted: Mapping[str, Share]) -> Mapping[str, Share]:
        return await self.committer.write(lambda db: _add(db, counted), can_wait=True)

    async def retain(self, goals: Collection[str]) -> None:
        await self.committer.write(lambda db: _retain(db, goals), can_wait=True)


def _load(db: SqlConnection) -> Mapping[str, Share]:
    return {goal: Share(*numbers).faded() for goal, *numbers in db.execute(ALL)}


def _add(db: SqlConnection, counted: Mapping[str, Share]) -> Mapping[str, Share]:
    db.hold((SHARES,))
    ADD.change(db, [(goal, *share) for goal, share in sorted(counted.items())])
    return _load(db)


def _retain(db: SqlConnection, goals: Collection[str]) -> None:
    db.hold((SHARES,))
    db.execute(FORGET, (json.dumps(sorted(goals)),))
