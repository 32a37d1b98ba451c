"""A check of every row and its index entries, a thousand rows at a time, so that it can go on beside the work.

SQLite's integrity_check is one read, during which the write-ahead log cannot restart: with half a million rows it grew
to 440 MiB beside one busy writer. Here each row is read whole, and looked up in every index that should lead to it. A
row that an index lacks may never be sent, or be stored twice. Surplus entries of an index are not searched for: SQLite
reports an entry without a row as damage when it follows it, and no statement ends or sends a row by a stale entry.
Unused pages, and what an operator added, are not checked either.
"""

import asyncio
import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from time import perf_counter

from sidecar.store.sqlite.database import Database

Check = Callable[[int, sqlite3.Connection], str | None]
"""What is wrong with the part of a table that begins after a rowid, if anything is."""

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


async def damage(database: Database) -> str | None:
    """The first damage found among the rows that are there now, in SQLite's words; None when there is none. Slow.

    sqlite3.Error when a page cannot be read.
    """
    await database.call(lambda db: db.execute(_SMALL_CACHE))
    for check, starts in await database.call(checks):
        for after in starts:
            started = perf_counter()
            if (found := await database.call(partial(check, after))) is not None:
                return found
            await asyncio.sleep(REST * (perf_counter() - started))
    return None


def checks(db: sqlite3.Connection) -> list[tuple[Check, Sequence[int]]]:
    """For each table its check, and the rowids after which its parts begin; a small table is one part."""
    found: list[tuple[Check, Sequence[int]]] = []
    for name, without_rowid in db.execute(_TABLES).fetchall():
        first, last = (1, 0) if without_rowid else db.execute(_ENDS.format(name)).fetchone()
        if first is None or last - first < SLICE_ROWS:
            found.append((partial(_whole, name), (0,)))
        else:
            check = partial(_slice, read(db, name), searches(db, name), last)
            found.append((check, range(first - 1, last, SLICE_ROWS)))
    return found


def read(db: sqlite3.Connection, table: str) -> str:
    """What reads every byte of the rows between two rowids."""
    lengths = ", ".join(f'max(length("{column}"))' for (column,) in db.execute(_COLUMNS, (table,)))
    return _READ.format(table=table, lengths=lengths)


def searches(db: sqlite3.Connection, table: str) -> dict[str, str]:
    """By index, what finds rows that it should lead to, but does not; indexes that are none of ours are left out."""
    return {index: made for index, sql in db.execute(_INDEXES, (table,)) if (made := search(table, index, sql))}


def search(table: str, index: str, sql: str) -> str | None:
    """What finds rows that the index made by `sql` should lead to, but does not; None where it is none of ours."""
    found = _INDEX.fullmatch(" ".join(sql.split()))
    if found is None:
        return None
    keys, which = found["keys"].split(", "), found["which"] or "TRUE"
    named = ", ".join(f"{key} AS key{place}" for place, key in enumerate(keys))
    equal = " AND ".join(f"{key} IS key{place}" for place, key in enumerate(keys))
    return _SEARCH.format(index=index, table=table, which=which, named=named, equal=equal)


def _whole(table: str, _: int, db: sqlite3.Connection) -> str | None:
    [verdict] = db.execute(_CHECK_TABLE.format(table)).fetchone()
    return None if verdict == "ok" else " ".join(str(verdict).split())[:_MAX_DETAIL]


def _slice(read: str, searches: Mapping[str, str], last: int, after: int, db: sqlite3.Connection) -> str | None:
    between = (after, min(after + SLICE_ROWS, last))
    db.execute(read, between).fetchone()
    for index, lacking in searches.items():
        if row := db.execute(lacking, between).fetchone():
            return f"row {row[0]} missing from index {index}"
    return None
