"""Whether each row is found by every index that should lead to it, a few rows at a time, beside the work.

A row that an index lacks may never be sent, or be stored twice. SQLite's integrity_check looks for that too, but in one
read: meanwhile the write-ahead log cannot begin anew. Beside a full load it grew to 300 MiB in ten seconds, and
delivery went at half its rate. An entry without a row needs no search: SQLite takes it for damage when it follows it.
"""

import asyncio
import re
import sqlite3
from dataclasses import dataclass
from functools import partial
from time import perf_counter

from sidecar.store.sqlite.database import Database

SLICE_ROWS = 1_000
"""Rows that are looked up in one read: some 3 ms."""

REST = 4
"""For each second of looking so many of rest: a fifth of a core at most."""

_INDEXES = "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY name"
_ENDS = "SELECT (SELECT min(rowid) FROM {0} NOT INDEXED), (SELECT max(rowid) FROM {0} NOT INDEXED)"
_SEARCH = """
    SELECT wanted FROM (
        SELECT rowid AS wanted, {named} FROM {table} NOT INDEXED WHERE rowid > ? AND rowid <= ? AND ({which}))
    WHERE NOT EXISTS (SELECT 1 FROM {table} INDEXED BY {index} WHERE ({which}) AND {equal} AND rowid = wanted)
    LIMIT 1"""
_INDEX = re.compile(r"CREATE (?:UNIQUE )?INDEX \w+ ON (?P<table>\w+) \((?P<keys>.*?)\)(?: WHERE (?P<which>.*))?")


@dataclass(frozen=True, slots=True)
class Lacking:
    """The first row that an index does not lead to."""

    table: str
    rowid: int
    index: str

    def __str__(self) -> str:
        return f"row {self.rowid} of {self.table} is missing from index {self.index}"


async def lacking(database: Database) -> Lacking | None:
    """The first row that is there now and that some index lacks; None when there is none. Takes its time."""
    for index in await database.call(_indexes):
        for after in range(index.first - 1, index.last, SLICE_ROWS):
            started = perf_counter()
            rowid = await database.call(partial(_first_lacking, index, after))
            if rowid is not None:
                return Lacking(index.table, rowid, index.name)
            await asyncio.sleep(REST * (perf_counter() - started))
    return None


@dataclass(frozen=True, slots=True)
class _Index:
    """An index, the first and last rowid of its table, and the `search` between two rowids for what it lacks."""

    name: str
    table: str
    first: int
    last: int
    search: str


def _indexes(db: sqlite3.Connection) -> list[_Index]:
    """The indexes of all tables that have rows."""
    found = [(name, *_search(name, sql)) for name, sql in db.execute(_INDEXES).fetchall()]
    ends = {table: db.execute(_ENDS.format(table)).fetchone() for _, table, _ in found}
    return [
        _Index(name, table, ends[table][0], ends[table][1], search)
        for name, table, search in found
        if ends[table][0] is not None
    ]


def _first_lacking(index: _Index, after: int, db: sqlite3.Connection) -> int | None:
    """The first row of a slice that the index lacks."""
    row = db.execute(index.search, (after, min(after + SLICE_ROWS, index.last))).fetchone()
    return row and int(row[0])


def _search(index: str, sql: str) -> tuple[str, str]:
    """An index's table, and what finds rows between two rowids that it should lead to, but does not."""
    found = _INDEX.fullmatch(" ".join(sql.split()))
    assert found is not None, f"an index of a form unknown here: {sql}"
    table, keys, which = found["table"], found["keys"].split(", "), found["which"] or "TRUE"
    named = ", ".join(f"{key} AS key{place}" for place, key in enumerate(keys))
    equal = " AND ".join(f"{key} IS key{place}" for place, key in enumerate(keys))
    return table, _SEARCH.format(index=index, table=table, which=which, named=named, equal=equal)
