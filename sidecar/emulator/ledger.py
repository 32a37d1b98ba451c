"""Everything that arrived: which conversion and adjustment, how often, and whether a repeat was the very same bytes.

A thousand rows go in with one statement each way: many small ones would fight the event loop for every row.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any

from sidecar.emulator.exchange import DAY_MS, Answer, Call


@dataclass(frozen=True, slots=True)
class KeptConversion:
    """An accepted conversion. `unattributed` is why it will not count, None when it will."""

    identity: str
    wide_identity: str
    goal_id: int
    raw: str
    unattributed: str | None = None


@dataclass(frozen=True, slots=True)
class KeptAdjustment:
    """An accepted adjustment, and both identities of the conversion it is about."""

    identity: str
    original: str
    original_wide: str
    goal_id: int
    raw: str
    type: str
    value: str | None
    currency: str | None


_PUT_CONVERSIONS = """
    INSERT INTO conversions
        (identity, wide_identity, goal_id, raw, unattributed, account_id, first_seen_at, last_seen_at)
    SELECT item.value ->> 0, item.value ->> 1, item.value ->> 2, item.value ->> 3, item.value ->> 4, ?2, ?3, ?3
    FROM json_each(?1) AS item WHERE true
    ON CONFLICT (identity) DO UPDATE SET
        seen = seen + 1, changed = changed + (raw <> excluded.raw), last_seen_at = excluded.last_seen_at
"""

# An adjustment that found no original may find it when it comes again.
_PUT_ADJUSTMENTS = """
    INSERT INTO adjustments
        (identity, original, goal_id, raw, unattributed, account_id, first_seen_at, last_seen_at)
    SELECT item.value ->> 0, item.value ->> 1, item.value ->> 2, item.value ->> 3, item.value ->> 4, ?2, ?3, ?3
    FROM json_each(?1) AS item WHERE true
    ON CONFLICT (identity) DO UPDATE SET
        seen = seen + 1, changed = changed + (raw <> excluded.raw), last_seen_at = excluded.last_seen_at,
        unattributed = iif(unattributed IS NULL, NULL, excluded.unattributed)
"""

_CARRIED_OUT = """
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

_PUT_VERDICT = """
    INSERT INTO verdicts (goal_id, account_id, day, reason, count) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET count = count + excluded.count
"""

_ROW_COUNTS = (
    "SELECT count(*) AS kept, coalesce(sum(seen), 0) AS seen, coalesce(sum(seen > 1), 0) AS repeated, "
    "coalesce(sum(changed), 0) AS changed, coalesce(sum(unattributed IS NOT NULL), 0) AS unattributed FROM {}"
)

_DUPLICATE = "DuplicateConversionKey"
_SUCCESS = ""

_Verdicts = Counter[tuple[int, str]]
"""Rows by goal id and reason."""


def keep_conversions(db: Connection, at: int, account_id: str, kept: Sequence[KeptConversion]) -> None:
    """Keep the rows of one request; one that is there already is counted and otherwise ignored."""
    newest = db.execute("SELECT coalesce(max(seq), 0) FROM conversions").fetchone()[0]
    items = [[row.identity, row.wide_identity, row.goal_id, row.raw, row.unattributed] for row in kept]
    db.execute(_PUT_CONVERSIONS, (json.dumps(items), account_id, at))
    verdicts = _Verdicts((row.goal_id, _DUPLICATE) for row in kept)
    for goal_id, reason, count in db.execute(_NEW_CONVERSIONS, (newest,)).fetchall():
        verdicts[goal_id, reason] += count
        verdicts[goal_id, _DUPLICATE] -= count
    _judge(db, at, account_id, verdicts)


def keep_adjustments(db: Connection, at: int, account_id: str, kept: Sequence[KeptAdjustment]) -> None:
    """Keep the rows of one request and carry them out on their originals, in order."""
    carried_out = {row[0] for row in db.execute(_CARRIED_OUT, (_json_list(row.identity for row in kept),))}
    originals = {row[0]: row[1:] for row in db.execute(_ORIGINALS, (_json_list(row.original for row in kept),))}
    verdicts, items, changes = _Verdicts(), [], {}
    for row in kept:
        is_repeat = row.identity in carried_out
        reason = None if is_repeat else _adjustment_problem(row, originals.get(row.original))
        verdicts[row.goal_id, _DUPLICATE if is_repeat else reason or _SUCCESS] += 1
        if not is_repeat and reason is None:
            carried_out.add(row.identity)
            originals[row.original] = (row.original_wide, row.type)
            changes[row.original] = [row.original, row.type, row.value, row.currency]
        items.append([row.identity, row.original, row.goal_id, row.raw, reason])
    db.execute(_PUT_ADJUSTMENTS, (json.dumps(items), account_id, at))
    db.execute(_ADJUST, (json.dumps(list(changes.values())),))
    _judge(db, at, account_id, verdicts)


def _adjustment_problem(row: KeptAdjustment, original: tuple[str, str | None] | None) -> str | None:
    """Why the adjustment comes to nothing; it was accepted all the same."""
    if original is None or original[0] != row.original_wide:
        return "AdjustmentOriginalNotFound"
    return "ConversionAlreadyRetracted" if original[1] == "Retract" else None


def _judge(db: Connection, at: int, account_id: str, verdicts: _Verdicts) -> None:
    day = at // DAY_MS * DAY_MS
    rows = [(goal_id, account_id, day, reason, count) for (goal_id, reason), count in verdicts.items() if count]
    db.executemany(_PUT_VERDICT, rows)


def _json_list(items: Iterable[str]) -> str:
    return json.dumps(list(items))


def keep_request(db: Connection, call: Call, answer: Answer, fault: str | None) -> None:
    """Keep that a request came and what it was told. A status of 0 says that there was no answer."""
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
    """How much there is of everything."""
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
    """The entry, and beside the exact text of a row its fields."""
    if "raw" in entry:
        entry["row"] = json.loads(entry["raw"])
    return entry
