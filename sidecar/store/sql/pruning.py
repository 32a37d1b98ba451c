"""Deletes settled rows and batches a slice at a time, so that no answer waits for longer than a slice."""

from sidecar.core.instant import UnixMillis, seconds
from sidecar.store.sql.connection import SqlConnection
from sidecar.store.sql.dialects import sql
from sidecar.store.sql.tallies import COLUMNS, by_state, move

# One slice: settled long ago, among the rows with numbers in (after, last]. A row settles after its own time but when
# it is canceled before that has come: its key must be remembered all the same.
PRUNE = f"""
    DELETE FROM entries WHERE seq > ? AND seq <= ? AND state <> 'pending' AND settled_at < ? AND time < ?
    RETURNING {COLUMNS}, state"""  # noqa: S608 - constants only

# The number of the last row of a slice, and when its first row was received: at first, for one that was replaced.
SLICE = sql("""
    SELECT max(seq), min(received_at) FROM (
        SELECT seq, CASE WHEN history IS NULL THEN received_at ELSE (
            SELECT min(coalesce(CAST(earlier.value ->> 'received_at' AS BIGINT), entries.received_at))
            FROM [items history AS earlier]) END AS received_at
        FROM entries WHERE seq > ? ORDER BY seq LIMIT ?) AS slice""")

# Batches that were settled long ago: every row that was in one of them is settled as long.
_OLD_BATCHES = (
    "(SELECT id FROM (SELECT id, settled_at FROM batches ORDER BY id LIMIT ?) AS oldest WHERE settled_at < ?)"
)
PRUNE_REQUESTS = f"DELETE FROM requests WHERE batch_id IN {_OLD_BATCHES}"  # noqa: S608 - constants only
PRUNE_BATCHES = f"DELETE FROM batches WHERE id IN {_OLD_BATCHES}"  # noqa: S608 - constants only


# When the first row ever came in, before it is deleted.
NOTE_FIRST = """
    INSERT INTO facts
    SELECT 'first_received_at', CAST(received_at AS TEXT) FROM entries WHERE true ORDER BY seq LIMIT 1
    ON CONFLICT DO NOTHING"""


def prune(db: SqlConnection, before: UnixMillis, after_seq: int, limit: int) -> int | None:
    """Delete what was settled before `before` among the `limit` rows after `after_seq`.

    The number to go on after; None when the rest is too young. Numbers follow the time of receipt and a row settles
    after its receipt, so the first slice received after `before` ends the walk.
    """
    db.execute(PRUNE_REQUESTS, (limit, before))
    db.execute(PRUNE_BATCHES, (limit, before))
    last, oldest = db.execute(SLICE, (after_seq, limit)).fetchone()
    if last is None or oldest >= before:
        db.expect_scattered(False)
        return None
    db.expect_scattered(True)
    db.execute(NOTE_FIRST)
    gone = db.execute(PRUNE, (after_seq, last, before, seconds(before))).fetchall()
    for state, rows in by_state(gone).items():
        move(db, state, None, rows)
    return int(last)
