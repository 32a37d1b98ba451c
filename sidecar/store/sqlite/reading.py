"""What is read without writing: due entries, single rows, lists, the backlog. Cost never grows with the table."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from sidecar.core.answer import Verdict
from sidecar.core.conversion import Kind
from sidecar.core.entry import POISON_AFTER, Entry, Fault, Lane
from sidecar.core.fairness import Queue, fair_batch
from sidecar.core.instant import MAX_AGE_SECONDS, SecondRange, UnixMillis, UnixSeconds, millis
from sidecar.core.keys import Key, KeySource
from sidecar.core.record import Record
from sidecar.core.states_and_reasons import State
from sidecar.core.waiting_summary import Waiting
from sidecar.ports.delivery import refusal
from sidecar.ports.queries import Backlog, Page, Query, Retried
from sidecar.store.sqlite.bulk_statement import BulkStatement
from sidecar.store.sqlite.rows import BOUND_TO, ENTRY_COLUMNS, RECORD_COLUMNS, RECORD_TABLES, entry_of, record_of

SCAN_ROWS = 20_000
"""How many rows one page of a list looks through at most; then it ends short, with a cursor to go on."""

# What may be claimed in a lane, fresh rows (again = 0) apart from retried ones (again = 1), oldest first.
DUE = f"""
    SELECT {ENTRY_COLUMNS} FROM entries
    WHERE state = 'pending' AND claimed = 0 AND lane = :lane AND again = :again AND due_at <= :now
    ORDER BY due_at, seq LIMIT :limit"""  # noqa: S608 - constants only

# The same where rows that keep some goals, or another account at Microsoft, must wait.
DUE_BESIDE = f"""
    SELECT {ENTRY_COLUMNS} FROM entries
    WHERE state = 'pending' AND claimed = 0 AND lane = :lane AND again = :again AND due_at <= :now
        AND (goal IS NULL OR goal NOT IN (SELECT value FROM json_each(:held)) AND coalesce({BOUND_TO}, :ids) IS :ids)
    ORDER BY due_at, seq LIMIT :limit"""  # noqa: S608 - constants only

# Since when the oldest batch of an account that has no answer yet is on its way.
OLDEST_OPEN = "SELECT min(created_at) FROM batches WHERE settled_at IS NULL AND account = ?"

# Until when accounts were told to wait: the batch that was refused for it goes again at that time.
THROTTLED = """
    SELECT account, max(due_at) FROM batches INDEXED BY batches_open
    WHERE settled_at IS NULL AND answer = ? AND due_at > ? GROUP BY account"""

# Waits that were noted by themselves: answers to other calls than uploads.
WAITS = """
    SELECT substr(name, 7), CAST(value AS INTEGER) FROM facts
    WHERE name >= 'waits:' AND name < 'waits;' AND CAST(value AS INTEGER) > ?"""

# When a lane next has something to claim.
NEXT_DUE = """
    SELECT min(due_at) FROM entries WHERE state = 'pending' AND claimed = 0 AND lane = ? AND again = ?"""

SLOT_BITS = 6
"""The index of used seconds begins with `sent_time >> 6`: 64 seconds in each slot."""

# Which seconds of a person's conversions of a goal are taken.
USED_SECONDS = BulkStatement(
    "WITH wanted (slot, identity, first, last) AS (VALUES ",
    4,
    """)
    SELECT e.identity, e.sent_time FROM wanted CROSS JOIN entries e
    WHERE e.identity IS NOT NULL AND e.sent_time >> 6 = wanted.slot AND e.identity = wanted.identity
        AND e.sent_time BETWEEN wanted.first AND wanted.last""",
)

FIRST_EXPIRY = "SELECT min(time) FROM entries WHERE state = 'pending'"

COUNTED_ROWS = 10_000
"""Where counting what waits in a lane is given up."""

WAITING = """
    SELECT count(*), min(time) FROM (
        SELECT time FROM entries WHERE state = 'pending' AND claimed = 0 AND lane = ? LIMIT ?)"""

STAKE_ROWS = 1_000
"""Where counting what is at stake is given up: it is asked for by everybody who looks at the health page."""

STAKE = """
    SELECT count(*), min(time), json_group_array(json_array(currency, value)) FROM (
        SELECT time, currency, value FROM entries WHERE state = 'pending' AND claimed = 0 AND lane = ? LIMIT ?)"""

# The same of what is in a batch that has no answer yet.
STAKE_IN_BATCHES = """
    SELECT count(*), min(time), json_group_array(json_array(currency, value)) FROM (
        SELECT e.time, e.currency, e.value FROM batches b JOIN entries e ON e.batch_id = b.id AND e.claimed = 1
        WHERE b.settled_at IS NULL AND b.account = ? AND e.lane = ? LIMIT ?)"""

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

ONE = f"SELECT {RECORD_COLUMNS} FROM {RECORD_TABLES} WHERE e.seq = ?"  # noqa: S608 - constants only

# The adjustments of a conversion.
ADJUSTMENTS = f"SELECT {RECORD_COLUMNS} FROM {RECORD_TABLES} WHERE e.original = ? ORDER BY e.seq"  # noqa: S608

# All rows of some keys: an order id under every account and event.
BY_KEYS = f"""
    SELECT {RECORD_COLUMNS} FROM json_each(?) AS wanted
    JOIN entries e ON e.key_hash = wanted.value ->> 0 AND e.key_digest = wanted.value ->> 1
    JOIN lanes l ON l.id = e.lane LEFT JOIN batches b ON b.id = e.batch_id
    ORDER BY e.seq DESC"""  # noqa: S608 - constants only

# The newest row of any state, to begin a list with.
NEWEST = "SELECT max(seq) FROM entries"

_FITS = """
    e.original IS NULL AND (:lanes IS NULL OR e.lane IN (SELECT value FROM json_each(:lanes)))
    AND (:since IS NULL OR e.received_at >= :since)"""

# A stretch of the table, newest first, and the first row below it.
STRETCH = f"""
    SELECT {RECORD_COLUMNS} FROM {RECORD_TABLES}
    WHERE e.seq <= :top AND e.seq > :bottom AND (:state IS NULL OR e.state = :state) AND {_FITS}
    ORDER BY e.seq DESC LIMIT :limit"""  # noqa: S608 - constants only
BELOW_STRETCH = "SELECT seq, received_at FROM entries WHERE seq <= :top - :rows ORDER BY seq DESC LIMIT 1"

# The same for states that few rows are in, found by their index.
ENDED = f"""
    SELECT {RECORD_COLUMNS}
    FROM entries e INDEXED BY entries_ended JOIN lanes l ON l.id = e.lane LEFT JOIN batches b ON b.id = e.batch_id
    WHERE e.state = :state AND e.state IN ('dead', 'skipped', 'canceled') AND e.seq <= :top AND e.seq > :bottom
        AND {_FITS}
    ORDER BY e.seq DESC LIMIT :limit"""  # noqa: S608 - constants only
BELOW_ENDED = """
    SELECT seq, received_at FROM entries INDEXED BY entries_ended
    WHERE state = :state AND state IN ('dead', 'skipped', 'canceled') AND seq <= :top
    ORDER BY seq DESC LIMIT 1 OFFSET :rows"""

# Rows that took the place of others: received later than those around them.
REPLACED = f"""
    SELECT {RECORD_COLUMNS}
    FROM entries e INDEXED BY entries_replaced JOIN lanes l ON l.id = e.lane LEFT JOIN batches b ON b.id = e.batch_id
    WHERE e.replaced_at IS NOT NULL AND e.seq <= :top AND e.seq > :bottom AND (:state IS NULL OR e.state = :state)
        AND {_FITS}
    ORDER BY e.seq DESC LIMIT :limit"""  # noqa: S608 - constants only
BELOW_REPLACED = """
    SELECT seq FROM entries INDEXED BY entries_replaced
    WHERE replaced_at IS NOT NULL AND seq <= :top ORDER BY seq DESC LIMIT 1 OFFSET :rows"""

_FEW = frozenset((State.DEAD, State.SKIPPED, State.CANCELED))


def due(
    db: sqlite3.Connection,
    lanes: Sequence[Lane],
    now: UnixMillis,
    limit: int,
    held: Collection[str] = (),
    ids: str | None = None,
) -> list[Entry]:
    """Up to `limit` entries that may be claimed, of each lane its share.

    Left alone are those that keep a goal in `held`, or another account at Microsoft than `ids`.
    """
    statement = DUE if ids is None and not held else DUE_BESIDE
    given = {"now": now, "held": json.dumps(list(held)), "ids": ids}

    def queue(lane: Lane, again: int) -> Queue:
        return lambda most: [
            entry_of(row, lane)
            for row in db.execute(statement, {**given, "lane": lane.id, "again": again, "limit": most})
        ]

    return fair_batch([queue(lane, 0) for lane in lanes], [queue(lane, 1) for lane in lanes], limit)


def throttled(db: sqlite3.Connection, now: UnixMillis) -> dict[str, UnixMillis]:
    """By account, until when Microsoft told it to wait."""
    noted = dict(db.execute(WAITS, (now,)))
    for account, until in db.execute(THROTTLED, (refusal(Verdict.THROTTLED), now)):
        noted[account] = max(until, noted.get(account, until))
    return noted


def used_seconds(db: sqlite3.Connection, wanted: Mapping[int, Sequence[SecondRange]]) -> dict[int, set[UnixSeconds]]:
    """For each identity the seconds within its ranges that are taken."""
    looks = [
        (slot, identity, first, last)
        for identity, ranges in wanted.items()
        for first, last in ranges
        for slot in range(first >> SLOT_BITS, (last >> SLOT_BITS) + 1)
    ]
    used: dict[int, set[UnixSeconds]] = {}
    for identity, second in USED_SECONDS.execute(db, looks):
        used.setdefault(identity, set()).add(second)
    return used


def backlog(db: sqlite3.Connection, lanes: Sequence[Lane]) -> Backlog:
    """When the oldest waiting row became due and when the first one gets too old."""
    accounts = {lane.account for lane in lanes}
    moments = [db.execute(NEXT_DUE, (lane.id, again)).fetchone()[0] for lane in lanes for again in (0, 1)]
    moments += [db.execute(OLDEST_OPEN, (account,)).fetchone()[0] for account in accounts]
    oldest_time = db.execute(FIRST_EXPIRY).fetchone()[0]
    return Backlog(
        oldest_due_at=min((moment for moment in moments if moment is not None), default=None),
        first_expiry_at=None if oldest_time is None else millis(UnixSeconds(oldest_time + MAX_AGE_SECONDS)),
    )


def waiting(db: sqlite3.Connection, lanes: Sequence[Lane]) -> Waiting:
    """What waits in these lanes."""
    found = [db.execute(WAITING, (lane.id, COUNTED_ROWS)).fetchone() for lane in lanes]
    times = [time for _, time in found if time is not None]
    more = any(rows == COUNTED_ROWS for rows, _ in found)
    return Waiting(sum(rows for rows, _ in found), more, min(times, default=None))


def at_stake(db: sqlite3.Connection, lanes: Sequence[Lane]) -> Waiting:
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


def retried(db: sqlite3.Connection, lanes: Sequence[Lane], now: UnixMillis) -> list[Retried]:
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


def get(db: sqlite3.Connection, seq: int) -> Record | None:
    """One row."""
    row = db.execute(ONE, (seq,)).fetchone()
    return record_of(row) if row else None


def adjustments(db: sqlite3.Connection, seq: int) -> list[Record]:
    """Every adjustment of a conversion, oldest first."""
    return [record_of(row) for row in db.execute(ADJUSTMENTS, (seq,))]


def find(db: sqlite3.Connection, query: Query, lanes: Sequence[Lane]) -> Page:
    """A page of rows, newest first."""
    if query.order_id is not None:
        return _of_order(db, query, lanes)
    return _walked(db, query, lanes)


def _of_order(db: sqlite3.Connection, query: Query, lanes: Sequence[Lane]) -> Page:
    """The few rows of one order id, found by their keys."""
    events = {(lane.account, lane.event) for lane in lanes if _lane_fits(lane, query)}
    rows = db.execute(BY_KEYS, (order_keys(query.order_id or "", events),))
    return _page([record for row in rows if _fits(record := record_of(row), query)], query.limit)


def order_keys(order_id: str, events: Iterable[tuple[str, str]]) -> str:
    """Hash and digest of the order's key under each of `events`, (account, event), as JSON."""
    keys = [Key.of(KeySource.ORDER, account, event, order_id) for account, event in events]
    return json.dumps([(key.hash, key.digest) for key in keys])


