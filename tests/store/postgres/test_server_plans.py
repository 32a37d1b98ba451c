"""Cost stays O(batch): the plan of every statement, as PostgreSQL's planner tells it where it need not read a table."""

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from adjusting_kit import wish
from conversion_kit import captured, conversion, orders
from instant_kit import HOUR, NOW, later
from outbox_kit import TAKEN, claimed, put, seqs_of
from statement_kit import statements
from store_kit import PostgresHouse

from sidecar.core.adjustment import ById
from sidecar.core.attribution import Deferral, WaitForClick
from sidecar.core.states_and_reasons import Reason
from sidecar.store.postgres.connection import bulk_text, translated
from sidecar.store.sql.connection import BulkStatement

STATEMENTS = statements()

LARGE = {"entries", "batches", "clicks"}

NUMBERS = {"now", "soon", "future", "retry", "click", "click_settle", "adjustment", "top", "limit", "lane", "again"}
"""Names of values whose type a statement does not show."""

# As if there were eight million rows, of which two wait.
MILLIONS = """
    UPDATE pg_class SET reltuples = reltuples * 2000
    WHERE relname IN ('entries', 'batches', 'clicks') OR relname LIKE ANY ('{entries_%,batches_%,clicks_%}')"""

WALKS = {
    # A slice ends by its own LIMIT, in the order of the table; of some the first row is enough.
    "pruning.PRUNE_BATCHES": "batches_pkey",
    "pruning.PRUNE_REQUESTS": "batches_pkey",
    "pruning.NOTE_FIRST": "entries_pkey",
    "figures.FIRST_RECEIVED": "entries_pkey",
    "row_lists.NEWEST": "entries_pkey",
    # The index has only what is asked for: few rows, or as many as a page may look through.
    "figures.OLDEST": "entries_age",
    "waiting_rows.FIRST_EXPIRY": "entries_age",
    "row_lists.PENDING": "entries_age",
    "row_lists.ADJUSTING": "entries_original",
    "row_lists.MANY_ADJUSTING": "entries_original",
    "adjustment_rows.ANY_WAITING": "entries_awaiting",
    "claiming.RELEASE_ENTRIES": "batches_open entries_batch",
    "claiming.RELEASE_BATCHES": "batches_open",
    "claiming.RELEASE_BATCHES_OF": "batches_open",
    "claiming.RELEASE_ENTRIES_OF": "batches_open entries_batch",
    "clock_bounds.BATCHES": "batches_open",
    "fixed_goals.KEEPING": "batches_open",
    "fixed_goals.UNKNOWN_IDS": "batches_unknown",
    # From the newest one backwards, as far as the clock was ahead.
    "clock_bounds.LAST_BEFORE": "clicks_pkey",
}
"""Statements that may go through an index from its one end."""


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[psycopg.Connection[Any]]:
    house = PostgresHouse(tmp_path)
    outbox = await house.open()
    for start in range(0, 4_000, 1_000):
        await put(outbox, *orders(1_000, start))
        await house.clicks.capture([captured(f"{start + one:032x}", visitor_id=f"v-{one}") for one in range(500)])
        for _ in range(20 if start < 3_000 else 0):
            await outbox.settle(await claimed(outbox, limit=50), {}, TAKEN, NOW)
    for number in range(10):
        await claimed(outbox, limit=20)
        waiting = conversion(f"WAITS-{number}", msclkid=None, visitor_id=f"v-{number}", account="other")
        [seq] = await seqs_of(outbox, waiting)
        await outbox.defer([Deferral(seq, WaitForClick(Reason.AWAITING_CLICK, later(HOUR)))], NOW)
        await outbox.adjust([wish("5", ById(3_001 + number, None))])
    await house.close()
    with psycopg.connect(house.url, autocommit=True) as connection:
        connection.execute("UPDATE batches SET account = 'account-' || id")
        connection.execute("ANALYZE; SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off")
        connection.execute(MILLIONS)
        yield connection
    await house.remove()


def plan(db: psycopg.Connection[Any], name: str) -> list[dict[str, Any]]:
    """The nodes of what PostgreSQL would do."""
    given = STATEMENTS[name]
    names: list[str] = []

    def place(found: re.Match[str]) -> str:
        value = found[1] or f"{len(names)} "  # one that has no name comes once
        if value not in names:
            names.append(value)
        return f"${names.index(value) + 1}"

    text = bulk_text(given) if isinstance(given, BulkStatement) else translated(given)
    text = re.sub(r"%\((\w+)\)s|%s", place, text).replace("%%", "%")
    types = [
        "bigint" if value in NUMBERS or (name == "intake.REPLACE" and value in ("23 ", "24 ")) else "unknown"
        for value in names
    ]
    header = f"({', '.join(types)})" if types else ""
    db.execute(f"PREPARE looked_at{header} AS {text}")  # type: ignore[call-overload]
    values = f"({', '.join('NULL' for _ in names)})" if names else ""
    [(found,)] = db.execute(f"EXPLAIN (FORMAT JSON) EXECUTE looked_at{values}").fetchall()  # type: ignore[call-overload]
    db.execute("DEALLOCATE looked_at")
    return list(nodes(found[0]["Plan"]))


def nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for inner in node.get("Plans", ()):
        yield from nodes(inner)


def walks(db: psycopg.Connection[Any], name: str) -> list[str]:
    """The large tables and the indexes of them that a statement goes through from one end."""
    found = []
    for node in plan(db, name):
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] in LARGE:
            found.append(node["Relation Name"])
        index = node.get("Index Name", "")
        if index.partition("_")[0] in LARGE and "Index Cond" not in node and node["Node Type"] != "Seq Scan":
            found.append(index)
    return found


async def test_no_statement_walks_through_all_entries_batches_or_clicks(db: psycopg.Connection[Any]) -> None:
    found = {name: [each for each in walks(db, name) if each not in WALKS.get(name, "").split()] for name in STATEMENTS}
    assert len(STATEMENTS) > 120
    assert {name: each for name, each in found.items() if each} == {}


async def test_statements_of_the_hot_paths_use_the_indexes_that_are_meant_for_them(db: psycopg.Connection[Any]) -> None:
    meant = {
        "due_rows.DUE": "entries_due",
        "due_rows.USED_SECONDS": "entries_identity",
        "waiting_rows.NEXT_DUE": "entries_due",
        "intake.FIND_KEYS": "entries_key",
        "claiming.OPEN_BATCH": "batches_open",
        "claiming.TAKE": "entries_pkey",
        "claiming.TAKE_CHOSEN": "entries_pkey",
        "settling.DELIVERED": "entries_batch",
        "settling.EXCEPTIONS": "entries_batch",
        "expiry.TOO_OLD": "entries_age",
        "adjustment_rows.OF_ORDER": "entries_key",
        "adjustment_rows.UNDER_KEY": "entries_adjustment_key",
        "adjustment_rows.WAITING": "entries_awaiting",
        "adjustment_rows.EARLIER": "entries_original",
        "clicks.DEFERRED": "entries_visitor",
        "clicks.SEEN": "clicks_visitor",
        "replaying.SLICE": "entries_ended",
        "pruning.PRUNE": "entries_pkey",
    }
    used = {name: {node.get("Index Name") for node in plan(db, name)} for name in meant}
    assert {name: used[name] for name, index in meant.items() if index not in used[name]} == {}
