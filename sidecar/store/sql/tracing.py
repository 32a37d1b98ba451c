"""All that is stored of one row, read in one place: the row, its history, its batches, the clicks of its visitor.

The cost is bounded for any number of clicks of a visitor, and of attempts of a row.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sidecar.core.attempts import BatchFacts
from sidecar.core.attribution import SeenClick
from sidecar.core.history import Past, read_history
from sidecar.core.receipts.trace import Trace
from sidecar.core.record import Record
from sidecar.store.sql import batch_requests, row_lists
from sidecar.store.sql.connection import Reader, SqlConnection
from sidecar.store.sql.dialects import sql

CLICKS_BEFORE = 50
"""The newest clicks at or before the conversion: one of them was chosen, or none will be."""

CLICKS_AFTER = 10

COUNTED_CLICKS = 1_000
"""Where counting a visitor's clicks is given up."""

NEWEST_PAST = 100
"""Of a longer history only the newest part is read; attempts end at 50, replacements are up to the caller."""

# What the receipt needs beside the record.
REST = """
    SELECT request_id, msclkid, goal IS NOT NULL, content = '', history, visitor, visitor_id
    FROM entries WHERE seq = ?"""

BEFORE = """
    SELECT msclkid, clicked_at, captured_at FROM clicks
    WHERE visitor = ? AND visitor_id = ? AND clicked_at <= ? ORDER BY clicked_at DESC, seq DESC LIMIT ?"""

AFTER = """
    SELECT msclkid, clicked_at, captured_at FROM clicks
    WHERE visitor = ? AND visitor_id = ? AND clicked_at > ? ORDER BY clicked_at LIMIT ?"""

# The click that the conversion itself names, of any time.
OWN = "SELECT msclkid, clicked_at, captured_at FROM clicks WHERE visitor = ? AND visitor_id = ? AND msclkid = ?"

COUNT = "SELECT count(*) FROM (SELECT 1 FROM clicks WHERE visitor = ? AND visitor_id = ? LIMIT ?) AS counted"

# Batches by their numbers, and those that they are halves of.
BATCHES = sql("""
    SELECT b.id, b.token, b.created_at, b.sent_at, b.settled_at, b.answer, b.tracking_id, b.rows, b.parent
    FROM (
        WITH RECURSIVE carried (id) AS (
            SELECT id FROM [rows ? AS named (id bigint)]
            UNION
            SELECT half.parent FROM carried JOIN batches half ON half.id = carried.id WHERE half.parent IS NOT NULL)
        SELECT id FROM carried) AS carried
    CROSS JOIN batches b WHERE b.id = carried.id""")


@dataclass(frozen=True, slots=True)
class SqlTraces:
    """Implements `ports.Traces` over a connection that only reads."""

    reader: Reader

    async def of(self, seq: int) -> Trace | None:
        return await self.reader.call(lambda db: trace(db, seq))


def trace(db: SqlConnection, seq: int) -> Trace | None:
    """All that is stored of one row, as of one instant; None when there is none."""
    with db.at_one_moment():
        record = row_lists.get(db, seq)
        return None if record is None else _trace(db, record)


def _trace(db: SqlConnection, record: Record) -> Trace:
    request_id, msclkid, is_frozen, is_erased, history, visitor, visitor_id = db.execute(REST, (record.seq,)).fetchone()
    past = read_history(json.loads(history or "[]")[-NEWEST_PAST:])
    known = 0 if visitor is None else db.execute(COUNT, (visitor, visitor_id, COUNTED_CLICKS)).fetchone()[0]
    return Trace(
        record=record,
        request_id=request_id,
        named_msclkid=msclkid,
        is_frozen=bool(is_frozen),
        is_erased=bool(is_erased),
        clicks=() if visitor is None else tuple(dict.fromkeys(_clicks(db, record, visitor, msclkid))),
        known_clicks=known,
        more_clicks=known == COUNTED_CLICKS,
        past=past,
        batches={batch.id: batch for batch in _batches(db, record, past)},
        adjustments=tuple(row_lists.adjustments(db, record.seq)),
    )


def _clicks(db: SqlConnection, record: Record, visitor: int, own: str | None) -> Iterator[SeenClick]:
    """The nearest ones, and the conversion's own, which may be among them."""
    for statement, limit in ((BEFORE, CLICKS_BEFORE), (AFTER, CLICKS_AFTER)):
        for row in db.execute(statement, (visitor, record.visitor_id, record.time, limit)):
            yield SeenClick(*row)
    for row in db.execute(OWN, (visitor, record.visitor_id, own)):
        yield SeenClick(*row)


def _batches(db: SqlConnection, record: Record, past: Sequence[Past]) -> Iterator[BatchFacts]:
    """Those of its attempts; batches that were settled long ago are forgotten before their rows."""
    ids = {getattr(one, "batch_id", None) for one in past} | {record.batch_id}
    rows = db.execute(BATCHES, (json.dumps([[id_] for id_ in ids if id_ is not None]),)).fetchall()
    noted = batch_requests.of_batches(db, [row[0] for row in rows])
    names = ("id", "claims", "created_at", "sent_at", "settled_at", "answer", "tracking_id", "rows", "parent")
    return (BatchFacts(**dict(zip(names, row, strict=True)), requests=noted.get(row[0], ())) for row in rows)
