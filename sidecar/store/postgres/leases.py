"""Who does what among the replicas over one database: a row for each live replica, and one for each thing it holds.

A heartbeat renews the one row of its replica, however many accounts that holds. All changes of holders go one after
another (`TURN`), so that each decides by what the one before it left. Only the server's clock is asked.
"""

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sidecar.core.account_shares import AccountShare, share_of
from sidecar.core.instant import UnixMillis
from sidecar.ports.leases import TOKEN, UPKEEP, Held, News
from sidecar.store.postgres.engine import PostgresEngine
from sidecar.store.sql import claiming
from sidecar.store.sql.connection import BulkStatement, SqlConnection
from sidecar.store.sql.snapshot import Snapshot

T = TypeVar("T")

LEASE_MILLIS = 14_000
"""How long a replica counts as alive after a heartbeat. Others look each second, so that they take over within 15 s.

A shorter one would be lost in each pause of the database or of the machine, and each takeover sends batches again.
"""

PATIENCE_MILLIS = 3_000
"""How long the server waits for a replica that stopped within its heartbeat, on which all others wait."""

SEEN_MILLIS = 5_000
"""How far back each look goes: of two changes the one announced earlier may be committed later."""

FORGET_MILLIS = 60_000
"""What was announced longer ago every live replica has seen."""

DUTY, ACCOUNT = "duty:", "account:"

# A replica that is stopped here must not hold up the others for a lease.
LIMIT_STALL = "SELECT set_config('idle_in_transaction_session_timeout', ?, true)"

# From here to the commit no other replica changes who holds what.
TURN = "SELECT number FROM lease_changes FOR UPDATE"

# The time of the server, which goes on within a transaction.
NOW = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)"

RENEW = "UPDATE replicas SET alive_until = ? WHERE holder = ? AND alive_until > ?"
JOIN = "INSERT INTO replicas (holder, alive_until) VALUES (?, ?)"
FORGET_DEAD = "DELETE FROM replicas WHERE alive_until <= ?"
VOID = "DELETE FROM leases WHERE holder NOT IN (SELECT holder FROM replicas)"
LIVE = "SELECT holder FROM replicas ORDER BY holder"
HOLDERS = "SELECT name, holder FROM leases"
TAKE = BulkStatement("INSERT INTO leases (name, holder)", "text text", "ON CONFLICT DO NOTHING")
RELEASE = "DELETE FROM leases WHERE holder = ? AND name = ANY(?)"
QUIT = "DELETE FROM leases WHERE holder = ?"
LEAVE = "DELETE FROM replicas WHERE holder = ?"
CHANGED = "UPDATE lease_changes SET number = number + 1"

NEWS = """
    WITH clock (now) AS (SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint))
    SELECT (SELECT number FROM lease_changes),
        EXISTS (SELECT 1 FROM replicas, clock WHERE alive_until <= now),
        (SELECT json_agg(json_build_array(name, at)) FROM changes, clock WHERE at > now - ?),
        (SELECT now FROM clock)
    """

# A step in an index for each lane, so that its cost does not grow with the rows. Without the order the planner
# reads the table for the first row that is due, and finds none where nothing was refused.
DUE = """
    SELECT account FROM lanes CROSS JOIN (VALUES (0), (1)) AS one (again), LATERAL (
        SELECT 1 FROM entries
        WHERE lane = lanes.id AND again = one.again AND state = 'pending' AND claimed = 0 AND due_at <= :now
        ORDER BY due_at LIMIT 1
    ) AS due
    UNION SELECT account FROM batches WHERE settled_at IS NULL AND due_at <= :now"""

PUBLISH = "UPDATE replicas SET standing = ? WHERE holder = ? AND standing <> ?"
PUBLISHED = "SELECT holder, standing FROM replicas WHERE holder <> ?"

FORGET = "DELETE FROM changes WHERE at < ?"

ANNOUNCE = """
    INSERT INTO changes (name, at)
    SELECT name, CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint) FROM unnest(CAST(? AS text[])) AS name
    ON CONFLICT (name) DO UPDATE SET at = excluded.at"""


