"""Starts the sidecar with named points at which it can kill itself: in and around each transaction and each request.

`kill_points.py FILE NAME NUMBER sidecar ...`: every point that is passed leaves a line in FILE; at the NUMBER-th pass
of NAME the process is gone, as with kill -9. Only this start script knows the points; the product has no such door.
"""

import os
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from sidecar.cli import main
from sidecar.core.answer import Answer
from sidecar.core.entry import Entry
from sidecar.microsoft.platform import MicrosoftAdvertising
from sidecar.store.sqlite import engine

STATEMENTS = 6
"""The points between the first statements of a transaction have names of their own."""


class Points:
    """Where it came through, and where it ends."""

    def __init__(self, file: str, name: str, number: int) -> None:
        self.trace = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.name, self.number = name, number
        self.passed: Counter[str] = Counter()

    def reach(self, name: str) -> None:
        os.write(self.trace, f"{name}\n".encode())
        self.passed[name] += 1
        if name == self.name and self.passed[name] == self.number:
            os.kill(os.getpid(), signal.SIGKILL)


class Tapped:
    """A connection that passes a point before each statement."""

    def __init__(self, db: sqlite3.Connection, work: str, points: Points) -> None:
        self._db, self._work, self._points, self._statements = db, work, points, 0

    def execute(self, statement: str, *given: Any) -> sqlite3.Cursor:
        if statement in ("COMMIT", "BEGIN IMMEDIATE"):
            self._points.reach(f"{self._work}: before {statement.lower()}")
        else:
            self._count()
        return self._db.execute(statement, *given)

    def executemany(self, statement: str, rows: Any) -> sqlite3.Cursor:
        self._count()
        return self._db.executemany(statement, rows)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    def _count(self) -> None:
        self._statements += 1
        if self._statements <= STATEMENTS:
            self._points.reach(f"{self._work}: statement {self._statements}")


def tap(points: Points) -> None:
    """Put points into every transaction and around every upload."""
    transact, upload = engine._in_transaction, MicrosoftAdvertising.upload

    def tapped_transact(db: sqlite3.Connection, work: Any) -> Any:
        name = getattr(work, "func", work).__qualname__.replace(".<locals>.<lambda>", "")
        result = transact(Tapped(db, name, points), work)  # type: ignore[arg-type]
        points.reach(f"{name}: after commit")
        return result

    async def tapped_upload(self: MicrosoftAdvertising, account: str, entries: Sequence[Entry]) -> Answer:
        name = "upload" if entries[0].type is None else "upload of adjustments"
        points.reach(f"{name}: before")
        answer = await upload(self, account, entries)
        points.reach(f"{name}: after {type(answer).__name__}")
        return answer

    engine._in_transaction = tapped_transact
    MicrosoftAdvertising.upload = tapped_upload  # type: ignore[method-assign]


if __name__ == "__main__":
    tap(Points(sys.argv[1], sys.argv[2], int(sys.argv[3])))
    main(sys.argv[5:], prog_name="sidecar")
