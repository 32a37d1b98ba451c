"""Opening the file: one owner, file modes, settings, schema. Knows nothing of what the tables mean."""

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Self, TypeVar

import aiosqlite

from sidecar.core.start_errors import cannot_open
from sidecar.ports.errors import OutboxRefused

T = TypeVar("T")

APPLICATION_ID = 0x6D736164
"""Marks the file as ours for `file` and for us."""

SCHEMA: Traversable = resources.files("sidecar.store.sqlite") / "schema"
"""The steps of the schema, in the order of their names; one that was released never changes."""

_MAGIC = b"SQLite format 3\0"
"""How every SQLite file begins: https://www.sqlite.org/fileformat2.html#magic_header_string"""

_OLDEST_SQLITE = (3, 38)  # the ->> operator

# What is deleted is overwritten, so that an erasure need not look for what is long gone.
COPIED_PAGES = 1_000
"""Pages in the write-ahead log before they are copied back into the file.

Of 4,000 arrays took an eighth more CPU time, since the log did not stay in the processor's cache.
"""

# The cache (16 MiB) holds the key index of some hundred thousand rows, which every arrival touches at random places.
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
    PRAGMA cache_size = -16384;
    PRAGMA journal_size_limit = 67108864;
    PRAGMA wal_autocheckpoint = {COPIED_PAGES};
"""
# Readers' caches (8 MiB each) hold the inner pages of the index and table of ten million clicks.
_READER_SETTINGS = """
    PRAGMA query_only = ON;
    PRAGMA busy_timeout = 5000;
    PRAGMA trusted_schema = OFF;
    PRAGMA cache_size = -8192;
"""


class Database(aiosqlite.Connection):
    """A connection on its own thread that runs whole functions there.

    A transaction in one hop cannot be cut in two by a cancelled task, and pays one thread switch instead of one a
    statement. Statements never pass through aiosqlite's debug log, which would print their parameters.
    """

    on_damage: Callable[[Exception], None] = staticmethod(lambda error: None)
    """Called when the file turns out to be damaged."""

    async def call(self, work: Callable[[sqlite3.Connection], T]) -> T:
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


def code_of(error: Exception) -> int:
    """SQLite's extended code; 0 where it is no error of its own."""
    return getattr(error, "sqlite_errorcode", None) or 0


def is_damage(error: Exception) -> bool:
    """Whether SQLite met something in the file that should not be there."""
    return code_of(error) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


@contextlib.contextmanager
def owned(path: Path) -> Iterator[Path]:
    """Hold the lock beside the file that `path` leads to, and give that file; OutboxRefused names another holder.

    A file of its own: closing any handle of the database itself would drop POSIX locks that SQLite relies on.
    """
    path = Path(os.path.realpath(path))
    try:
        _make_folder(path.parent)
        handle = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise not_opened(path, error) from error
    try:
        _lock(handle, path)
        yield path
    finally:
        os.close(handle)


def _make_folder(folder: Path) -> None:
    """Create it and its parents, with names that outlast a power cut."""
    new = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for one in new:
        fsync(one.parent)


def fsync(path: Path) -> None:
    """Make a file's content, or the names in a folder, last."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def not_opened(path: Path, error: OSError) -> OutboxRefused:
    """An error of the system about the outbox's files or folder, for an operator."""
    return OutboxRefused(cannot_open("the outbox", path, error))


