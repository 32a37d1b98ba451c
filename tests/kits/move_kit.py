"""Moves of an outbox between houses, and what must be equal on both sides after one."""

import asyncio
import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import psycopg
from instant_kit import NOW
from store_kit import HOUSES, House, PostgresHouse, added_up

from sidecar.store.moving.outbox_move import Watch
from sidecar.store.moving.report import MoveReport
from sidecar.store.opening import move

TABLES = (
    *("facts", "lanes", "entries", "batches", "requests", "counts", "journal", "secrets", "clicks", "catalogues"),
    *("goals", "erasures", "erasure_rows", "unstored", "match_shares", "tallies", "alerts", "verdicts", "sent_days"),
)
"""What an outbox is made of, in either database."""

MARKS = {"moving_to", "moved_to", "moving_from", "moved_from", "move_progress"}

WAYS = [(source, target) for source in HOUSES for target in HOUSES]
"""From each store to each."""


def house(kind: str, folder: Path) -> House:
    """An empty house of that kind."""
    return HOUSES[kind](folder)


async def moved(source: House, target: House, watch: Watch = lambda step, done, total: None) -> MoveReport:
    """Move the closed house `source` to `target`, as the command does: on a thread without an event loop."""
    return await asyncio.to_thread(move, source.url, target.url, lambda: NOW, watch)


def change(one: House, statement: str) -> None:
    """Carry out a statement in the database of a house, as another program would."""
    if isinstance(one, PostgresHouse):
        with psycopg.connect(one.url, autocommit=True) as server:
            server.execute(statement.encode())
    else:
        path = one.url.removeprefix("sqlite:///")
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as file:
            file.execute(statement)


async def contents(one: House) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table, without the marks of moves, in an order that does not depend on the database."""
    return {table: sorted(await _rows(one, table), key=_place) for table in TABLES}


async def indexes(one: House) -> set[str]:
    """The names of the indexes that are no constraints."""
    if isinstance(one, PostgresHouse):
        rows = await one.rows("pg_indexes WHERE schemaname = 'public'")
        return {row["indexname"] for row in rows if not row["indexname"].endswith(("_pkey", "_key"))} - {
            "changes_at",
            "tallies_apart",
        }
    return {row["name"] for row in await one.rows("sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")}


async def _rows(one: House, table: str) -> list[dict[str, Any]]:
    rows = await one.rows(table)
    if table in ("counts", "tallies"):
        return added_up(rows)
    return [row for row in rows if table != "facts" or row["name"] not in MARKS]


def _place(row: dict[str, Any]) -> str:
    return repr(sorted(row.items()))
