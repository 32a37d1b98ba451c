"""Single rows and lists of them, newest first. A page looks through a bounded number of rows."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sidecar.core.entry import Lane
from sidecar.core.keys import Key, KeySource
from sidecar.core.record import Record
from sidecar.core.states_and_reasons import State
from sidecar.ports.queries import Page, Query
from sidecar.store.sqlite.rows import RECORD_COLUMNS, RECORD_TABLES, record_of

SCAN_ROWS = 20_000
"""How many rows one page of a list looks through at most; then it ends short, with a cursor to go on."""

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