def _lock(handle: int, path: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        owner = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
        raise OutboxRefused(
            f"the outbox {path} is in use by another sidecar (process {owner}), and one process owns one outbox: stop "
            "that one, or give this one another storage.url"
        ) from None
    try:
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
    except OSError as error:
        raise not_opened(path, error) from error


@contextlib.asynccontextmanager
async def writer(path: Path, environment: str) -> AsyncIterator[Database]:
    """The one connection that writes, with the newest schema; OutboxRefused when the file is not for us.

    A file that exists must have been claimed before.
    """
    _claim_new(path)
    database = _connection(f"file:{quoted(path)}?mode=rw")
    async with database:
        try:
            await database.call(lambda db: _prepare(db, path, environment))
        except sqlite3.DatabaseError as error:
            raise unusable(path, error) from error
        yield database
        await database.call(_checkpoint)


def unusable(path: Path, error: sqlite3.DatabaseError) -> OutboxRefused:
    """An error of SQLite's at the start, for an operator. Most of them are not about the content of the file."""
    match code_of(error) & 0xFF:
        case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR:
            fix = "most likely the disk is full: make room there, or look at the disk (`dmesg`), and start again"
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            fix = "another program has it open, such as a shell of sqlite3 or a backup: end that, and start again"
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            fix = (
                "give the user of this process the right to read and write it, the files beside it and their folder, "
                "or name another file in storage.url"
            )
        case _:
            fix = f"keep a copy, try `sqlite3 {path} .recover`, or name another file in storage.url"
    return OutboxRefused(f"the outbox {path} cannot be opened: {error}; it was left as it is; {fix}")


def copy_back_each(db: sqlite3.Connection, pages: int) -> None:
    """From the next commit on, copy the log back into the file whenever it has that many pages."""
    db.execute(f"PRAGMA wal_autocheckpoint = {pages}").fetchall()


def _checkpoint(db: sqlite3.Connection) -> None:
    """Move the log into the file, unless there is no room: then the next start does it."""
    with contextlib.suppress(sqlite3.OperationalError):
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _claim_new(path: Path) -> None:
    if not path.exists():
        claim_file(path)


def claim_file(path: Path) -> None:
    """Create the file, if it is missing, before SQLite does: with mode 0600, which -wal and -shm inherit.

    SQLite takes a file of a few bytes for an empty database and overwrites it, hence the look at its content. No
    connection to it may be open: closing any handle of a file ends every POSIX lock of this process on it. Another
    program that then closes the file takes itself for the last one and deletes the write-ahead log
    (https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_).
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        fsync(path.parent)
        if path.stat().st_nlink > 1:
            raise OutboxRefused(
                f"the outbox {path} has a second name (a hard link), by which another sidecar could open it unnoticed. "
                "Remove the other name, or name another file in storage.url"
            )
        usable = is_database(path) or not path.stat().st_size
    except OSError as error:
        raise not_opened(path, error) from error
    if not usable:
        raise OutboxRefused(f"{path} is no SQLite database: name another file in storage.url; it was left as it is")


def is_database(path: Path) -> bool:
    """Whether it is a file that begins like one of SQLite's."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


@contextlib.asynccontextmanager
async def reader(path: Path) -> AsyncIterator[Database]:
    """A connection that cannot write and never checkpoints."""
    async with _connection(f"file:{quoted(path)}?mode=ro") as database:
        await database.call(lambda db: db.executescript(_READER_SETTINGS))
        yield database


def _connection(uri: str) -> Database:
    def connect() -> sqlite3.Connection:
        return sqlite3.connect(uri, uri=True, isolation_level=None)

    return Database(connect, iter_chunk_size=1000)


def quoted(path: Path) -> str:
    """The path in the form of an SQLite URI."""
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _prepare(db: sqlite3.Connection, path: Path, environment: str) -> None:
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise OutboxRefused(
            f"this Python has SQLite {sqlite3.sqlite_version}, and 3.38 or newer is needed: take a newer Python"
        )
    refuse_foreign(db, path)
    _refuse_newer(db, path)
    if _schema_version(db) == 0:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # only a new file takes it: room to shrink one day
    db.executescript(_WRITER_SETTINGS)
    _refuse_without_wal(db, path)
    _migrate(db)
    _pin_environment(db, path, environment)


def refuse_foreign(db: sqlite3.Connection, path: Path) -> None:
    """OutboxRefused for a database that some other program made."""
    application_id = db.execute("PRAGMA application_id").fetchone()[0]
    is_empty = db.execute("SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)").fetchone()[0]
    if application_id != APPLICATION_ID and not is_empty:
        raise OutboxRefused(f"{path} is a database of another program; name another file in storage.url")


def _refuse_newer(db: sqlite3.Connection, path: Path) -> None:
    version, known = _schema_version(db), len(_schema_steps())
    if version > known:
        raise OutboxRefused(
            f"the outbox {path} was written by a newer version of the sidecar (schema {version}, this one knows "
            f"{known}); run that version, or name another file in storage.url"
        )


def _refuse_without_wal(db: sqlite3.Connection, path: Path) -> None:
    """SQLite stays silently with another journal where it cannot share memory, as on network file systems."""
    mode = db.execute("PRAGMA journal_mode").fetchone()[0]
    if mode != "wal":
        raise OutboxRefused(
            f"the outbox {path} lies where SQLite cannot keep a write-ahead log (journal mode {mode}): put it on a "
            "local disk, and name it in storage.url"
        )


def _migrate(db: sqlite3.Connection) -> None:
    """Bring the schema up to date, one committed step at a time.

    A new index over millions of rows is sorted in temporary files, for a small container has no memory for it; in
    memory all the same where there is no folder for them.
    """
    version, steps = _schema_version(db), _schema_steps()
    for number, script in enumerate(steps[version:], start=version + 1):
        step = f"{script}\nPRAGMA application_id = {APPLICATION_ID};\nPRAGMA user_version = {number};"
        try:
            _carry_out(db, step, "FILE")
        except sqlite3.OperationalError as error:
            if code_of(error) & 0xFF != sqlite3.SQLITE_CANTOPEN:
                raise
            _carry_out(db, step, "MEMORY")


def _carry_out(db: sqlite3.Connection, step: str, temp_store: str) -> None:
    """One step of the schema in one transaction; as it was when it failed."""
    db.execute(f"PRAGMA temp_store = {temp_store}")
    try:
        db.executescript(f"BEGIN IMMEDIATE;\n{step}\nCOMMIT;")
    except sqlite3.Error:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    finally:
        db.execute("PRAGMA temp_store = MEMORY")


def _schema_version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _schema_steps() -> list[str]:
    files = sorted((file for file in SCHEMA.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return [file.read_text() for file in files]


def _pin_environment(db: sqlite3.Connection, path: Path, environment: str) -> None:
    """Tie the file to one environment: rows for the emulator must never reach real accounts, nor the reverse."""
    db.execute("INSERT OR IGNORE INTO facts VALUES ('environment', ?)", (environment,))
    stored = db.execute("SELECT value FROM facts WHERE name = 'environment'").fetchone()[0]
    if stored != environment:
        raise OutboxRefused(
            f"the outbox {path} holds conversions for microsoft.environment '{stored}', but the configuration says "
            f"'{environment}'; set it back, or name another file in storage.url"
        )
