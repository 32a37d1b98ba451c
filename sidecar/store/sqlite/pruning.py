"""Deletes settled rows and batches a slice at a time, so that no answer waits for longer than a slice."""

import sqlite3

from sidecar.core.instant import UnixMillis, seconds
from sidecar.store.sqlite.database import COPIED_PAGES, copy_back_each
from sidecar.store.sqlite.tallies import COLUMNS, by_state, move

# One slice: settled long ago, among the rows with numbers in (after, last]. A row settles after its own time but when
# it is canceled before that has come: its key must be remembered all the same.
PRUNE = f"""
    DELETE FROM entries WHERE seq > ? AND seq <= ? AND state <> 'pending' AND settled_at < ? AND time < ?
    RETURNING {COLUMNS}, state"""  # noqa: S608 - constants only

# The number of the last row of a slice, and when its first row was received: at first, for one that was replaced.
SLICE = """
    SELECT max(seq), min(received_at) FROM (
        SELECT seq, iif(history IS NULL, received_at, (
            SELECT min(coalesce(earlier.value ->> 'received_at', received_at)) FROM json_each(history) AS earlier
        )) AS received_at
        FROM entries WHERE seq > ? ORDER BY seq LIMIT ?)"""

# Batches that were settled long ago: every row that was in one of them is settled as long.
_OLD_BATCHES = "(SELECT id FROM (SELECT id, settled_at FROM batches ORDER BY id LIMIT ?) WHERE settled_at < ?)"
PRUNE_REQUESTS = f"DELETE FROM requests WHERE batch_id IN {_OLD_BATCHES}"  # noqa: S608 - constants only
PRUNE_BATCHES = f"DELETE FROM batches WHERE id IN {_OLD_BATCHES}"  # noqa: S608 - constants only


# What is deleted lies all over the file. Copied back from the log 4,000 pages at a time that held up answers for
# 80 ms; in small steps it takes longer as a whole, but no request waits for it.
STEP_PAGES = 500

# When the first row ever came in, before it is deleted.
NOTE_FIRST = """
    INSERT OR IGNORE INTO facts
    SELECT 'first_received_at', CAST(received_at AS TEXT) FROM entries ORDER BY seq LIMIT 1"""


def prune(db: sqlite3.Connection, before: UnixMillis, after_seq: int, limit: int) -> int | None:
    """Delete what was settled before `before` among the `limit` rows after `after_seq`.

    The number to go on after; None when the rest is too young. Numbers follow the time of receipt and a row settles
    after its receipt, so the first slice received after `before` ends the walk.
    """
    db.execute(PRUNE_REQUESTS, (limit, before))
    db.execute(PRUNE_BATCHES, (limit, before))
    last, oldest = db.execute(SLICE, (after_seq, limit)).fetchone()
    if last is None or oldest >= before:
        copy_back_each(db, COPIED_PAGES)
        return None
    copy_back_each(db, STEP_PAGES)
    db.execute(NOTE_FIRST)
    gone = db.execute(PRUNE, (after_seq, last, before, seconds(before))).fetchall()
    for state, rows in by_state(gone).items():
        move(db, state, None, rows)
    return int(last)
