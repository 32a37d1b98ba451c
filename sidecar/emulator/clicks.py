"""Stores registered clicks, and the settings by which conversions find them."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from sqlite3 import Connection

from sidecar.emulator.attribution import Attribution, KnownClicks
from sidecar.emulator.row_checks import Click
from sidecar.emulator.row_fields import Conversion

_PUT_MATCHES = (
    "INSERT OR REPLACE INTO click_matches SELECT item.value ->> 0, item.value ->> 1 FROM json_each(?) AS item"
)

_BY_ID = """
    SELECT click_id, account_id, clicked_at, reason FROM clicks LEFT JOIN click_reasons USING (click_id)
    WHERE click_id IN (SELECT value FROM json_each(?))
"""

_BY_HASH = """
    SELECT hash, account_id, clicked_at, reason
    FROM click_matches JOIN clicks USING (click_id) LEFT JOIN click_reasons USING (click_id)
    WHERE hash IN (SELECT value FROM json_each(?)) ORDER BY clicked_at DESC
"""


@dataclass(frozen=True, slots=True)
class RegisteredClick:
    """A click as the control gives it."""

    click_id: str
    account_id: str
    clicked_at: int
    reason: str | None = None
    """Why its conversions do not count, before all other rules."""
    hashes: tuple[str, ...] = ()
    """Hashed e-mails and phones that lead to it."""


def add_click(db: Connection, click_id: str, account_id: str, clicked_at: int) -> None:
    """Registers a click of an account, at a time in Unix milliseconds."""
    add_clicks(db, [RegisteredClick(click_id, account_id, clicked_at)])


def add_clicks(db: Connection, clicks: Sequence[RegisteredClick]) -> None:
    """Registers clicks; one of a known click id replaces it."""
    named = [(click.click_id,) for click in clicks]
    rows = [(click.click_id, click.account_id, click.clicked_at) for click in clicks]
    reasons = [(click.click_id, click.reason) for click in clicks if click.reason is not None]
    matches = [(one, click.click_id) for click in clicks for one in click.hashes]
    db.executemany("INSERT OR REPLACE INTO clicks VALUES (?, ?, ?)", rows)
    db.executemany("DELETE FROM click_reasons WHERE click_id = ?", named)
    db.executemany("DELETE FROM click_matches WHERE click_id = ?", named)
    db.executemany("INSERT OR REPLACE INTO click_reasons VALUES (?, ?)", reasons)
    db.executemany("INSERT OR REPLACE INTO click_matches VALUES (?, ?)", matches)


def find_clicks(db: Connection, rows: Iterable[Conversion | None]) -> KnownClicks:
    """The registered clicks of these rows."""
    if not db.execute("SELECT EXISTS (SELECT 1 FROM clicks)").fetchone()[0]:
        return KnownClicks()
    given = [row for row in rows if row]
    ids = json.dumps([row.click_id for row in given if row.click_id])
    hashes = json.dumps([one for row in given for one in (row.email, row.phone) if one])
    by_hash: dict[str, list[Click]] = {}
    for found, *click in db.execute(_BY_HASH, (hashes,)):
        by_hash.setdefault(found, []).append(Click(*click))
    return KnownClicks({row[0]: Click(*row[1:]) for row in db.execute(_BY_ID, (ids,))}, by_hash)


def read_attribution(db: Connection) -> Attribution:
    """The settings as they were last set, else the usual ones."""
    row = db.execute("SELECT value FROM facts WHERE name = 'attribution'").fetchone()
    return Attribution.model_validate_json(row[0]) if row else Attribution()


def put_attribution(db: Connection, settings: Attribution) -> None:
    """Stores the settings; they apply to later uploads, and to later reports."""
    db.execute("INSERT OR REPLACE INTO facts VALUES ('attribution', ?)", (settings.model_dump_json(),))
