"""Rows by state, updated in the transactions that move them: nothing ever counts the table."""

import sqlite3
from collections.abc import Mapping

from sidecar.core.states_and_reasons import State
from sidecar.ports.queries import Counts

ADD = "UPDATE counts SET rows = rows + ? WHERE state = ?"
ALL = "SELECT state, rows FROM counts"


def count(db: sqlite3.Connection, changes: Mapping[State, int]) -> None:
    """Add `changes` to the numbers of rows by state; part of the caller's transaction."""
    db.executemany(ADD, [(change, state.value) for state, change in changes.items() if change])


def counts(db: sqlite3.Connection) -> Counts:
    """The numbers as the connection sees them now."""
    return Counts(**dict(db.execute(ALL)))
