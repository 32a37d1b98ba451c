"""What statements need: a connection, a thread that reads, and a text for each of the two dialects."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from sidecar.store.committer import Committer

T = TypeVar("T")

Values = Sequence[Any] | Mapping[str, Any]
"""The values of a statement, in the order of its `?`, or by its `:name`."""


class Result(Protocol):
    """What a statement returned."""

    @property
    def rowcount(self) -> int:
        """How many rows it changed, or returned."""

    def fetchone(self) -> Any:
        """The next row; None after the last one."""

    def fetchall(self) -> list[Any]:
        """The other rows."""

    def __iter__(self) -> Iterator[Any]:
        """Each row."""


class SqlConnection(Protocol):
    """A connection, used by one thread. Outside a transaction each statement is one by itself."""

    def execute(self, statement: str, values: Any = (), /) -> Result:
        """Carry out one statement; of `Dialects` the text that the database speaks."""

    def executemany(self, statement: str, values: Iterable[Sequence[Any]], /) -> object:
        """Carry out one statement for each of these values: a few."""

    def execute_rows(
        self, statement: "BulkStatement", rows: Sequence[Sequence[Any]], after: Sequence[Any]
    ) -> list[Any]:
        """Carry it out for all `rows`, with the values of `after` behind them; what it returns, if it does."""

    def change_rows(self, statement: "BulkStatement", rows: Sequence[Sequence[Any]], after: Sequence[Any]) -> int:
        """Carry it out for all `rows`; how many rows of the table it changed."""

    def at_one_moment(self) -> AbstractContextManager[None]:
        """All that is read in the block shows the same moment; for a connection that only reads."""

    def hold(self, names: Iterable[str]) -> bool:
        """Keep others that hold one of these from going on until the commit; whether what was read may be old.

        A name is an account's, whose rows are changed only by who holds it, or that of anything else that goes one
        after another. Where one process owns the store, `names` is not looked at.
        """

    def hold_all(self) -> bool:
        """The same for every name there is, before any other."""

    def expect_scattered(self, expected: bool) -> None:
        """From the next commit on, changes lie all over the tables, or no longer do."""


@dataclass(frozen=True, slots=True, eq=False)
class BulkStatement:
    """A statement over a list of rows, which stands between `before` and `after`; `types` are those of its columns."""

    before: str
    types: str
    after: str = ""

    @property
    def columns(self) -> int:
        return len(self.types.split())

    def execute(self, db: SqlConnection, rows: Sequence[Sequence[Any]], after: Sequence[Any] = ()) -> list[Any]:
        """Carry it out for all `rows`, with the values of `after` behind them; what it returns, if it does."""
        return db.execute_rows(self, rows, after) if rows else []

    def change(self, db: SqlConnection, rows: Sequence[Sequence[Any]], after: Sequence[Any] = ()) -> int:
        """Carry it out for all `rows`; how many rows of the table it changed."""
        return db.change_rows(self, rows, after) if rows else 0


class Reader(Protocol):
    """A connection that only reads, on a thread of its own."""

    async def call(self, work: Callable[[SqlConnection], T]) -> T:
        """The result of `work(connection)`, run on that thread."""


Writer = Committer[Any, Any, Any]
"""The committer, over either database."""
