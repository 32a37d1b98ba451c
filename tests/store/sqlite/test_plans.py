"""Cost stays O(batch): the plan of every statement, as SQLite's planner tells it."""

import re
import sqlite3
from importlib import resources

import pytest
from statement_kit import statements

from sidecar.store.sql.connection import BulkStatement
from sidecar.store.sqlite.connection import bulk_text

STATEMENTS = {
    name: bulk_text(text, 4) if isinstance(text, BulkStatement) else text for name, text in statements().items()
}

OPEN_BATCHES_ONLY = "SCAN batches USING INDEX batches_open"
"""At a start: the index holds the batches that are not settled, and no others."""

BOUNDED = {
    # From the newest one backwards, as far as the clock was ahead.
    "clock_bounds.LAST_BEFORE": "SCAN clicks",
    # The slice that it looks at ends by its own LIMIT, in the order of the table.
    "pruning.PRUNE_BATCHES": "SCAN batches",
    "pruning.PRUNE_REQUESTS": "SCAN batches",
    # The first row of the table is enough.
    "pruning.NOTE_FIRST": "SCAN entries",
    "figures.FIRST_RECEIVED": "SCAN entries",
    # The index has the rows in the order of their times, and a thousand are enough.
    "figures.OLDEST": "SCAN entries USING INDEX entries_age",
    # The first row that it finds is enough, and the index holds those that wait and no others.
    "adjustment_rows.ANY_WAITING": "SCAN entries USING INDEX entries_awaiting",
    # The index holds batches of a time before their account at Microsoft was noted, mostly none.
    "fixed_goals.UNKNOWN_IDS": "SCAN batches USING INDEX batches_unknown",
    # Used only where no more rows wait than a page may look through.
    "row_lists.PENDING": "SCAN entries USING INDEX entries_age",
}

LIST_OF_VALUES = re.compile(r"(MATERIALIZE|CO-ROUTINE) wanted|SCAN \d+ CONSTANT ROWS|SCAN CONSTANT ROW")
"""How the planner tells of bound values, before it walks through them."""

SORTS_A_FEW = {
    # The rows of one order id, over all accounts and events.
    "row_lists.BY_KEYS",
    "row_lists.ADJUSTMENTS_BY_KEYS",
    # The accounts of the given rows, each once.
    "account_holds.OF_ROWS",
    "account_holds.OF_ORDERS",
    # Accounts with rows that keep their goal, each once: as many as there are lanes and open batches.
    "fixed_goals.KEEPING",
    # The batches that the given rows were in, each once.
    "erasure_rows.REDACT_REQUESTS",
    # The open batches of an account.
    "fixed_goals.IN_BATCHES",
    "fixed_goals.ELSEWHERE_IN_BATCHES",
    # A bounded number of rows.
    "fixed_goals.ELSEWHERE",
    "figures.NOT_DUE",
    "figures.AGAIN",
    "figures.IN_BATCHES",
    "figures.OLDEST",
    # As many as there are lanes, states and currencies, for each hour of a period.
    "tallies.SINCE",
    "tallies.BY_PERIOD",
    # As many as there are goals and days; of two tables, a page of each.
    "verdicts.FIND",
    "verdicts.FIND_OF_GOAL",
    "verdicts.SUM_SENT",
}


class Anything(dict[str, None]):
    """Gives every parameter of a statement as NULL: plans do not depend on values."""

    def __missing__(self, name: str) -> None:
        return None


@pytest.fixture(scope="module")
def database() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:")
    for step in sorted((resources.files("sidecar.store.sqlite") / "schema").iterdir(), key=lambda file: file.name):
        db.executescript(step.read_text())
    return db


def plan(db: sqlite3.Connection, statement: str) -> list[str]:
    """What SQLite would do, a line each."""
    given = Anything() if re.search(r":[a-z]", statement) else [None] * statement.count("?")
    return [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}", given)]


def test_all_statements_are_looked_at() -> None:
    assert len(STATEMENTS) > 40
    assert {"due_rows.DUE", "claiming.TAKE", "intake.INSERT", "intake.FIND_KEYS", "pruning.PRUNE"} <= set(STATEMENTS)


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_statement_walks_through_all_entries_or_batches(database: sqlite3.Connection, name: str) -> None:
    scans = [
        line for line in plan(database, STATEMENTS[name]) if re.match(r"SCAN (entries|batches|clicks|e|b|c)\b", line)
    ]
    allowed = {OPEN_BATCHES_ONLY, BOUNDED.get(name)}
    assert [line for line in scans if line not in allowed] == []


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_statement_sorts_what_an_index_has_in_order(database: sqlite3.Connection, name: str) -> None:
    sorts = [line for line in plan(database, STATEMENTS[name]) if "TEMP B-TREE" in line]
    assert bool(sorts) == (name in SORTS_A_FEW)


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_json_list_is_walked_through_once_for_every_row(database: sqlite3.Connection, name: str) -> None:
    """A list of a thousand rows beside a batch of a thousand rows would be a million steps."""
    lines = [line for line in plan(database, STATEMENTS[name]) if not LIST_OF_VALUES.match(line)]
    joined = [line for line in lines if line.startswith(("SCAN wanted", "SCAN step"))]
    assert joined == [] or lines[0] == joined[0]
    assert not any("CORRELATED LIST" in line for line in lines)


