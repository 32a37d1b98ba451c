"""What each goal's last conversions could be matched by, over restarts; the table is replaced as a whole."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from sidecar.core.match_share import Share
from sidecar.store.sql.account_holds import SHARES
from sidecar.store.sql.connection import Reader, SqlConnection, Writer

MAX_GOALS = 500

ALL = "SELECT goal, received, carrying, msclkid, email, phone, visitor, none FROM match_shares"
FORGET = "DELETE FROM match_shares"
PUT = """
    INSERT INTO match_shares (goal, received, carrying, msclkid, email, phone, visitor, none)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""


@dataclass(frozen=True, slots=True)
class SqlShares:
    """Implements `ports.MatchShares` through the outbox's committer, behind all other work."""

    committer: Writer
    reader: Reader

    async def load(self) -> Mapping[str, Share]:
        return await self.reader.call(lambda db: {row[0]: Share(*row[1:]) for row in db.execute(ALL)})

    async def save(self, shares: Mapping[str, Share]) -> None:
        await self.committer.write(lambda db: _save(db, shares), can_wait=True)


def _save(db: SqlConnection, shares: Mapping[str, Share]) -> None:
    db.hold((SHARES,))
    db.execute(FORGET)
    db.executemany(PUT, [(goal, *share) for goal, share in islice(shares.items(), MAX_GOALS)])
