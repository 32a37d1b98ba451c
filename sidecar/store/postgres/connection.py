"""PostgreSQL's connection as the statements need it."""

import contextlib
import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from functools import cache
from typing import Any

import psycopg
from psycopg.errors import Diagnostic
from psycopg.pq import TransactionStatus

from sidecar.store.postgres.holds import Holds
from sidecar.store.sql.connection import BulkStatement, Values
from sidecar.store.sql.dialects import Dialects

_PLACE = re.compile(r"'(?:[^']|'')*'|::|:([a-z_]+)|\?|%")
"""A literal, a cast, a named place, a place, a percent sign."""


class CommitInDoubt(psycopg.OperationalError):
    """A transaction may be lost with the server, although it has ended there."""


class PostgresConnection:
    """Implements `store.sql.Connection` over psycopg.

    Nothing is prepared on the server, so that a pooler may give each transaction another connection to it
    (https://www.pgbouncer.org/features.html).
    """

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]], begin: str = "BEGIN") -> None:
        self.raw = connection
        self.holds = Holds(connection)
        self.begin = begin
        """Begins a transaction, with the settings that hold in it."""
        self.has_begun = False
        """Whether the server may have carried out anything since this was last set to False."""
        self._warnings: list[str] = []
        connection.add_notice_handler(self._note)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the block in a transaction that is durable afterwards; an error undoes it.

        CommitInDoubt when the server ended it otherwise than by a commit that its standby has too.
        """
        try:
            self.raw.execute(self.begin.encode())
            self.has_begun = True
            yield
        except BaseException:
            self._roll_back()
            raise
        self._commit()

    def _commit(self) -> None:
        self._warnings.clear()
        ended = self.raw.execute(b"COMMIT").statusmessage
        if ended != "COMMIT" or self._warnings:
            raise CommitInDoubt("; ".join(self._warnings) or f"the server answered {ended} to COMMIT")

    def _roll_back(self) -> None:
        with contextlib.suppress(psycopg.Error):  # a connection that is lost has no transaction any more
            if self.raw.info.transaction_status != TransactionStatus.IDLE:
                self.raw.execute(b"ROLLBACK")

    def _note(self, notice: Diagnostic) -> None:
        """A server that no longer waits for its standby, since it was asked to stop waiting, says so and commits.

        https://www.postgresql.org/docs/current/warm-standby.html#SYNCHRONOUS-REPLICATION
        """
        if notice.severity_nonlocalized == "WARNING":
            self._warnings.append(notice.message_primary or "a warning without words")

    def execute(self, statement: str, values: Values = (), /) -> psycopg.Cursor[tuple[Any, ...]]:
        self.has_begun = True
        return self.raw.execute(translated(statement), values, prepare=False)

    def executemany(self, statement: str, values: Iterable[Sequence[Any]], /) -> None:
        self.has_begun = True
        with self.raw.cursor() as cursor:
            cursor.executemany(translated(statement), values)

    def execute_rows(self, statement: BulkStatement, rows: Sequence[Sequence[Any]], after: Sequence[Any]) -> list[Any]:
        cursor = self._execute_rows(statement, rows, after)
        return cursor.fetchall() if cursor.description else []

    def change_rows(self, statement: BulkStatement, rows: Sequence[Sequence[Any]], after: Sequence[Any]) -> int:
        return self._execute_rows(statement, rows, after).rowcount

    def _execute_rows(
        self, statement: BulkStatement, rows: Sequence[Sequence[Any]], after: Sequence[Any]
    ) -> psycopg.Cursor[tuple[Any, ...]]:
        self.has_begun = True
        columns = map(_array, statement.types.split(), zip(*rows, strict=True))
        return self.raw.execute(bulk_text(statement), (*columns, *after), prepare=False)

    @contextlib.contextmanager
    def at_one_moment(self) -> Iterator[None]:
        """Each call of a connection that only reads is a transaction that sees one moment."""
        yield

    def hold(self, names: Iterable[str]) -> bool:
        return self.holds.hold(names)

    def hold_all(self) -> bool:
        return self.holds.hold_all()

    def expect_scattered(self, expected: bool) -> None:
        """PostgreSQL writes its pages back in the background."""


def _array(type_: str, values: Sequence[Any]) -> list[Any]:
    """The values of a column; large sums may be integers or floats, and an array has one type."""
    return list(map(Decimal, values)) if type_ == "numeric" else list(values)


def translated(statement: str) -> str:
    """The statement with psycopg's placeholders."""
    return _translated(statement.postgres if isinstance(statement, Dialects) else statement)


@cache
def _translated(text: str) -> str:
    return _PLACE.sub(_placeholder, text)


def _placeholder(found: re.Match[str]) -> str:
    text = found.group()
    if name := found.group(1):
        return f"%({name})s"
    return "%s" if text == "?" else text.replace("%", "%%")


@cache
def bulk_text(statement: BulkStatement) -> str:
    """The statement over rows that are given by column, an array each: one text for any number of them."""
    arrays = ", ".join(f"CAST(%s AS {name}[])" for name in statement.types.split())
    before, after = translated(statement.before), translated(statement.after)
    return f"{before} SELECT * FROM unnest({arrays}) {after}"  # noqa: S608 - constants only
