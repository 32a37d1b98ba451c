"""A committer over a table of texts, and callers who wait for it."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from sidecar.ports.errors import StorageUnavailable
from sidecar.store.committer import Committer
from sidecar.store.sqlite.database import Database
from sidecar.store.sqlite.engine import SqliteEngine

ODD = "odd"
"""An item that the intake of these tests cannot write."""


class Rows:
    """A committer over a table of texts, each of which may be there once, and what it did."""

    def __init__(self, database: Database, path: Path, min_free_bytes: int = 0) -> None:
        self.groups: list[int] = []
        self.commits = 0
        self.while_writing: Callable[[], None] = lambda: None
        self.committer: Committer[sqlite3.Connection, str, int] = Committer(
            SqliteEngine(database, path.parent, min_free_bytes),
            self._write,
            on_group=lambda rows, seconds: self.groups.append(rows),
        )
        self.database = database

    def _write(self, db: sqlite3.Connection, items: list[str]) -> list[int]:
        if ODD in items:
            raise ValueError("this one cannot be written")
        self.while_writing()
        return [db.execute("INSERT INTO texts VALUES (NULL, ?)", (item,)).lastrowid or 0 for item in items]

    async def prepare(self) -> None:
        await self.database.call(lambda db: db.execute("CREATE TABLE texts (id INTEGER PRIMARY KEY, text UNIQUE)"))
        await self.database.call(lambda db: db.set_trace_callback(self._trace))

    def _trace(self, statement: str) -> None:
        self.commits += statement == "COMMIT"

    async def texts(self) -> list[str]:
        rows = await self.database.call(lambda db: db.execute("SELECT text FROM texts ORDER BY id").fetchall())
        return [row[0] for row in rows]

    async def in_transaction(self) -> bool:
        return await self.database.call(lambda db: db.in_transaction)


@contextlib.asynccontextmanager
async def running(rows: Rows) -> AsyncIterator["asyncio.Task[None]"]:
    """The committer at work, stopped in order."""
    task = asyncio.create_task(rows.committer.run())
    yield task
    rows.committer.stop()
    await task


def waiting(rows: Rows, calls: Sequence[Sequence[str]]) -> "list[asyncio.Task[list[int]]]":
    """Callers who put at the same time."""
    return [asyncio.create_task(rows.committer.put(items)) for items in calls]


async def gathered(tasks: "Sequence[asyncio.Task[list[int]]]") -> list[object]:
    """What each caller got: a result, or the code of what went wrong."""
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    return [answer.code if isinstance(answer, StorageUnavailable) else answer for answer in answers]


def numbered(count: int, start: int = 0) -> list[list[str]]:
    return [[f"text {number}"] for number in range(start, start + count)]
