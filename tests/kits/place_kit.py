"""Where the outbox of a whole sidecar lies: a file, or a database on the run's server; and looks at its tables.

`PLACES` has every kind. A test whose subject is behaviour takes the fixture `outbox_place`, and runs over each of them.
"""

import contextlib
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import postgres_kit
import psycopg
from psycopg.rows import dict_row
from store_kit import make_tables

from sidecar.store.postgres.connection import translated

Row = dict[str, Any]


class OutboxPlace(ABC):
    """The place of one outbox."""

    folder: Path
    """Where a test has its other files."""
    url: str
    """What `storage.url` says."""

    @abstractmethod
    def query(self, statement: str, values: Sequence[Any] | dict[str, Any] = ()) -> list[Row]:
        """The rows of a statement with SQLite's placeholders, as they are stored."""

    @abstractmethod
    def execute(self, statement: str, values: Sequence[Any] = ()) -> None:
        """Change what is stored, as no sidecar would."""

    @abstractmethod
    def clear(self) -> None:
        """As before the first start; no sidecar may have it."""

    @abstractmethod
    def end_leases(self) -> None:
        """As if as much time had passed at the server as a crashed replica's lease takes."""

    @abstractmethod
    def stored_bytes(self) -> bytes:
        """Everything that is stored, in which a test searches for what must not be."""

    @abstractmethod
    def disk_bytes(self) -> bytes:
        """The same, with what the disk has of it: also what was deleted, where that is not overwritten."""

    def scalar(self, statement: str, values: Sequence[Any] | dict[str, Any] = ()) -> Any:
        """The first column of the first row."""
        (first, *_) = self.query(statement, values)[0].values()
        return first


class FilePlace(OutboxPlace):
    """A file of SQLite's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = file = folder / "outbox.db"
        self.url = f"sqlite:///{file}"

    def query(self, statement: str, values: Sequence[Any] | dict[str, Any] = ()) -> list[Row]:
        with contextlib.closing(sqlite3.connect(self.file)) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(statement, values)]

    def execute(self, statement: str, values: Sequence[Any] = ()) -> None:
        with contextlib.closing(sqlite3.connect(self.file)) as db, db:
            db.execute(statement, values)

    def end_leases(self) -> None:
        """A file has no leases."""

    def clear(self) -> None:
        for left in self.file.parent.glob(f"{self.file.name}*"):
            left.unlink()

    def stored_bytes(self) -> bytes:
        return b"".join(path.read_bytes() for path in self.file.parent.glob(f"{self.file.name}*"))

    def disk_bytes(self) -> bytes:
        return self.stored_bytes()


class ServerPlace(OutboxPlace):
    """A database on the run's server, which other tests had before, and others will have."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self._open: psycopg.Connection[Row] | None = None

    @property
    def _db(self) -> psycopg.Connection[Row]:
        if self._open is None or self._open.closed:
            self._open = psycopg.connect(self.url, autocommit=True, row_factory=dict_row)
        return self._open

    def query(self, statement: str, values: Sequence[Any] | dict[str, Any] = ()) -> list[Row]:
        return list(self._db.execute(translated(statement).encode(), values or None, prepare=False))

    def execute(self, statement: str, values: Sequence[Any] = ()) -> None:
        self._db.execute(translated(statement).encode(), values or None, prepare=False)

    def clear(self) -> None:
        self.close()
        postgres_kit.restore(self.url)

    def end_leases(self) -> None:
        self.execute("UPDATE replicas SET alive_until = 0")

    def stored_bytes(self) -> bytes:
        tables = self.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        return "\n".join(
            str(row) for table in tables for row in self.query(f"SELECT t::text FROM {table['tablename']} AS t")
        ).encode()

    def disk_bytes(self) -> bytes:
        self.execute("CHECKPOINT")
        (number,) = self.query("SELECT oid FROM pg_database WHERE datname = current_database()")
        files = (postgres_kit.run_folder() / "data" / "base" / str(number["oid"])).iterdir()
        return b"".join([self.stored_bytes(), *(file.read_bytes() for file in files)])

    def close(self) -> None:
        if self._open is not None:
            self._open.close()


@contextlib.contextmanager
def file_place(folder: Path) -> Iterator[OutboxPlace]:
    """A file that does not exist yet."""
    yield FilePlace(folder)


@contextlib.contextmanager
def server_place(folder: Path) -> Iterator[OutboxPlace]:
    """A database without rows."""
    url = postgres_kit.database_with_tables(make_tables)
    with contextlib.closing(ServerPlace(folder, url)) as place:
        yield place
    postgres_kit.give_back(url)


PLACES: dict[str, Callable[[Path], contextlib.AbstractContextManager[OutboxPlace]]] = {"sqlite": file_place}
"""Every kind there is; a server's where one is installed."""

if postgres_kit.binaries() is not None:
    PLACES["postgres"] = server_place
