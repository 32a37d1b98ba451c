"""What a move asks of each of its two sides: the tables as they are, rows by their key, transactions, sequences."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from sidecar.store.sql.connection import SqlConnection

Row = Sequence[Any]


@dataclass(frozen=True, slots=True)
class TableShape:
    """A table as its database has it. A row may lack the `optional` columns."""

    name: str
    columns: tuple[str, ...]
    optional: frozenset[str]
    key: tuple[str, ...]
    is_numbered: bool
    """The key is one number, which the database gives."""


class MoveEnd(Protocol):
    """One side of a move, opened for it alone."""

    @property
    def label(self) -> str:
        """The place as people name it, without a password."""

    @property
    def db(self) -> SqlConnection:
        """Its one connection."""

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What its database raises."""

    def shapes(self) -> Iterator[TableShape]:
        """Every table of the outbox, from the catalogue."""

    def transaction(self) -> AbstractContextManager[object]:
        """A transaction that is durable at the end; an error undoes it."""

    def append(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Insert these rows; part of a transaction."""

    def empty(self, tables: Sequence[str]) -> None:
        """Remove every row of these tables; part of a transaction."""

    def last_number(self, table: str) -> int:
        """The highest number that the table's sequence ever gave; 0 without one."""

    def set_last_number(self, table: str, number: int) -> None:
        """Let the table's sequence go on after that number; part of a transaction."""

    def drop_indexes(self, tables: Sequence[str]) -> list[str]:
        """Remove all indexes that are no constraints, and return the statements that make them; part of a transaction.

        Rows go in several times as fast, and an index over all rows at once is smaller.
        """

    def freeze(self, tables: Sequence[str]) -> None:
        """Let nothing else change these tables, until a sidecar starts here again; part of a transaction."""

    def make_ready(self) -> None:
        """Everything is there: let it last, and let the database know what it has."""

    def refuse_in_use(self) -> None:
        """OutboxRefused while a sidecar works with it."""
