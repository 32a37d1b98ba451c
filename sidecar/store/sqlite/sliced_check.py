"""A check of every row and its index entries, a thousand rows at a time, so that it can go on beside the work.

SQLite's integrity_check is one read, during which the write-ahead log cannot restart: beside a full load it grew to 300
MiB in ten seconds, and delivery ran at half its rate. Here each row is read whole, and looked up in every index that
should lead to it. A row that an index lacks may never be sent, or be stored twice. Surplus entries of an index are not
searched for: SQLite reports an entry without a row as damage when it follows it, and no statement ends or sends a row
by a stale entry. Unused pages, and what an operator added, are not checked either.
"""

import asyncio
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter

from sidecar.store.sqlite.database import Database

SLICE_ROWS = 1_000
"""Rows checked in one read, of some 3 ms. Smaller tables are checked as a whole."""

REST = 4
"""Seconds of rest for each second of work: a fifth of a core at most."""

_SMALL_CACHE = "PRAGMA cache_size = -1024"  # in KiB; 8 MiB were no quicker, and memory is what a small container lacks
_TABLES = """
    SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT GLOB '*[^a-z_]*'
        AND name <> 'sqlite_schema'
    ORDER BY name"""
_COLUMNS = "SELECT name FROM pragma_table_info(?)"
_ENDS = "SELECT (SELECT min(rowid) FROM {0} NOT INDEXED), (SELECT max(rowid) FROM {0} NOT INDEXED)"
_CHECK_TABLE = "PRAGMA integrity_check({})"

_MAX_DETAIL = 200
"""Characters of SQLite's report, which lists up to a hundred errors."""

_READ = "SELECT {lengths} FROM {table} NOT INDEXED WHERE rowid > ? AND rowid <= ?"

_INDEXES = "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL"
_INDEX = re.compile(r"CREATE (?:UNIQUE )?INDEX \w+ ON \w+ \((?P<keys>[a-z_0-9>, ]+)\)(?: WHERE (?P<which>.*))?")
"""As our schema writes them: columns, or one shifted."""

# What an index should lead to between two rowids, but does not.
_SEARCH = """
    SELECT wanted FROM (
        SELECT rowid AS wanted, {named} FROM {table} NOT INDEXED WHERE rowid > ? AND rowid <= ? AND ({which}))
    WHERE NOT EXISTS (SELECT 1 FROM {table} INDEXED BY {index} WHERE ({which}) AND {equal} AND rowid = wanted)
    LIMIT 1"""


@dataclass(frozen=True, slots=True)
class Table:
    """A large table: its first and last rowid, what reads rows between two rowids, and for each index its search."""

    name: str
    first: int
    last: int
    read: str
    searches: dict[str, str]


async def damage(database: Database) -> str | None:
    """The first damage found among the rows that are there now, in SQLite's words; None when there is none. Slow.

    sqlite3.Error when a page cannot be read.
    """
    await database.call(lambda db: db.execute(_SMALL_CACHE))
    small, large = await database.call(tables)
    for part in _parts(small, large):
        started = perf_counter()
        if (found := await database.call(part)) is not None:
            return found
        await asyncio.sleep(REST * (perf_counter() - started))
    return None


def _parts(small: Sequence[str], large: Sequence[Table]) -> Iterator[Callable[[sqlite3.Connection], str | None]]:
    """Each says what is wrong with its part."""
    for name in small:
        yield partial(_whole, name)
    for table in large:
        for after in range(table.first - 1, table.last, SLICE_ROWS):
            yield partial(_slice, table, after)


def tables(db: sqlite3.Connection) -> tuple[list[str], list[Table]]:
    """The tables that are checked as a whole, by name, and those that are cut into slices."""
    small: list[str] = []
    large: list[Table] = []
    for name, without_rowid in db.execute(_TABLES).fetchall():
        first, last = (1, 0) if without_rowid else db.execute(_ENDS.format(name)).fetchone()
        if first is None or last - first < SLICE_ROWS:
            small.append(name)
        else:
            large.append(_large(db, name, first, last))
    return small, large


def _large(db: sqlite3.Connection, name: str, first: int, last: int) -> Table:
    lengths = ", ".join(f'max(length("{column}"))' for (column,) in db.execute(_COLUMNS, (name,)))
    searches = {index: made for index, sql in db.execute(_INDEXES, (name,)) if (made := search(name, index, sql))}
    return Table(name, first, last, _READ.format(table=name, lengths=lengths), searches)


def search(table: str, index: str, sql: str) -> str | None:
    """What finds rows that the index made by `sql` should lead to, but does not; None where it is none of ours."""
    found = _INDEX.fullmatch(" ".join(sql.split()))
    if found is None:
        return None
    keys, which = found["keys"].split(", "), found["which"] or "TRUE"
    named = ", ".join(f"{key} AS key{place}" for place, key in enumerate(keys))
    equal = " AND ".join(f"{key} IS key{place}" for place, key in enumerate(keys))
    return _SEARCH.format(index=index, table=table, which=which, named=named, equal=equal)


def _whole(table: str, db: sqlite3.Connection) -> str | None:
    [verdict] = db.execute(_CHECK_TABLE.format(table)).fetchone()
    return None if verdict == "ok" else " ".join(str(verdict).split())[:_MAX_DETAIL]


def _slice(table: Table, after: int, db: sqlite3.Connection) -> str | None:
    between = (after, min(after + SLICE_ROWS, table.last))
    db.execute(table.read, between).fetchone()
    for index, lacking in table.searches.items():
        if row := db.execute(lacking, between).fetchone():
            return f"row {row[0]} missing from index {index}"
    return None
