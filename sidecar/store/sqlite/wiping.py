"""Deleted content leaves the files."""

import contextlib
import sqlite3

from sidecar.store.sqlite.connection import SqliteConnection

VACUUM_BYTES = 64 * 2**20
"""Up to this size the file is rewritten at the end, which takes about a second; see `vacuum`."""


def vacuum(db: SqliteConnection) -> bool:
    """Let what was deleted leave the files: whether it did. Runs between transactions.

    The writer overwrites what it deletes (secure_delete). Moving rows between pages leaves copies behind: rewriting
    removes them from a small file, and a larger one loses them as their pages are used again. The log before the last
    checkpoint is cut off; a reader may be in the way for a moment.
    """
    pages, size = db.execute("PRAGMA page_count").fetchone()[0], db.execute("PRAGMA page_size").fetchone()[0]
    if pages * size <= VACUUM_BYTES:
        with contextlib.suppress(sqlite3.OperationalError):  # no room for a copy: overwriting has to do
            db.execute("VACUUM")
    busy: int = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    return not busy
