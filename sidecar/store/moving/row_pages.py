"""Reading a whole table in pages by its primary key: bounded memory, and every page can be the first after a stop."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sidecar.store.moving.end import Row
from sidecar.store.sql.connection import SqlConnection

PAGE_ROWS = 4_000
"""Rows of one page, and of one transaction: some 15 MiB."""


@dataclass(frozen=True, slots=True)
class TablePages:
    """A table's rows in pages, without those whose first column of the key is one of `left_out`."""

    table: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    def after(self, db: SqlConnection, last: Sequence[Any] | None) -> Iterator[list[Row]]:
        """Each page of the rows whose key comes after `last`; from the first one on for None."""
        positions = [self.columns.index(column) for column in self.key]
        while page := self._page(db, last):
            yield page
            last = [page[-1][position] for position in positions]

    def key_of(self, row: Row) -> list[Any]:
        """The key of a row."""
        return [row[self.columns.index(column)] for column in self.key]

    def count(self, db: SqlConnection) -> int:
        """How many rows there are."""
        where, values = self._where(None)
        (found,) = db.execute(f"SELECT count(*) FROM {self.table}{where}", values).fetchone()  # noqa: S608 - our names
        return int(found)

    def _page(self, db: SqlConnection, last: Sequence[Any] | None) -> list[Row]:
        where, values = self._where(last)
        text = f"SELECT {quoted(self.columns)} FROM {self.table}{where} ORDER BY {quoted(self.key)} LIMIT ?"  # noqa: S608 - our names
        return db.execute(text, (*values, PAGE_ROWS)).fetchall()

    def _where(self, last: Sequence[Any] | None) -> tuple[str, tuple[Any, ...]]:
        terms, values = [], list(self.left_out)
        if self.left_out:
            terms.append(f"{quoted(self.key[:1])} NOT IN ({places(self.left_out)})")
        if last is not None:
            terms.append(f"({quoted(self.key)}) > ({places(last)})")
            values += last
        return (f" WHERE {' AND '.join(terms)}" if terms else ""), tuple(values)


def quoted(names: Sequence[str]) -> str:
    """Names of columns, some of which are words of SQL."""
    return ", ".join(f'"{name}"' for name in names)


def places(values: Sequence[Any]) -> str:
    """A place for each value."""
    return ", ".join("?" for _ in values)
