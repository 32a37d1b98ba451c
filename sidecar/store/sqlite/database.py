"""Connections to the file: one that writes and keeps the schema, and those that read. Knows nothing of the tables."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Self, TypeVar

import aiosqlite

from sidecar.ports.errors import OutboxRefused
from sidecar.store.sql import move_marks
from sidecar.store.sqlite import migrations
from sidecar.store.sqlite.connection import COPIED_PAGES, SqliteConnection
from sidecar.store.sqlite.outbox_file import claim_file, quoted
from sidecar.store.sqlite.sqlite_errors import is_damage, unusable
from sidecar.system.thread_names import name_thread

T = TypeVar("T")

_OLDEST_SQLITE = (3, 38)  # the ->> operator

_CACHED_STATEMENTS = 256
"""Prepared ones: a statement over rows has some 20 sizes, and preparing one costs as much as its rows."""

# What is deleted is overwritten, so that an erasure need not look for what is long gone.
# The cache (2 MiB) holds what a usual group changes. 8 MiB saved no CPU time beside 300,000 rows, also not in groups of
# 1,000 rows at random places: the operating system has the file's pages.
_WRITER_SETTINGS = f"""
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA fullfsync = ON;
    PRAGMA busy_timeout = 5000;
    PRAGMA foreign_keys = ON;
    PRAGMA trusted_schema = OFF;
    PRAGMA cell_size_check = ON;
    PRAGMA temp_store = MEMORY;
    PRAGMA secure_delete = ON;
    PRAGMA cache_size = -2048;
    PRAGMA journal_size_limit = 67108864;
    PRAGMA wal_autocheckpoint = {COPIED_PAGES};
"""
# Readers' caches (4 MiB each) hold the inner pages of the index and table of ten million clicks.
_READER_SETTINGS = """
    PRAGMA query_only = ON;
    PRAGMA busy_timeout = 5000;
    PRAGMA trusted_schema = OFF;
    PRAGMA cache_size = -4096;
"""


class Database(aiosqlite.Connection):
    """A connection on its own thread that runs whole functions there.

    A transaction in one hop cannot be cut in two by a cancelled task, and pays one thread switch instead of one a
    statement. Statements never pass through aiosqlite's debug log, which would print their parameters.
    """

    on_damage: Callable[[Exception], None] = staticmethod(lambda error: None)
    """Called when the file turns out to be damaged."""

    async def call(self, work: Callable[[SqliteConnection], T]) -> T:
        """The result of `work(connection)`, run on the connection's thread."""
        try:
            result: T = await self._execute(work, self._conn)  # type: ignore[no-untyped-call]
        except sqlite3.Error as error:
            if is_damage(error):
                self.on_damage(error)
            raise
        return result

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        return self


@contextlib.asynccontextmanager
async def writer(path: Path, environment: str) -> AsyncIterator[Database]:
    """The one connection that writes, with the newest schema; OutboxRefused when the file is not for us.

    A file that exists must have been claimed before.
    """
    database = _connection(_writing(path), "writer")
    async with database:
        try:
            await database.call(lambda db: _prepare(db, path, environment))
        except sqlite3.DatabaseError as error:
            raise unusable(path, error) from error
        yield database
        await database.call(checkpoint)


def connect_writer(path: Path) -> SqliteConnection:
    """The same connection for the thread that calls, to be prepared by `keep_schema`."""
    return _connect(_writing(path))


def checkpoint(db: sqlite3.Connection) -> None:
    """Move the log into the file, unless there is no room: then the next start does it."""
    with contextlib.suppress(sqlite3.OperationalError):
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _writing(path: Path) -> str:
    """How to open the file for writing; a new one is claimed first."""
    if not path.exists():
        claim_file(path)
    return f"file:{quoted(path)}?mode=rw"


@contextlib.asynccontextmanager
async def reader(path: Path, thread: str) -> AsyncIterator[Database]:
    """A connection that cannot write and never checkpoints, and the name of its thread."""
    async with _connection(f"file:{quoted(path)}?mode=ro", thread) as database:
        await database.call(lambda db: db.executescript(_READER_SETTINGS))
        yield database


def _connection(uri: str, thread: str) -> Database:
    def connect() -> SqliteConnection:
        name_thread(thread)
        return _connect(uri)

    return Database(connect, iter_chunk_size=1000)


def _connect(uri: str) -> SqliteConnection:
    return sqlite3.connect(
        uri, uri=True, isolation_level=None, cached_statements=_CACHED_STATEMENTS, factory=SqliteConnection
    )


def _prepare(db: SqliteConnection, path: Path, environment: str) -> None:
    keep_schema(db, path)
    move_marks.refuse_moved(db, str(path))
    _pin_environment(db, path, environment)
    move_marks.begin_work(db, str(path))


def keep_schema(db: sqlite3.Connection, path: Path) -> None:
    """Set the connection up and bring the schema up to date; OutboxRefused when the file is not for us."""
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise OutboxRefused(
            f"this Python has SQLite {sqlite3.sqlite_version}, and 3.38 or newer is needed: take a newer Python"
        )
    migrations.refuse_foreign(db, path)
    migrations.refuse_newer(db, path)
    if migrations.schema_version(db) == 0:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # only a new file takes it: room to shrink one day
    db.executescript(_WRITER_SETTINGS)
    _refuse_without_wal(db, path)
    migrations.migrate(db)


def _refuse_without_wal(db: sqlite3.Connection, path: Path) -> None:
    """SQLite stays silently with another journal where it cannot share memory, as on network file systems."""
    mode = db.execute("PRAGMA journal_mode").fetchone()[0]
    if mode != "wal":
        raise OutboxRefused(
            f"the outbox {path} lies where SQLite cannot keep a write-ahead log (journal mode {mode}): put it on a "
            "local disk, and name it in storage.url"
        )


def _pin_environment(db: sqlite3.Connection, path: Path, environment: str) -> None:
    """Tie the file to one environment: rows for the emulator must never reach real accounts, nor the reverse."""
    db.execute("INSERT OR IGNORE INTO facts VALUES ('environment', ?)", (environment,))
    stored = db.execute("SELECT value FROM facts WHERE name = 'environment'").fetchone()[0]
    if stored != environment:
        raise OutboxRefused(
            f"the outbox {path} holds conversions for microsoft.environment '{stored}', but the configuration says "
            f"'{environment}'; set it back, or name another file in storage.url"
        )