@dataclass(slots=True)
class PostgresLeases:
    """Implements `ports.Leases` for the replica `holder`, on a connection of its own.

    So a heartbeat waits for no intake, and intake for no other replica's heartbeat.
    """

    engine: PostgresEngine
    holder: str
    snapshot: Snapshot
    """Lanes and counts, which other replicas change too."""
    now: Callable[[], UnixMillis]
    """The clock by which rows and batches are due."""
    lease_millis: int = LEASE_MILLIS
    is_shared: bool = field(default=True, init=False)
    _seen: int = -1
    """The number of the last change of holders that a heartbeat of this replica saw."""
    _last_seen: dict[str, int] = field(default_factory=dict)
    """What the last look showed, and when it was announced."""

    @property
    def lease_seconds(self) -> float:
        return self.lease_millis / 1000

    async def beat(self, accounts: Sequence[str], giving: Collection[str] = ()) -> Held:
        held, self._seen = await self._transact(lambda db: self._beat(db, accounts, giving))
        return held

    async def look(self) -> News:
        number, has_dead, announced, at = await self._reading(self._look)
        changes: dict[str, int] = dict(announced or ())
        new = frozenset(name for name, at in changes.items() if self._last_seen.get(name) != at)
        self._last_seen = changes
        return News(bool(has_dead) or number != self._seen, new, at)

    def _look(self, db: SqlConnection) -> Any:
        self.snapshot.refresh(db)
        return db.execute(NEWS, (SEEN_MILLIS,)).fetchone()

    async def due_accounts(self) -> Collection[str]:
        return [account for (account,) in await self._reading(self._due)]

    def _due(self, db: SqlConnection) -> list[tuple[str]]:
        self.snapshot.recount(db)
        return db.execute(DUE, {"now": self.now()}).fetchall()

    async def publish(self, standing: str) -> None:
        await self._transact(lambda db: db.execute(PUBLISH, (standing, self.holder, standing)) and None)

    async def published(self) -> Mapping[str, str]:
        return dict(await self._reading(lambda db: db.execute(PUBLISHED, (self.holder,)).fetchall()))

    async def announce(self, changes: Collection[str]) -> None:
        await self._transact(lambda db: db.execute(ANNOUNCE, (sorted(changes),)) and None)

    async def release(self, accounts: Collection[str]) -> None:
        names = [ACCOUNT + account for account in accounts]
        await self._transact(lambda db: _change(db, RELEASE, (self.holder, names)))

    async def leave(self) -> None:
        def leave(db: SqlConnection) -> None:
            _change(db, QUIT, (self.holder,))
            db.execute(LEAVE, (self.holder,))

        await self._transact(leave)

    async def _transact(self, work: Callable[[SqlConnection], T]) -> T:
        with self._refusals():
            return await self.engine.transact(work)

    async def _reading(self, work: Callable[[SqlConnection], T]) -> T:
        with self._refusals():
            return await self.engine.database.call(work)

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        """StorageUnavailable for what the server cannot do now."""
        try:
            yield
        except Exception as error:
            if fault := self.engine.fault(error):
                raise fault.refusal from error
            raise

    def _beat(self, db: SqlConnection, accounts: Sequence[str], giving: Collection[str]) -> tuple[Held, int]:
        db.execute(LIMIT_STALL, (str(PATIENCE_MILLIS),))
        (number,) = db.execute(TURN).fetchone()
        (now,) = db.execute(NOW).fetchone()
        began_again = self._stay_alive(db, now)
        db.execute(FORGET, (now - FORGET_MILLIS,))
        forgotten = db.execute(FORGET_DEAD, (now,)).rowcount
        voided = db.execute(VOID).rowcount
        replicas = [holder for (holder,) in db.execute(LIVE)]
        holders = dict(db.execute(HOLDERS).fetchall())
        share = _share(self.holder, accounts, holders, replicas, giving)
        duties = [duty for duty in (UPKEEP, TOKEN) if DUTY + duty not in holders]
        self._take(db, share.take, duties)
        if began_again or forgotten or voided or share.take or duties:
            db.execute(CHANGED)
            number += 1
        mine = {name for name, holder in holders.items() if holder == self.holder}
        held = frozenset(_names(mine, ACCOUNT)) | set(share.take)
        all_duties = frozenset(_names(mine, DUTY)) | set(duties)
        surplus = held - set(accounts) | set(share.give)
        return Held(held, all_duties, surplus, len(replicas), began_again), number

    def _stay_alive(self, db: SqlConnection, now: int) -> bool:
        """Renew the replica's own row; whether it began again, since it had none or one that was over."""
        until = now + self.lease_millis
        if db.execute(RENEW, (until, self.holder, now)).rowcount:
            return False
        db.execute(QUIT, (self.holder,))
        db.execute(LEAVE, (self.holder,))
        db.execute(JOIN, (self.holder, until))
        return True

    def _take(self, db: SqlConnection, accounts: Sequence[str], duties: Sequence[str]) -> None:
        names = [ACCOUNT + account for account in accounts] + [DUTY + duty for duty in duties]
        TAKE.change(db, [(name, self.holder) for name in names])
        if accounts:
            claiming.release_leases_of(db, accounts, self.now())


def _share(
    me: str, accounts: Sequence[str], holders: Mapping[str, str], replicas: Sequence[str], giving: Collection[str]
) -> AccountShare:
    """The share of `me` by the names that accounts have here."""
    of_accounts = {account: holders[name] for account in accounts if (name := ACCOUNT + account) in holders}
    return share_of(me, accounts, of_accounts, replicas, giving)


def _names(names: Collection[str], kind: str) -> list[str]:
    return [name.removeprefix(kind) for name in names if name.startswith(kind)]


def _change(db: SqlConnection, statement: str, values: Sequence[Any]) -> None:
    """Carry out a statement that gives back, which others then notice."""
    db.execute(LIMIT_STALL, (str(PATIENCE_MILLIS),))
    db.execute(TURN)
    if db.execute(statement, values).rowcount:
        db.execute(CHANGED)
