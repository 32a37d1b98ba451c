"""Statements over many rows: each row once and in order, for any number of rows."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.store.sql.connection import BulkStatement
from sidecar.store.sqlite.connection import SIZES, SqliteConnection

INSERT = BulkStatement("INSERT INTO things (number, name)", "bigint text")
DOUBLE = BulkStatement(
    "WITH wanted (number) AS (",
    "bigint",
    ") UPDATE things SET name = name || name FROM wanted WHERE things.number = wanted.number RETURNING things.number",
)


@pytest.fixture(scope="module")
def db() -> SqliteConnection:
    db = sqlite3.connect(":memory:", isolation_level=None, factory=SqliteConnection)
    db.execute("CREATE TABLE things (number INTEGER PRIMARY KEY, name TEXT)")
    return db


@given(st.integers(0, 700))
def test_every_row_is_written_once(db: SqliteConnection, rows: int) -> None:
    db.execute("DELETE FROM things")
    assert INSERT.execute(db, [(number, f"thing {number}") for number in range(rows)]) == []
    found = db.execute("SELECT number, name FROM things ORDER BY number").fetchall()
    assert found == [(number, f"thing {number}") for number in range(rows)]


def test_what_it_returns_comes_from_every_part(db: SqliteConnection) -> None:
    db.execute("DELETE FROM things")
    INSERT.execute(db, [(number, "x") for number in range(341)])
    returned = DOUBLE.execute(db, [(number,) for number in range(1_000)])
    assert sorted(returned) == [(number,) for number in range(341)]
    assert db.execute("SELECT count(*) FROM things WHERE name = 'xx'").fetchone() == (341,)


def test_a_thousand_rows_take_few_statements() -> None:
    """Each execution asks for the interpreter, which a busy event loop holds."""
    statements: list[str] = []
    db = sqlite3.connect(":memory:", isolation_level=None, factory=SqliteConnection)
    db.execute("CREATE TABLE things (number INTEGER PRIMARY KEY, name TEXT)")
    db.set_trace_callback(statements.append)
    INSERT.execute(db, [(number, "x") for number in range(1_000)])
    assert len(statements) <= 10
    assert max(SIZES) * 127 <= 32_766
