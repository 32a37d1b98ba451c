"""Ends the rows that got too old for Microsoft."""

import json

from sidecar.core.instant import MAX_AGE_SECONDS, UnixMillis, seconds
from sidecar.core.record import Record
from sidecar.core.states_and_reasons import State
from sidecar.store.sql import adjustment_rows
from sidecar.store.sql.connection import SqlConnection
from sidecar.store.sql.dialects import sql
from sidecar.store.sql.rows import RECORD_COLUMNS, RECORD_TABLES, record_of
from sidecar.store.sql.tallies import COLUMNS, move

# Rows that Microsoft would refuse for their age, but for those whose request is on its way just now.
TOO_OLD = """
    SELECT seq FROM entries e WHERE state = 'pending' AND time < ?
    AND (claimed = 0 OR NOT EXISTS (SELECT 1 FROM batches WHERE id = e.batch_id AND leased = 1 AND due_at > ?))
    ORDER BY time LIMIT ?"""

# One whose lease has passed without an answer may have been sent.
END_TOO_OLD = sql(f"""
    UPDATE entries SET state = 'dead', reason = 'too_old', claimed = 0, settled_at = ?,
        maybe_sent = CASE WHEN claimed = 1 AND EXISTS (SELECT 1 FROM batches WHERE id = batch_id AND leased = 1)
            THEN 1 ELSE maybe_sent END
    WHERE state = 'pending' AND seq IN [numbers ?] RETURNING {COLUMNS}, seq""")  # noqa: S608 - constants only

RECORDS = sql(f"SELECT {RECORD_COLUMNS} FROM {RECORD_TABLES} WHERE e.seq IN [numbers ?]")  # noqa: S608


def expire(db: SqlConnection, now: UnixMillis, limit: int, adjustment_delay_millis: int) -> list[Record]:
    """End up to `limit` pending rows that are older than Microsoft takes; the rows as they are afterwards."""
    given = (seconds(now) - MAX_AGE_SECONDS, now, limit)
    found = db.execute(TOO_OLD, given).fetchall()
    if found and db.hold_all():
        found = db.execute(TOO_OLD, given).fetchall()
    if not found:
        return []
    rows = db.execute(END_TOO_OLD, (now, json.dumps([row[0] for row in found]))).fetchall()
    move(db, State.PENDING, State.DEAD, (row[:-1] for row in rows))
    ended = [row[-1] for row in rows]
    records = [record_of(row) for row in db.execute(RECORDS, (json.dumps(ended),))] if ended else []
    adjustment_rows.release(db, (record.conversion_seq for record in records), now, adjustment_delay_millis)
    return records