def _walked(db: sqlite3.Connection, query: Query, lanes: Sequence[Lane]) -> Page:
    """A walk down the table, or down the index of a state that few rows are in; SCAN_ROWS at most."""
    rows_of, below_of = (ENDED, BELOW_ENDED) if query.state in _FEW else (STRETCH, BELOW_STRETCH)
    newest = db.execute(NEWEST).fetchone()[0] or 0
    given: dict[str, Any] = {
        "top": newest if query.before_seq is None else min(newest, query.before_seq - 1),
        "rows": SCAN_ROWS,
        "state": query.state,
        "lanes": _lane_ids(query, lanes),
        "since": query.since,
        "limit": query.limit + 1,
    }
    below, received_at = db.execute(below_of, given).fetchone() or (0, 0)
    records = [record_of(row) for row in db.execute(rows_of, {**given, "bottom": below})]
    if below and query.since is not None and received_at < query.since:
        return _with_replaced(db, query.limit, {**given, "top": below}, records)
    return _page(records, query.limit, below + 1 if below else None)


def _with_replaced(db: sqlite3.Connection, limit: int, given: Mapping[str, Any], records: list[Record]) -> Page:
    """Behind `records`, what is left once all others are older than wanted: rows that were replaced since."""
    if len(records) > limit:
        return _page(records, limit)
    (below,) = db.execute(BELOW_REPLACED, given).fetchone() or (0,)
    rows = db.execute(REPLACED, {**given, "bottom": below, "limit": limit + 1 - len(records)})
    return _page([*records, *map(record_of, rows)], limit, below + 1 if below else None)


def _page(records: list[Record], limit: int, more: int | None = None) -> Page:
    """The first `limit` of `records`; `more` is where to go on when there are no others."""
    if len(records) > limit:
        return Page(tuple(records[:limit]), records[limit - 1].seq)
    return Page(tuple(records), more)


def _fits(record: Record, query: Query) -> bool:
    return (
        (query.before_seq is None or record.seq < query.before_seq)
        and query.state in (None, record.state)
        and (query.since is None or record.received_at >= query.since)
    )


def _lane_ids(query: Query, lanes: Sequence[Lane]) -> str | None:
    """The lanes that a query is about, as JSON; None for all."""
    if query.account is None and query.event is None:
        return None
    return json.dumps([lane.id for lane in lanes if _lane_fits(lane, query)])


def _lane_fits(lane: Lane, query: Query) -> bool:
    return query.account in (None, lane.account) and query.event in (None, lane.event)
