"""Statements over many rows of values, bound as they are.

The same values in one JSON text cost twice as much. Each statement waits several times for the interpreter, which the
event loop holds, so a usual group is one statement. The connection prepares each size of a statement once and caches
it; a larger group goes by the largest sizes that it fills.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

SIZES = (200, 50, 20)
"""Rows in one statement; fewer are a size of their own. Prepared ones take 3 KiB a row and stay: hence no more sizes.

SQLite binds at most 32,766 values, so a row may have up to 127 columns.
"""


@dataclass(frozen=True, slots=True)
class BulkStatement:
    """A statement with a list of rows between `before` and `after`, each with `columns` values."""

    before: str
    columns: int
    after: str = ""
    _texts: dict[int, str] = field(default_factory=dict)

    def text(self, rows: int) -> str:
        """The statement for that many rows; the same text each time, so that it is found prepared."""
        if rows not in self._texts:
            row = f"({', '.join('?' * self.columns)})"
            self._texts[rows] = self.before + ", ".join([row] * rows) + self.after
        return self._texts[rows]

    def execute(
        self, db: sqlite3.Connection, rows: Sequence[Sequence[Any]], after: Sequence[Any] = ()
    ) -> list[Sequence[Any]]:
        """Carry it out for all `rows`, with the values of `after` behind them; what it returns, if it does."""
        returned: list[Sequence[Any]] = []
        for part in _parts(rows):
            returned += db.execute(self.text(len(part)), (*chain.from_iterable(part), *after)).fetchall()
        return returned

    def change(self, db: sqlite3.Connection, rows: Sequence[Sequence[Any]], after: Sequence[Any] = ()) -> int:
        """Carry it out for all `rows`; how many rows of the table it changed."""
        before = db.total_changes  # a cursor counts nothing where a statement begins with WITH
        self.execute(db, rows, after)
        return db.total_changes - before


def _parts(rows: Sequence[Sequence[Any]]) -> Iterator[Sequence[Sequence[Any]]]:
    """The rows in order, cut into as few parts as can be, each but the last of one of the SIZES."""
    start = 0
    for size in SIZES:
        while len(rows) - start >= size:
            yield rows[start : start + size]
            start += size
    if start < len(rows):
        yield rows[start:]
