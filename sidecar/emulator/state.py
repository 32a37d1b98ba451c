"""The emulator's database: one SQLite connection, to a file or in memory."""

import contextlib
import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from importlib import resources
from pathlib import Path
from typing import TypeVar

import aiosqlite

T = TypeVar("T")

_SETTINGS = "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA busy_timeout = 5000;"

_CLICKS = ("clicks", "click_reasons", "click_matches")
_EVERYTHING_BUT_GOALS = ("codes", "refresh_tokens", "access_tokens", "properties", *_CLICKS, "accounts")
_LEDGER = ("requests", "conversions", "adjustments", "report_counts")


class UnusableState(Exception):
    """The emulator's own file cannot be used; the text says why and what to do."""


class State(aiosqlite.Connection):
    """A connection with its own thread, which runs one transaction after another."""

    async def transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """The result of `work(connection)`, run on the connection's thread inside one transaction."""
        result: T = await self._execute(_in_transaction, self._conn, work)  # type: ignore[no-untyped-call]
        return result


@contextlib.asynccontextmanager
async def open_state(path: Path | None) -> AsyncIterator[State]:
    """The state in `path`, which is created with mode 0600 if missing; None holds it in memory."""
    if path is not None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    name = ":memory:" if path is None else str(path)
    state = State(lambda: sqlite3.connect(name, isolation_level=None), iter_chunk_size=1000)
    async with state:
        schema = (resources.files("sidecar.emulator") / "schema.sql").read_text()
        await state.executescript(_SETTINGS + schema)
        yield state


def unusable(path: Path | None, error: sqlite3.Error) -> UnusableState:
    """What an operator needs to know of an error of SQLite's at the start."""
    is_damaged = (error.sqlite_errorcode or 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    fix = "delete it" if is_damaged else "make room there, or give this user the right to write there"
    return UnusableState(f"the emulator's own file {path} cannot be used: {error}; {fix}")


def clear(db: sqlite3.Connection, *, ledger_only: bool) -> None:
    """Clears the ledger, and unless `ledger_only` sign-ins, accounts, goals, properties and clicks as well."""
    if not ledger_only:
        db.execute("DELETE FROM facts WHERE name IN ('role_id', 'attribution')")
    for table in _LEDGER if ledger_only else (*_LEDGER, *_EVERYTHING_BUT_GOALS, "goals"):
        db.execute(f"DELETE FROM {table}")  # noqa: S608 - names from the tuples above


def _in_transaction(db: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    db.execute("BEGIN IMMEDIATE")
    try:
        result = work(db)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return result
