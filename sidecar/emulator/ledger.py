"""Records every conversion and adjustment: how often it arrived, and whether each repeat had the same bytes.

A thousand rows take one statement: with many small ones the event loop would delay each row.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any

from sidecar.emulator.call import Answer, Call
from sidecar.emulator.report_counts import ATTRIBUTED, Counts, add_counts


@dataclass(frozen=True, slots=True)
class StoredConversion:
    """An accepted conversion. `unattributed` is the reason why it does not count; None if it counts."""

    identity: str
    wide_identity: str
    goal_id: int
    raw: str
    unattributed: str | None = None


@dataclass(frozen=True, slots=True)
class StoredAdjustment:
    """An accepted adjustment, and both keys of its conversion."""

    identity: str
    original: str
    original_wide: str
    goal_id: int
    raw: str
    type: str
    value: str | None
    currency: str | None
    unattributed: str | None = None
    """Why it has no effect, apart from its original; it matters only where the original exists."""


_PUT_CONVERSIONS = """
    INSERT INTO conversions
        (identity, wide_identity, goal_id, raw, unattributed, account_id, first_seen_at, last_seen_at)
    SELECT item.value ->> 0, item.value ->> 1, item.value ->> 2, item.value ->> 3, item.value ->> 4, ?2, ?3, ?3
    FROM json_each(?1) AS item WHERE true
    ON CONFLICT (identity) DO UPDATE SET
        seen = seen + 1, changed = changed + (raw <> excluded.raw), last_seen_at = excluded.last_seen_at
"""

# An adjustment without an original may find it when it is repeated.
_PUT_ADJUSTMENTS = """
    INSERT INTO adjustments
        (identity, original, goal_id, raw, unattributed, account_id, first_seen_at, last_seen_at)
    SELECT item.value ->> 0, item.value ->> 1, item.value ->> 2, item.value ->> 3, item.value ->> 4, ?2, ?3, ?3
    FROM json_each(?1) AS item WHERE true
    ON CONFLICT (identity) DO UPDATE SET
        seen = seen + 1, changed = changed + (raw <> excluded.raw), last_seen_at = excluded.last_seen_at,
        unattributed = iif(unattributed IS NULL, NULL, excluded.unattributed)
"""

_APPLIED = """
    SELECT identity FROM adjustments
    WHERE unattributed IS NULL AND identity IN (SELECT value FROM json_each(?))
"""

_ORIGINALS = (
    "SELECT identity, wide_identity, adjusted FROM conversions WHERE identity IN (SELECT value FROM json_each(?))"
)

_ADJUST = """
    UPDATE conversions SET
        adjusted = item.value ->> 1, adjusted_value = item.value ->> 2, adjusted_currency = item.value ->> 3
    FROM json_each(?) AS item
    WHERE identity = item.value ->> 0
