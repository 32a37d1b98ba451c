"""Registered clicks. Without any, every well-formed click id counts as one of the calling account."""

import json
from collections.abc import Iterable
from sqlite3 import Connection

from sidecar.emulator.row_checks import Click


def add_click(db: Connection, click_id: str, account_id: str, clicked_at: int) -> None:
    """Registers a click of an account, at a time in Unix milliseconds."""
    db.execute("INSERT OR REPLACE INTO clicks VALUES (?, ?, ?)", (click_id, account_id, clicked_at))


def find_clicks(db: Connection, click_ids: Iterable[str]) -> dict[str, Click]:
    """The registered ones of these clicks, by click id."""
    if not db.execute("SELECT EXISTS (SELECT 1 FROM clicks)").fetchone()[0]:
        return {}
    statement = "SELECT * FROM clicks WHERE click_id IN (SELECT value FROM json_each(?))"
    return {row[0]: Click(row[1], row[2]) for row in db.execute(statement, (json.dumps(list(click_ids)),))}
