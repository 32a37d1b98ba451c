"""PostgreSQL's connection as the statements need it."""

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import cache
from typing import Any

import psycopg

from sidecar.store.sql.connection import BulkStatement, Values
from sidecar.store.sql.dialects import Dialects

_PLACE = re.compile(r"'(?:[^']|'')*'|::|:([a-z_]+)|\?|%")
"""A literal, a cast, a named place, a place, a percent sign."""


class PostgresConnection:
    """Implements `store.sql.Connection` over psycopg.

    Nothing is prepared on the server, so that a pooler may give each transaction another connection to it
    (https://www.pgbouncer.org/features.html).
    """

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self.raw = connection

    def execute(self, statement: str, values: Values = (), /) -> psycopg.Cursor[tuple[Any, ...]]:
        return self.raw.execute(translated(statement), values, prepare=False)

    def executemany(self, statement: str, values: Iterable[Sequence[Any]], /) -> None:
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
        columns = map(_array, statement.types.split(), zip(*rows, strict=True))
        return self.raw.execute(bulk_text(statement), (*columns, *after), prepare=False)

    def expect_scattered(self, expected: bool) -> None:
        """PostgreSQL writes its pages back in the background."""


def _array(type_: str, values: Sequence[Any]) -> list[Any]:
    """The values of a column; large sums may be integers or floats, and an array has one type."""
    return list(map(Decimal, values)) if type_ == "numeric" else list(values)


@cache
def translated(statement: str) -> str:
    """The statement with psycopg's placeholders."""
    text = statement.postgres if isinstance(statement, Dialects) else statement
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
