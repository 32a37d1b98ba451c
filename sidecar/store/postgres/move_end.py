"""A database on a server as one side of a move, on one connection of the calling thread."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Loader

from sidecar.ports.errors import OutboxRefused
from sidecar.store.moving.end import Row, TableShape
from sidecar.store.moving.refusals import refuse_nul, stopped
from sidecar.store.moving.row_pages import quoted
from sidecar.store.postgres import migrations, transactions
from sidecar.store.postgres.connection import PostgresConnection
from sidecar.store.postgres.database import connect
from sidecar.store.postgres.move_fence import lower_fence, raise_fence
from sidecar.store.postgres.server_errors import refused
from sidecar.store.store_url import shown

# Every table of the schema that is in use, with its columns in order, and the place of each in the primary key.
_COLUMNS = """
    SELECT t.relname, c.attname, NOT c.attnotnull OR c.atthasdef OR c.attidentity <> '',
        coalesce(array_position(i.indkey::int2[], c.attnum), -1), c.attidentity <> ''
    FROM pg_class t
    JOIN pg_attribute c ON c.attrelid = t.oid AND c.attnum > 0 AND NOT c.attisdropped
    LEFT JOIN pg_index i ON i.indrelid = t.oid AND i.indisprimary
    WHERE t.relnamespace = current_schema()::regnamespace AND t.relkind IN ('r', 'p') AND NOT t.relispartition
    ORDER BY t.relname, c.attnum"""

_APART = "shard"
"""The column that sets apart what connections count, each by itself; nothing of it goes over."""

# Before that they are added up: a line of each state, and of each period.
_ADD_UP = (
    """
    WITH apart AS (DELETE FROM counts WHERE shard <> 0 RETURNING state, rows)
    INSERT INTO counts (state, shard, rows) SELECT state, 0, sum(rows) FROM apart GROUP BY state
    ON CONFLICT (state, shard) DO UPDATE SET rows = counts.rows + excluded.rows""",
    """
    WITH apart AS (DELETE FROM tallies WHERE shard <> 0 RETURNING at, lane, state, currency, rows, value, slowest)
    INSERT INTO tallies (at, lane, state, currency, rows, value, slowest, shard)
    SELECT at, lane, state, currency, sum(rows), sum(value), max(slowest), 0 FROM apart GROUP BY 1, 2, 3, 4
    ON CONFLICT (at, lane, state, currency, shard) DO UPDATE
    SET rows = tallies.rows + excluded.rows, value = tallies.value + excluded.value,
        slowest = greatest(tallies.slowest, excluded.slowest)""",
)

_SEQUENCE = "SELECT pg_get_serial_sequence(?, ?)"
_INDEXES = """
    SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid)
    FROM pg_index i
    WHERE i.indrelid = ANY(CAST(? AS regclass[]))
        AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = i.indexrelid)"""
_TOO_LARGE = 2**63
_LIVE = "SELECT count(*) FROM replicas WHERE alive_until > extract(epoch FROM clock_timestamp()) * 1000"


class _SumLoader(Loader):
    """A sum: an integer, as SQLite has it, unless it is beyond 63 bits."""

    def load(self, data: Buffer) -> int | Decimal:
        found = Decimal(bytes(data).decode())
        return int(found) if abs(found) < _TOO_LARGE else found


@dataclass(frozen=True, slots=True)
class PostgresMoveEnd:
    """Implements `moving.end.MoveEnd`."""

    label: str
    db: PostgresConnection

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        return (psycopg.Error,)

    def shapes(self) -> Iterator[TableShape]:
        tables: dict[str, list[Sequence[object]]] = {}
        for name, *column in self.db.execute(_COLUMNS).fetchall():
            if column[0] != _APART:
                tables.setdefault(name, []).append(column)
        for name, columns in tables.items():
            yield _shape(name, columns)

    def transaction(self) -> contextlib.AbstractContextManager[object]:
        return self.db.transaction()

    def append(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        text = f"COPY {table} ({quoted(columns)}) FROM STDIN"
        try:
            with self.db.raw.cursor() as cursor, cursor.copy(text.encode()) as copy:
                for row in rows:
                    copy.write_row(row)
        except psycopg.DataError as error:
            refuse_nul(table, columns, rows)
            raise stopped(error) from error

    def empty(self, tables: Sequence[str]) -> None:
        self.db.execute(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY")

    def last_number(self, table: str) -> int:
        sequence = self._sequence(table)
        last, is_called = self.db.execute(f"SELECT last_value, is_called FROM {sequence}").fetchone() or (0, False)  # noqa: S608 - our names
        return int(last) if is_called else 0

    def set_last_number(self, table: str, number: int) -> None:
        if number:
            self.db.execute("SELECT setval(CAST(? AS regclass), ?)", (self._sequence(table), number))

    def _sequence(self, table: str) -> str:
        [key] = next(shape.key for shape in self.shapes() if shape.name == table)
        [name] = self.db.execute(_SEQUENCE, (table, key)).fetchone() or ("",)
        return str(name)

    def drop_indexes(self, tables: Sequence[str]) -> list[str]:
        found = self.db.execute(_INDEXES, (list(tables),)).fetchall()
        for name, _ in found:
            self.db.execute(f"DROP INDEX {name}")
        return [text for _, text in found]

    def freeze(self, tables: Sequence[str]) -> None:
        lower_fence(self.db)  # of an earlier try; its lock lasts until the next one is there
        for statement in _ADD_UP:
            self.db.execute(statement)
        raise_fence(self.db, tables)

    def make_ready(self) -> None:
        self.db.execute("ANALYZE")

    def refuse_in_use(self) -> None:
        [replicas] = self.db.execute(_LIVE).fetchone() or (0,)
        if replicas:
            raise OutboxRefused(
                f"the outbox {self.label} is in use by {replicas} running replica(s): stop all of them, wait for "
                "15 seconds where one was killed, and run this again"
            )


def _shape(name: str, columns: Sequence[Sequence[object]]) -> TableShape:
    keys = sorted((int(str(place)), str(column)) for column, _, place, _ in columns if int(str(place)) >= 0)
    key = tuple(column for _, column in keys)
    return TableShape(
        name=name,
        columns=tuple(str(column) for column, *_ in columns),
        optional=frozenset(str(column) for column, is_optional, _, _ in columns if is_optional),
        key=key,
        is_numbered=len(key) == 1 and any(column == key[0] and is_given for column, _, _, is_given in columns),
    )


@contextlib.contextmanager
def open_postgres_end(url: str) -> Iterator[PostgresMoveEnd]:
    """The outbox on the server that `url` names; OutboxRefused says why it cannot be opened."""
    with contextlib.ExitStack() as stack:
        try:
            db = connect(url)
            db.begin = f"{db.begin}; {transactions.WITHOUT_LIMITS}"
            stack.callback(db.raw.close)
            db.raw.adapters.register_loader("numeric", _SumLoader)
            migrations.migrate(db, shown(url))
        except psycopg.Error as error:
            raise refused(error, url) from error
        yield PostgresMoveEnd(shown(url), db)
