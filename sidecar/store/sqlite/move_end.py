"""A file as one side of a move: owned and verified as for a start, on one connection of the calling thread."""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sidecar.ports.errors import OutboxRefused
from sidecar.store.moving.end import Row, TableShape
from sidecar.store.moving.row_pages import places, quoted
from sidecar.store.moving.table_digest import storable
from sidecar.store.sqlite.connection import SqliteConnection
from sidecar.store.sqlite.database import checkpoint, connect_writer, keep_schema
from sidecar.store.sqlite.integrity import LastCommit, last_commit, verified
from sidecar.store.sqlite.outbox_file import owned
from sidecar.store.sqlite.sqlite_errors import unusable

_TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY rowid"
_COLUMNS = 'SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info(?)'
_LAST_NUMBER = "SELECT seq FROM sqlite_sequence WHERE name = ?"
_HIGHEST = "SELECT coalesce(max(rowid), 0) FROM {}"
_IS_KEPT = "SELECT sql LIKE '%AUTOINCREMENT%' FROM sqlite_schema WHERE name = ?"


_INDEXES = "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL"


@dataclass(slots=True)
class SqliteMoveEnd:
    """Implements `moving.end.MoveEnd`.

    While rows come in, a commit need not outlast a power cut: what it notes of the progress goes with its rows.
    """

    label: str
    db: SqliteConnection
    last: LastCommit
    is_lasting: bool

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        return (sqlite3.Error,)

    def shapes(self) -> Iterator[TableShape]:
        for (name,) in self.db.execute(_TABLES).fetchall():
            yield _shape(name, self.db.execute(_COLUMNS, (name,)).fetchall())

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
            [number] = self.db.execute("UPDATE commits SET number = number + 1 RETURNING number").fetchone()
            self.db.execute("COMMIT")
        except BaseException:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise
        if self.is_lasting:
            self.last.note(number)

    def append(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        text = f"INSERT INTO {table} ({quoted(columns)}) VALUES ({places(columns)})"  # noqa: S608 - our names
        self.db.execute("SAVEPOINT page")
        try:
            self.db.executemany(text, rows)
        except (sqlite3.ProgrammingError, sqlite3.InterfaceError):  # it has no Decimal
            self.db.execute("ROLLBACK TO page")
            self.db.executemany(text, [[storable(value) for value in row] for row in rows])
        self.db.execute("RELEASE page")

    def empty(self, tables: Sequence[str]) -> None:
        for table in tables:
            self.db.execute(f"DELETE FROM {table}")  # noqa: S608 - our names
        self.db.execute("DELETE FROM sqlite_sequence")

    def last_number(self, table: str) -> int:
        found = self.db.execute(_LAST_NUMBER, (table,)).fetchone()
        return int((found or self.db.execute(_HIGHEST.format(table)).fetchone())[0])

    def set_last_number(self, table: str, number: int) -> None:
        if self.db.execute(_IS_KEPT, (table,)).fetchone()[0]:
            self.db.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
            self.db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, number))

    def drop_indexes(self, tables: Sequence[str]) -> list[str]:
        found = [index for table in tables for index in self.db.execute(_INDEXES, (table,)).fetchall()]
        for name, _ in found:
            self.db.execute(f"DROP INDEX {name}")
        return [text for _, text in found]

    def freeze(self, tables: Sequence[str]) -> None:
        """The lock of `owned` is held."""

    def make_ready(self) -> None:
        self.db.execute("PRAGMA synchronous = FULL")
        checkpoint(self.db)
        self.is_lasting = True

    def refuse_in_use(self) -> None:
        """The lock of `owned` is held."""


def _shape(name: str, columns: Sequence[Sequence[object]]) -> TableShape:
    keys = sorted((int(str(place)), str(column)) for column, _, _, _, place in columns if place)
    key = tuple(column for _, column in keys)
    kinds = {str(column): str(kind) for column, kind, *_ in columns}
    return TableShape(
        name=name,
        columns=tuple(kinds),
        optional=frozenset(str(column) for column, _, is_set, default, _ in columns if not is_set or default),
        key=key,
        is_numbered=len(key) == 1 and kinds[key[0]] == "INTEGER",
    )


@contextlib.contextmanager
def open_sqlite_end(path: Path, *, must_exist: bool) -> Iterator[SqliteMoveEnd]:
    """The outbox in the file `path`, for this process alone; OutboxRefused says why it cannot be."""
    if must_exist and not path.is_file():
        raise OutboxRefused(f"there is no outbox {path}: check the path, and from which folder this runs")
    with contextlib.ExitStack() as stack:
        path = stack.enter_context(owned(path))
        with verified(path):
            db = stack.enter_context(contextlib.closing(connect_writer(path)))
            try:
                keep_schema(db, path)
            except sqlite3.DatabaseError as error:
                raise unusable(path, error) from error
        last = stack.enter_context(last_commit(path))
        db.execute("PRAGMA temp_store = FILE")  # for the sorting of large indexes
        if not must_exist:
            db.execute("PRAGMA synchronous = NORMAL")
        yield SqliteMoveEnd(str(path), db, last, is_lasting=must_exist)
        checkpoint(db)
