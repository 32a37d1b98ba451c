"""What waits, in figures: its age, its count, its worth, and the errors it is retried for. Each look is bounded."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal

from sidecar.core.answer import Verdict
from sidecar.core.conversion import Kind
from sidecar.core.entry import POISON_AFTER, Fault, Lane
from sidecar.core.instant import MAX_AGE_SECONDS, UnixMillis, UnixSeconds, millis
from sidecar.core.waiting_summary import Waiting
from sidecar.ports.delivery import refusal
from sidecar.ports.queries import Backlog, Retried
from sidecar.store.sql.connection import SqlConnection
from sidecar.store.sql.dialects import sql

# Since when the oldest batch of an account that has no answer yet is on its way.
OLDEST_OPEN = "SELECT min(created_at) FROM batches WHERE settled_at IS NULL AND account = ?"

# When a lane next has something to claim.
NEXT_DUE = """
    SELECT min(due_at) FROM entries WHERE state = 'pending' AND claimed = 0 AND lane = ? AND again = ?"""

FIRST_EXPIRY = "SELECT min(time) FROM entries WHERE state = 'pending'"

COUNTED_ROWS = 10_000
"""Where counting what waits in a lane is given up."""

WAITING = """
    SELECT count(*), min(time) FROM (
        SELECT time FROM entries WHERE state = 'pending' AND claimed = 0 AND lane = ? LIMIT ?) AS looked"""

STAKE_ROWS = 1_000
"""Where counting what is at stake is given up: it is asked for by everybody who looks at the health page."""

STAKE = sql("""
    SELECT count(*), min(time), [lists currency, value] FROM (
        SELECT time, currency, value FROM entries
        WHERE state = 'pending' AND claimed = 0 AND lane = ? LIMIT ?) AS looked""")

# The same of what is in a batch that has no answer yet.
STAKE_IN_BATCHES = sql("""
    SELECT count(*), min(time), [lists currency, value] FROM (
        SELECT e.time, e.currency, e.value FROM batches b JOIN entries e ON e.batch_id = b.id AND e.claimed = 1
        WHERE b.settled_at IS NULL AND b.account = ? AND e.lane = ? LIMIT ?) AS looked""")

ASKED_ROWS = 20
"""How many of a lane's rows that are tried again, and of an account's batches, are asked what they are tried for."""

# What Microsoft asked for again, the next first.
RETRIED = """
    SELECT error, error_code, message, goal FROM entries
    WHERE state = 'pending' AND claimed = 0 AND lane = ? AND again = 1 ORDER BY due_at, seq LIMIT ?"""

# Rows that stand alone in their batch, and that Microsoft refused as often as kills a row where others are taken.
REFUSED_ALONE = """
    SELECT (SELECT e.error FROM entries e WHERE e.batch_id = b.id AND e.claimed = 1 AND e.refusals >= ? LIMIT 1)
    FROM batches b
    WHERE b.settled_at IS NULL AND b.account = ? AND b.due_at > ? AND b.leased = 0 AND b.answer = ? LIMIT ?"""


def backlog(db: SqlConnection, lanes: Sequence[Lane]) -> Backlog:
    """When the oldest waiting row became due and when the first one gets too old."""
    accounts = {lane.account for lane in lanes}
    moments = [db.execute(NEXT_DUE, (lane.id, again)).fetchone()[0] for lane in lanes for again in (0, 1)]
    moments += [db.execute(OLDEST_OPEN, (account,)).fetchone()[0] for account in accounts]
    oldest_time = db.execute(FIRST_EXPIRY).fetchone()[0]
    return Backlog(
        oldest_due_at=min((moment for moment in moments if moment is not None), default=None),
        first_expiry_at=None if oldest_time is None else millis(UnixSeconds(oldest_time + MAX_AGE_SECONDS)),
    )


def waiting(db: SqlConnection, lanes: Sequence[Lane]) -> Waiting:
    """What waits in these lanes."""
    found = [db.execute(WAITING, (lane.id, COUNTED_ROWS)).fetchone() for lane in lanes]
    times = [time for _, time in found if time is not None]
    more = any(rows == COUNTED_ROWS for rows, _ in found)
    return Waiting(sum(rows for rows, _ in found), more, min(times, default=None))


def at_stake(db: SqlConnection, lanes: Sequence[Lane]) -> Waiting:
    """What waits in these lanes, in open batches too, and what it is worth; counted up to STAKE_ROWS."""
    rows, adjustments, times = 0, 0, []
    values: defaultdict[str, Decimal] = defaultdict(Decimal)
    for lane in lanes:
        for statement, given in ((STAKE, (lane.id,)), (STAKE_IN_BATCHES, (lane.account, lane.id))):
            found, first, worth = db.execute(statement, (*given, STAKE_ROWS - rows)).fetchone()
            rows += found
            times += [first] if found else []
            if lane.kind is Kind.ADJUSTMENT:
                adjustments += found
            else:
                _add_up(values, json.loads(worth))
    return Waiting(rows, rows >= STAKE_ROWS, min(times, default=None), adjustments, dict(values))


def _add_up(values: defaultdict[str, Decimal], worth: Iterable[tuple[str | None, str | None]]) -> None:
    for currency, value in worth:
        if currency is not None and value is not None:
            values[currency] += Decimal(value)


def retried(db: SqlConnection, lanes: Sequence[Lane], now: UnixMillis) -> list[Retried]:
    """Errors for which rows of these lanes wait to be sent again, each once."""
    found = [
        Retried(lane.account, Fault(error or "", code, message), goal)
        for lane in lanes
        for error, code, message, goal in db.execute(RETRIED, (lane.id, ASKED_ROWS))
    ]
    poison = refusal(Verdict.POISON)
    found += [
        Retried(account, Fault(error), None, is_refused=True)
        for account in {lane.account for lane in lanes}
        for (error,) in db.execute(REFUSED_ALONE, (POISON_AFTER, account, now, poison, ASKED_ROWS))
        if error is not None
    ]
    return list({(one.account, one.fault.error, one.goal): one for one in found}.values())