def test_indexes_of_the_hot_paths_are_the_ones_meant_for_them(database: sqlite3.Connection) -> None:
    meant = {
        "due_rows.DUE": "SEARCH entries USING INDEX entries_due (lane=? AND again=? AND due_at<?)",
        "waiting_rows.NEXT_DUE": "SEARCH entries USING INDEX entries_due (lane=? AND again=?)",
        "waiting_rows.FIRST_EXPIRY": "SEARCH entries USING INDEX entries_age",
        "intake.FIND_KEYS": "SEARCH e USING INDEX entries_key (key_hash=?)",
        "due_rows.USED_SECONDS": "SEARCH e USING COVERING INDEX entries_identity "
        "(<expr>=? AND identity=? AND sent_time>? AND sent_time<?)",
        "claiming.OPEN_BATCH": "SEARCH batches USING INDEX batches_open (account=? AND due_at<?)",
        "settling.DELIVERED": "SEARCH entries USING INDEX entries_batch (batch_id=?)",
        "settling.EXCEPTIONS": "SEARCH entries USING INTEGER PRIMARY KEY (rowid=?)",
        "claiming.TAKE": "SEARCH entries USING INTEGER PRIMARY KEY (rowid=?)",
        "claiming.TAKE_CHOSEN": "SEARCH entries USING INTEGER PRIMARY KEY (rowid=?)",
        "expiry.TOO_OLD": "SEARCH e USING INDEX entries_age (time<?)",
        "adjustment_rows.OF_ORDER": "SEARCH e USING INDEX entries_key (key_hash=?)",
        "adjustment_rows.UNDER_KEY": "SEARCH entries USING INDEX entries_key (key_hash=?)",
        "adjustment_rows.ANY_WAITING": "SCAN entries USING INDEX entries_awaiting",
        "adjustment_rows.WAITING": "SEARCH w USING INDEX entries_awaiting (original=?)",
        "adjustment_rows.EARLIER": "SEARCH e USING INDEX entries_original (original=?)",
        "adjustment_rows.OF_BATCH": "SEARCH entries USING INDEX entries_batch (batch_id=?)",
        "row_lists.ADJUSTING": "SEARCH entries USING COVERING INDEX entries_original (original>?)",
        "row_lists.MANY_ADJUSTING": "SEARCH entries USING COVERING INDEX entries_original (original>?)",
        "row_lists.ADJUSTMENTS_BY_KEYS": "SEARCH e USING INDEX entries_original (original=?)",
        "row_lists.PENDING": "SEARCH e USING INTEGER PRIMARY KEY (rowid=?)",
        "row_lists.ADJUSTMENTS": "SEARCH e USING INDEX entries_original (original=?)",
        "verdicts.READ_OF": "SEARCH verdicts USING PRIMARY KEY (account=?)",
        "verdicts.BEFORE": "SEARCH verdicts USING PRIMARY KEY (account=? AND goal=? AND day=?)",
        "verdicts.FIND": "SEARCH verdicts USING COVERING INDEX verdicts_day (day>? AND day<?)",
        "verdicts.FIND_OF_GOAL": "SEARCH sent_days USING PRIMARY KEY (account=? AND goal=? AND day>? AND day<?)",
        "verdicts.FORGET_READ": "SEARCH verdicts USING COVERING INDEX verdicts_day (day<?)",
        "verdicts.FORGET_SENT": "SEARCH sent_days USING COVERING INDEX sent_days_day (day<?)",
        "clicks.DEFERRED": "SEARCH e USING INDEX entries_visitor (visitor=? AND time>?)",
        "clicks.SEEN": "SEARCH clicks USING INDEX clicks_visitor (visitor=? AND clicked_at<?)",
        "clicks.ASIDE": "SEARCH c USING INDEX clicks_visitor (visitor=? AND clicked_at>? AND clicked_at<?)",
        "clicks.PRUNE": "SEARCH clicks USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
        "clicks.PRUNE_LATE": "SEARCH clicks USING INDEX clicks_late (clicked_at<?)",
        "replaying.SLICE": "SEARCH entries USING COVERING INDEX entries_ended (state=? AND seq>?)",
        "replaying.FITTING": "SEARCH entries USING INDEX entries_ended (state=? AND seq>? AND seq<?)",
        "replaying.REPLAY": "SEARCH entries USING INTEGER PRIMARY KEY (rowid=?)",
        "replaying.DISCARD": "SEARCH entries USING INTEGER PRIMARY KEY (rowid=?)",
        "pruning.PRUNE": "SEARCH entries USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
    }
    assert {name: line for name, line in meant.items() if line not in plan(database, STATEMENTS[name])} == {}


def test_no_index_condition_is_a_list_of_which_sqlite_makes_a_table_for_each_written_row(
    database: sqlite3.Connection,
) -> None:
    conditions = [sql for (sql,) in database.execute("SELECT sql FROM sqlite_schema WHERE sql LIKE '%INDEX%WHERE%'")]
    assert len(conditions) > 10
    assert [sql for sql in conditions if " IN " in sql.upper()] == []
