"""Rows by state, updated in the transactions that move them: nothing ever counts the table."""

from collections.abc import Mapping
from dataclasses import fields

from sidecar.core.states_and_reasons import State
from sidecar.ports.queries import Counts
from sidecar.store.sql.connection import SqlConnection
from sidecar.store.sql.dialects import Dialects, sql

ADD = Dialects(
    sqlite="UPDATE counts SET rows = rows + ? WHERE state = ?",
    postgres="""
        INSERT INTO counts (rows, state) VALUES (?, ?)
        ON CONFLICT (state, shard) DO UPDATE SET rows = counts.rows + excluded.rows""",
)

# One column for each, in the order of `Counts`.
EACH = ", ".join(f"(SELECT [all rows] FROM counts WHERE state = '{one.name}')" for one in fields(Counts))  # noqa: S608
ALL = sql(f"SELECT {EACH}")


def count(db: SqlConnection, changes: Mapping[State, int]) -> None:
    """Add `changes` to the numbers of rows by state; part of the caller's transaction."""
    for state, change in changes.items():
        if change:
            db.execute(ADD, (change, state.value))


def counts(db: SqlConnection) -> Counts:
    """The numbers as the connection sees them now."""
    return Counts(*db.execute(ALL).fetchone())
