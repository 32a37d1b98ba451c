"""What the overview is made of: tallies, and bounded looks at what waits. No statement grows with the rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sidecar.core.entry import Lane
from sidecar.core.instant import UnixMillis, UnixSeconds
from sidecar.core.states_and_reasons import Reason, State
from sidecar.core.tally import Figures, LaneLook, Part, Tally
from sidecar.store.sql import tallies
from sidecar.store.sql.connection import Reader, SqlConnection, Writer
from sidecar.store.sql.dialects import sql
from sidecar.store.sql.snapshot import Snapshot
from sidecar.store.sql.waiting_rows import backlog

LOOKED_ROWS = 1_000
"""How many waiting rows of a lane are asked for their reasons."""

FEW_ROWS = 200
"""A lane with up to this many waiting rows is asked for the earliest of all their times."""

# Rows of a lane that are not due yet, and those that Microsoft asked for again.
NOT_DUE = sql("""
    SELECT reason, currency, count(*), [total round(CAST(value AS NUMERIC) * 1000)], min(time) FROM (
        SELECT reason, currency, value, time FROM entries
        WHERE state = 'pending' AND claimed = 0 AND lane = ? AND again = 0 AND due_at > ? LIMIT ?) AS looked
    GROUP BY reason, currency""")
AGAIN = sql("""
    SELECT reason, currency, count(*), [total round(CAST(value AS NUMERIC) * 1000)], min(time) FROM (
        SELECT reason, currency, value, time FROM entries
        WHERE state = 'pending' AND claimed = 0 AND lane = ? AND again = 1 LIMIT ?) AS looked
    GROUP BY reason, currency""")

DUE = """
    SELECT count(*) FROM (
        SELECT 1 FROM entries
        WHERE state = 'pending' AND claimed = 0 AND lane = ? AND again = 0 AND due_at <= ? LIMIT ?) AS looked"""

# Rows of an account in batches that go again later.
IN_BATCHES = sql("""
    SELECT lane, currency, count(*), [total round(CAST(value AS NUMERIC) * 1000)], min(time) FROM (
        SELECT e.lane, e.currency, e.value, e.time FROM batches b JOIN entries e ON e.batch_id = b.id AND e.claimed = 1
        WHERE b.settled_at IS NULL AND b.account = ? AND b.leased = 0 LIMIT ?) AS looked GROUP BY lane, currency""")

# The lanes of the rows that get too old first, the last of them with its time.
OLDEST = """
    SELECT lane, min(time), max(time) FROM (
        SELECT lane, time FROM entries WHERE state = 'pending' ORDER BY time LIMIT ?) AS looked GROUP BY lane"""

# The earliest time in a lane, outside batches and in them.
FIRST = """
    SELECT min(time) FROM (
        SELECT time FROM entries WHERE state = 'pending' AND claimed = 0 AND lane = ? LIMIT ?) AS looked"""
FIRST_IN_BATCHES = """
    SELECT min(time) FROM (
        SELECT e.time FROM batches b JOIN entries e ON e.batch_id = b.id AND e.claimed = 1
        WHERE b.settled_at IS NULL AND b.account = ? AND e.lane = ? LIMIT ?) AS looked"""

# When the first row came in that is stored, or that was before it was pruned.
FIRST_RECEIVED = """
    SELECT coalesce(
        (SELECT CAST(value AS BIGINT) FROM facts WHERE name = 'first_received_at'),
        (SELECT received_at FROM entries ORDER BY seq LIMIT 1))"""


@dataclass(frozen=True, slots=True)
class SqlTallies:
    """Implements `ports.Tallies`: figures come from a reader, and hours are gathered behind all other work."""

    committer: Writer
    reader: Reader
    snapshot: Snapshot

    async def figures(self, since: UnixSeconds, now: UnixMillis) -> Figures:
        lanes = tuple(self.snapshot.lanes.values())
        return await self.reader.call(lambda db: _at_one_moment(db, lanes, since, now))

    async def by_period(self, since: UnixSeconds, step_seconds: int) -> Sequence[Tally]:
        return await self.reader.call(lambda db: tallies.by_period(db, since, step_seconds))

    async def gather(self, before: UnixSeconds) -> bool:
        return await self.committer.write(lambda db: tallies.gather(db, before), can_wait=True)


def _at_one_moment(db: SqlConnection, lanes: Sequence[Lane], since: UnixSeconds, now: UnixMillis) -> Figures:
    with db.at_one_moment():
        return figures(db, lanes, since, now)


def figures(db: SqlConnection, lanes: Sequence[Lane], since: UnixSeconds, now: UnixMillis) -> Figures:
    """The figures as the connection sees them; `lanes` may lack those that were opened just now."""
    stored = tallies.of_all_time(db)
    return Figures(
        received=tallies.since(db, since),
        stored=stored,
        lanes=lanes,
        looks=_looks(db, lanes, _waiting(stored), now),
        oldest_due_at=backlog(db, lanes).oldest_due_at,
        first_received_at=db.execute(FIRST_RECEIVED).fetchone()[0],
    )


def _waiting(stored: Sequence[Tally]) -> Mapping[int, int]:
    """By lane, how many rows wait."""
    found: dict[int, int] = {}
    for tally in stored:
        if tally.state is State.PENDING:
            found[tally.lane] = found.get(tally.lane, 0) + tally.rows
    return found


def _looks(
    db: SqlConnection, lanes: Sequence[Lane], waiting: Mapping[int, int], now: UnixMillis
) -> dict[int, LaneLook]:
    if not waiting:
        return {}
    oldest = db.execute(OLDEST, (LOOKED_ROWS,)).fetchall()
    first = {lane: UnixSeconds(time) for lane, time, _ in oldest}
    last = max((UnixSeconds(time) for *_, time in oldest), default=UnixSeconds(now // 1000))
    batched = _batched(db, {lane.account for lane in lanes if lane.id in waiting})
    found = {}
    for lane in lanes:
        if lane.id in waiting:
            time = first.get(lane.id) or _first_of_few(db, lane, waiting[lane.id]) or last
            found[lane.id] = _look(db, lane, batched.get(lane.id, ()), time, now)
    return found


def _look(db: SqlConnection, lane: Lane, batched: Sequence[Part], first_time: UnixSeconds, now: UnixMillis) -> LaneLook:
    not_due = [_part(*row) for row in db.execute(NOT_DUE, (lane.id, now, LOOKED_ROWS))]
    again = [_part(*row) for row in db.execute(AGAIN, (lane.id, LOOKED_ROWS))]
    is_cut = any(sum(part.rows for part in parts) == LOOKED_ROWS for parts in (not_due, again))
    due = db.execute(DUE, (lane.id, now, LOOKED_ROWS)).fetchone()[0] if is_cut else None
    return LaneLook((*not_due, *again, *batched), due, first_time)


def _batched(db: SqlConnection, accounts: set[str]) -> dict[int, list[Part]]:
    """By lane, the rows in batches that wait to go again."""
    found: dict[int, list[Part]] = {}
    for account in accounts:
        for lane, *row in db.execute(IN_BATCHES, (account, LOOKED_ROWS)):
            found.setdefault(lane, []).append(_part(Reason.RETRYING, *row))
    return found


def _first_of_few(db: SqlConnection, lane: Lane, rows: int) -> UnixSeconds | None:
    """The earliest time of a lane's rows; None where there are too many of them."""
    if rows > FEW_ROWS:
        return None
    times = (
        db.execute(FIRST, (lane.id, FEW_ROWS)).fetchone()[0],
        db.execute(FIRST_IN_BATCHES, (lane.account, lane.id, FEW_ROWS)).fetchone()[0],
    )
    return min((time for time in times if time is not None), default=None)


def _part(reason: str | None, currency: str | None, rows: int, thousandths: float, time: UnixSeconds) -> Part:
    return Part(reason, currency, rows, Decimal(int(thousandths)) / 1000, time)
