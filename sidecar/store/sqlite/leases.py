"""The leases of a file: its one owner holds everything, as long as it runs."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from sidecar.core.instant import UnixMillis
from sidecar.ports.leases import TOKEN, UPKEEP, Held, News
from sidecar.store.sql.connection import Reader

# A step in an index for each lane, so that its cost does not grow with the rows.
DUE = """
    SELECT DISTINCT account FROM lanes CROSS JOIN (SELECT 0 AS again UNION ALL SELECT 1) AS one
    WHERE EXISTS (
        SELECT 1 FROM entries
        WHERE lane = lanes.id AND again = one.again AND state = 'pending' AND claimed = 0 AND due_at <= :now)
    UNION SELECT account FROM batches WHERE settled_at IS NULL AND due_at <= :now"""


@dataclass(frozen=True, slots=True)
class OwnersLeases:
    """Implements `ports.Leases`; all but a look for what is due is without a statement."""

    reader: Reader
    now: Callable[[], UnixMillis]
    is_shared = False
    lease_seconds = float("inf")

    async def beat(self, accounts: Sequence[str], giving: Collection[str] = ()) -> Held:
        return Held(frozenset(accounts), frozenset((UPKEEP, TOKEN)))

    async def look(self) -> News:
        return News()

    async def announce(self, changes: Collection[str]) -> None:
        """No other process could hear it."""

    async def due_accounts(self) -> Collection[str]:
        found = await self.reader.call(lambda db: db.execute(DUE, {"now": self.now()}).fetchall())
        return [account for (account,) in found]

    async def publish(self, standing: str) -> None:
        """No other process could see it."""

    async def published(self) -> Mapping[str, str]:
        return {}

    async def release(self, accounts: Collection[str]) -> None:
        """No other process could take them."""

    async def leave(self) -> None:
        """The lock on the file ends with the process."""
