"""SQLite's connection as the statements need it.

Values of many rows are bound as they are: the same values in one JSON text cost twice as much. Each statement waits
several times for the interpreter, which the event loop holds, so a usual group is one statement. The connection
prepares each size of a statement once and caches it; a larger group goes by the largest sizes that it fills.
"""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any

from sidecar.store.sql.connection import BulkStatement

COPIED_PAGES = 1_000
"""Pages in the write-ahead log before they are copied back into the file.

Of 4,000 arrays took an eighth more CPU time, since the log did not stay in the processor's cache.
"""

STEP_PAGES = 500
"""The same while a slice is deleted, which lies all over the file.

Copied back 4,000 pages at a time that held up answers for 80 ms; in small steps it takes longer as a whole, but no
request waits for it.
"""

SIZES = (200, 50, 20)
"""Rows in one statement; fewer are a size of their own. Prepared ones take 3 KiB a row and stay: hence no more sizes.

SQLite binds at most 32,766 values, so a row may have up to 127 columns.
"""


class SqliteConnection(sqlite3.Connection):
    """Implements `store.sql.Connection`."""

    def execute_rows(self, statement: BulkStatement, rows: Sequence[Sequence[Any]], after: Sequence[Any]) -> list[Any]:
        returned: list[Sequence[Any]] = []
        for part in _parts(rows):
            values = (*chain.from_iterable(part), *after)
            returned += self.execute(bulk_text(statement, len(part)), values).fetchall()
        return returned

    def change_rows(self, statement: BulkStatement, rows: Sequence[Sequence[Any]], after: Sequence[Any]) -> int:
        before = self.total_changes  # a cursor counts nothing where a statement begins with WITH
        self.execute_rows(statement, rows, after)
        return self.total_changes - before

    @contextlib.contextmanager
    def at_one_moment(self) -> Iterator[None]:
        self.execute("BEGIN")
        try:
            yield
        finally:
            self.execute("COMMIT")

    def hold(self, names: Iterable[str]) -> bool:
        """One connection writes, so that nothing comes between."""
        return False

    def hold_all(self) -> bool:
        return False

    def expect_scattered(self, expected: bool) -> None:
        self.execute(f"PRAGMA wal_autocheckpoint = {STEP_PAGES if expected else COPIED_PAGES}").fetchall()


@cache
def bulk_text(statement: BulkStatement, rows: int) -> str:
    """The statement for that many rows; the same text each time, so that it is found prepared."""
    row = f"({', '.join('?' * statement.columns)})"
    return f"{statement.before} VALUES {', '.join([row] * rows)} {statement.after}"


def _parts(rows: Sequence[Sequence[Any]]) -> Iterator[Sequence[Sequence[Any]]]:
    """The rows in order, cut into as few parts as can be, each but the last of one of the SIZES."""
    start = 0
    for size in SIZES:
        while len(rows) - start >= size:
            yield rows[start : start + size]
            start += size
    if start < len(rows):
        yield rows[start:]
