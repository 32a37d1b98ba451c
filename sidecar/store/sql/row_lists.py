"""Single rows and lists of them, newest first. A page looks through a bounded number of rows."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sidecar.core.conversion import Kind
from sidecar.core.entry import Lane
from sidecar.core.keys import Key, KeySource
from sidecar.core.record import Record
from sidecar.core.states_and_reasons import State
from sidecar.ports.queries import Page, Query
from sidecar.store.sql.connection import SqlConnection
from sidecar.store.sql.dialects import Dialects, sql
from sidecar.store.sql.row_counts import counts
from sidecar.store.sql.rows import HAS_ENDED, RECORD_COLUMNS, RECORD_TABLES, record_of

SCAN_ROWS = 20_000
"""How many rows one page of a list looks through at most; then it ends short, with a cursor to go on."""

ONE = f"SELECT {RECORD_COLUMNS} FROM {RECORD_TABLES} WHERE e.seq = ?"  # noqa: S608 - constants only

# The adjustments of a conversion.
ADJUSTMENTS = f"SELECT {RECORD_COLUMNS} FROM {RECORD_TABLES} WHERE e.original = ? ORDER BY e.seq"  # noqa: S608

# All rows of some keys: an order id under every account and event.
BY_KEYS = sql(f"""
    SELECT {RECORD_COLUMNS} FROM [rows ? AS wanted (key_hash bigint, key_digest text)]
    JOIN entries e ON e.key_hash = wanted.key_hash AND e.key_digest = wanted.key_digest AND e.original IS NULL
    JOIN lanes l ON l.id = e.lane LEFT JOIN batches b ON b.id = e.batch_id
    ORDER BY e.seq DESC""")  # noqa: S608 - constants only

# The same of their adjustments.
ADJUSTMENTS_BY_KEYS = sql(f"""
    SELECT {RECORD_COLUMNS} FROM [rows ? AS wanted (key_hash bigint, key_digest text)]
    JOIN entries o ON o.key_hash = wanted.key_hash AND o.key_digest = wanted.key_digest AND o.original IS NULL
    JOIN entries e ON e.original = o.seq
    JOIN lanes l ON l.id = e.lane LEFT JOIN batches b ON b.id = e.batch_id
    ORDER BY e.seq DESC""")  # noqa: S608 - constants only

# The newest row of any state, to begin a list with.
NEWEST = "SELECT max(seq) FROM entries"

_FITS = """
    CASE WHEN e.original IS NULL THEN 1 ELSE 0 END = :is_conversion
    AND (CAST(:lanes AS TEXT) IS NULL OR e.lane IN [numbers :lanes])
    AND (CAST(:since AS BIGINT) IS NULL OR e.received_at >= :since)
    AND (CAST(:reason AS TEXT) IS NULL OR e.reason = :reason OR e.state = 'pending')
    AND (CAST(:visitor_id AS TEXT) IS NULL OR e.visitor_id = :visitor_id)
    AND (CAST(:msclkid AS TEXT) IS NULL OR lower(coalesce(e.click, e.msclkid)) = lower(:msclkid))"""

# A stretch of the table, newest first, and the first row below it.
STRETCH = sql(f"""
    SELECT {RECORD_COLUMNS} FROM {RECORD_TABLES}
    WHERE e.seq <= :top AND e.seq > :bottom AND (CAST(:state AS TEXT) IS NULL OR e.state = :state) AND {_FITS}
    ORDER BY e.seq DESC LIMIT :limit""")  # noqa: S608 - constants only
BELOW_STRETCH = "SELECT seq, received_at FROM entries WHERE seq <= :top - :rows ORDER BY seq DESC LIMIT 1"

# The same for states that few rows are in, found by their index.
ENDED = sql(f"""
    SELECT {RECORD_COLUMNS}
    FROM entries e [by entries_ended] JOIN lanes l ON l.id = e.lane LEFT JOIN batches b ON b.id = e.batch_id
    WHERE e.state = :state AND {HAS_ENDED} AND e.seq <= :top AND e.seq > :bottom
        AND {_FITS}
    ORDER BY e.seq DESC LIMIT :limit""")  # noqa: S608 - constants only
BELOW_ENDED = sql(f"""
    SELECT seq, received_at FROM entries [by entries_ended]
    WHERE state = :state AND {HAS_ENDED} AND seq <= :top
    ORDER BY seq DESC LIMIT 1 OFFSET :rows""")  # noqa: S608 - constants only


def _whole(index: str, holds: str) -> Dialects:
    """The statement for rows in an index that holds few: all are looked through, however far apart they lie."""
    return sql(f"""
        SELECT {RECORD_COLUMNS}
        FROM entries e JOIN lanes l ON l.id = e.lane LEFT JOIN batches b ON b.id = e.batch_id
        WHERE e.seq IN (SELECT seq FROM entries [by {index}] WHERE {holds}) AND e.seq <= :top
            AND (CAST(:state AS TEXT) IS NULL OR e.state = :state) AND {_FITS}
        ORDER BY e.seq DESC LIMIT :limit""")  # noqa: S608 - constants only


PENDING = _whole("entries_age", "state = 'pending'")
ADJUSTING = _whole("entries_original", "original IS NOT NULL")
MANY_ADJUSTING = sql("""
    SELECT EXISTS (
        SELECT 1 FROM entries [by entries_original] WHERE original IS NOT NULL LIMIT 1 OFFSET ?)""")

# Rows that took the place of others: received later than those around them.
REPLACED = sql(f"""
    SELECT {RECORD_COLUMNS}
    FROM entries e [by entries_replaced] JOIN lanes l ON l.id = e.lane LEFT JOIN batches b ON b.id = e.batch_id
    WHERE e.replaced_at IS NOT NULL AND e.seq <= :top AND e.seq > :bottom
        AND (CAST(:state AS TEXT) IS NULL OR e.state = :state) AND {_FITS}
    ORDER BY e.seq DESC LIMIT :limit""")  # noqa: S608 - constants only
BELOW_REPLACED = sql("""
    SELECT seq FROM entries [by entries_replaced]
    WHERE replaced_at IS NOT NULL AND seq <= :top ORDER BY seq DESC LIMIT 1 OFFSET :rows""")

_FEW = frozenset((State.DEAD, State.SKIPPED, State.CANCELED))


def get(db: SqlConnection, seq: int) -> Record | None:
    """One row."""
    row = db.execute(ONE, (seq,)).fetchone()
    return record_of(row) if row else None


def adjustments(db: SqlConnection, seq: int) -> list[Record]:
    """Every adjustment of a conversion, oldest first."""
    return [record_of(row) for row in db.execute(ADJUSTMENTS, (seq,))]


def find(db: SqlConnection, query: Query, lanes: Sequence[Lane]) -> Page:
    """A page of rows, newest first."""
    if query.order_id is not None:
        return _of_order(db, query, lanes)
    return _walked(db, query, lanes)


def _of_order(db: SqlConnection, query: Query, lanes: Sequence[Lane]) -> Page:
    """The few rows of one order id, found by their keys."""
    events = {(lane.account, lane.event) for lane in lanes if _lane_fits(lane, query)}
    statement = BY_KEYS if query.kind is Kind.CONVERSION else ADJUSTMENTS_BY_KEYS
    rows = db.execute(statement, (order_keys(query.order_id or "", events),))
    return _page([record for row in rows if _fits(record := record_of(row), query)], query.limit)


def order_keys(order_id: str, events: Collection[tuple[str, str]]) -> str:
    """Hash and digest of the order's key under each of `events`, (account, event), as JSON."""
    return keys_of_orders([order_id], events)