"""

_NEW_CONVERSIONS = "SELECT goal_id, coalesce(unattributed, ''), count(*) FROM conversions WHERE seq > ? GROUP BY 1, 2"

_ROW_COUNTS = (
    "SELECT count(*) AS kept, coalesce(sum(seen), 0) AS seen, coalesce(sum(seen > 1), 0) AS repeated, "
    "coalesce(sum(changed), 0) AS changed, coalesce(sum(unattributed IS NOT NULL), 0) AS unattributed FROM {}"
)

_DUPLICATE = "DuplicateConversionKey"


def store_conversions(db: Connection, at: int, account_id: str, rows: Sequence[StoredConversion]) -> None:
    """Stores the rows of one request; a repeat is only counted."""
    newest = db.execute("SELECT coalesce(max(seq), 0) FROM conversions").fetchone()[0]
    items = [[row.identity, row.wide_identity, row.goal_id, row.raw, row.unattributed] for row in rows]
    db.execute(_PUT_CONVERSIONS, (json.dumps(items), account_id, at))
    counts = Counts((row.goal_id, _DUPLICATE) for row in rows)
    for goal_id, reason, count in db.execute(_NEW_CONVERSIONS, (newest,)).fetchall():
        counts[goal_id, reason] += count
        counts[goal_id, _DUPLICATE] -= count
    add_counts(db, account_id, at, counts)


def store_adjustments(db: Connection, at: int, account_id: str, rows: Sequence[StoredAdjustment]) -> None:
    """Stores the rows of one request and applies them to their originals, in order."""
    applied = {row[0] for row in db.execute(_APPLIED, (_json_list(row.identity for row in rows),))}
    originals = {row[0]: row[1:] for row in db.execute(_ORIGINALS, (_json_list(row.original for row in rows),))}
    counts, items, changes = Counts(), [], {}
    for row in rows:
        is_repeat = row.identity in applied
        reason = None if is_repeat else _adjustment_problem(row, originals.get(row.original))
        counts[row.goal_id, _DUPLICATE if is_repeat else reason or ATTRIBUTED] += 1
        if not is_repeat and reason is None:
            applied.add(row.identity)
            originals[row.original] = (row.original_wide, row.type)
            changes[row.original] = [row.original, row.type, row.value, row.currency]
        items.append([row.identity, row.original, row.goal_id, row.raw, reason])
    db.execute(_PUT_ADJUSTMENTS, (json.dumps(items), account_id, at))
    db.execute(_ADJUST, (json.dumps(list(changes.values())),))
    add_counts(db, account_id, at, counts)


def _adjustment_problem(row: StoredAdjustment, original: tuple[str, str | None] | None) -> str | None:
    """Why an accepted adjustment has no effect; None if it has."""
    if original is None or original[0] != row.original_wide:
        return "AdjustmentOriginalNotFound"
    return "ConversionAlreadyRetracted" if original[1] == "Retract" else row.unattributed


def _json_list(items: Iterable[str]) -> str:
    return json.dumps(list(items))


def store_request(db: Connection, call: Call, answer: Answer, fault: str | None) -> None:
    """Stores a request and its answer. A status of 0 means that there was no answer."""
    db.execute(
        "INSERT INTO requests VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            call.at,
            call.operation,
            call.headers.get("CustomerId"),
            call.headers.get("CustomerAccountId"),
            answer.tally.rows,
            answer.tally.taken,
            answer.tally.refused,
            answer.status,
            answer.summary,
            fault,
            call.tracking_id,
            hashlib.sha256(call.body).hexdigest(),
        ),
    )


def page(db: Connection, table: str, account_id: str | None, after: int, limit: int) -> dict[str, Any]:
    """Up to `limit` entries of `conversions`, `adjustments` or `requests`, oldest first, from seq `after` on."""
    assert table in ("conversions", "adjustments", "requests")
    where = "seq > ?1 AND (?2 IS NULL OR account_id = ?2)"
    cursor = db.execute(f"SELECT * FROM {table} WHERE {where} ORDER BY seq LIMIT ?3", (after, account_id, limit))  # noqa: S608
    names = [column[0] for column in cursor.description]
    items = [_shown(dict(zip(names, row, strict=True))) for row in cursor]
    return {"items": items, "next_after": items[-1]["seq"] if len(items) == limit else None}


def summary(db: Connection) -> dict[str, Any]:
    """The totals of requests, conversions and adjustments."""
    return {
        "requests": _row(db, "SELECT count(*) AS total FROM requests")["total"],
        "conversions": _row(db, _ROW_COUNTS.format("conversions")),
        "adjustments": _row(db, _ROW_COUNTS.format("adjustments")),
        "answers": dict(db.execute("SELECT answer, count(*) FROM requests GROUP BY answer").fetchall()),
    }


def _row(db: Connection, statement: str) -> dict[str, Any]:
    cursor = db.execute(statement)
    return dict(zip((column[0] for column in cursor.description), cursor.fetchone(), strict=True))


def _shown(entry: dict[str, Any]) -> dict[str, Any]:
    """The entry, with the fields of a row beside its exact text."""
    if "raw" in entry:
        entry["row"] = json.loads(entry["raw"])
    return entry