def keys_of_orders(order_ids: Iterable[str], events: Collection[tuple[str, str]]) -> str:
    """The same of several orders."""
    keys = [Key.of(KeySource.ORDER, *event, order_id) for order_id in order_ids for event in events]
    return json.dumps([(key.hash, key.digest) for key in keys])


def _walked(db: SqlConnection, query: Query, lanes: Sequence[Lane]) -> Page:
    """A walk down the table, or down the index of a state that few rows are in; SCAN_ROWS at most."""
    newest = db.execute(NEWEST).fetchone()[0] or 0
    given: dict[str, Any] = {
        "top": newest if query.before_seq is None else min(newest, query.before_seq - 1),
        "rows": SCAN_ROWS,
        "state": query.state,
        "lanes": _lane_ids(query, lanes),
        "since": query.since,
        "reason": query.reason,
        "visitor_id": query.visitor_id,
        "msclkid": query.msclkid,
        "is_conversion": query.kind is Kind.CONVERSION,
        "limit": query.limit + 1,
    }
    if (listed := _listed(db, query)) is not None:
        return _page([record_of(row) for row in db.execute(listed, given)], query.limit)
    rows_of, below_of = (ENDED, BELOW_ENDED) if query.state in _FEW else (STRETCH, BELOW_STRETCH)
    below, received_at = db.execute(below_of, given).fetchone() or (0, 0)
    records = [record_of(row) for row in db.execute(rows_of, {**given, "bottom": below})]
    if below and query.since is not None and received_at < query.since:
        return _with_replaced(db, query.limit, {**given, "top": below}, records)
    return _page(records, query.limit, below + 1 if below else None)


def _listed(db: SqlConnection, query: Query) -> str | None:
    """The statement that reads an index whole, where it holds SCAN_ROWS at most; else None."""
    if query.kind is Kind.ADJUSTMENT and not db.execute(MANY_ADJUSTING, (SCAN_ROWS,)).fetchone()[0]:
        return ADJUSTING
    if query.state is State.PENDING and counts(db).pending <= SCAN_ROWS:
        return PENDING
    return None


def _with_replaced(db: SqlConnection, limit: int, given: Mapping[str, Any], records: list[Record]) -> Page:
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
        and (query.reason in (None, record.reason) or record.state is State.PENDING)
        and query.visitor_id in (None, record.visitor_id)
        and (query.msclkid is None or query.msclkid.lower() == (record.msclkid or "").lower())
    )


def _lane_ids(query: Query, lanes: Sequence[Lane]) -> str | None:
    """The lanes that a query is about, as JSON; None for all."""
    if query.account is None and query.event is None:
        return None
    return json.dumps([lane.id for lane in lanes if _lane_fits(lane, query)])


def _lane_fits(lane: Lane, query: Query) -> bool:
    return query.account in (None, lane.account) and query.event in (None, lane.event)
