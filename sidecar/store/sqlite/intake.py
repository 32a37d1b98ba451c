"""Writing what came in: look the keys up, tell new from known, insert all that is new in one statement."""

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from sidecar.core import repeats
from sidecar.core.conversion import Conversion, ExternalAttribution
from sidecar.core.difference import StoredContent, of_conversions
from sidecar.core.entry import State
from sidecar.core.instant import UnixSeconds
from sidecar.core.record import Record
from sidecar.core.repeats import Repeat
from sidecar.ports.intake import Arrival, Conflict, PutResult, Replayed, Stored
from sidecar.store.sqlite.counting import count
from sidecar.store.sqlite.many import BulkStatement
from sidecar.store.sqlite.rows import INSERT_COLUMNS, RECORD_COLUMNS, Draft, insert_values, new_record, record_of
from sidecar.store.sqlite.visitors import hasher

# The rows that have one of these key hashes, with what must agree for the same key and the same content.
FIND_KEYS = f"""
    SELECT e.key_digest, e.content, e.time_given, {RECORD_COLUMNS}
    FROM json_each(?) AS wanted JOIN entries e ON e.key_hash = wanted.value
    JOIN lanes l ON l.id = e.lane LEFT JOIN batches b ON b.id = e.batch_id"""  # noqa: S608 - constants only

# The number of the newest row that ever was.
LAST_SEQ = "SELECT seq FROM sqlite_sequence WHERE name = 'entries'"

# New rows.
INSERT = BulkStatement(f"INSERT INTO entries ({', '.join(INSERT_COLUMNS)}) VALUES ", len(INSERT_COLUMNS))  # noqa: S608

# A row that was dead or skipped gets new content; its number, attempts and history stay.
REPLACE = f"""
    UPDATE entries
    SET ({", ".join(INSERT_COLUMNS[1:])}) = ({", ".join("?" * (len(INSERT_COLUMNS) - 1))}),
        again = 0, retries = 0, refusals = 0, maybe_sent = 0, goal = NULL, sent_time = NULL, identity = NULL,
        click = NULL, clicked_at = NULL,
        replaced_at = ?, batch_id = NULL, settled_at = NULL, error = NULL, error_code = NULL, message = NULL,
        history = json_insert(coalesce(history, '[]'), '$[#]', json_object(
            'replaced_at', ?, 'received_at', received_at, 'request_id', request_id, 'state', state, 'reason', reason,
            'value', value, 'currency', currency))
    WHERE seq = ?"""  # noqa: S608 - constants only

# What a row has kept of what its caller gave, for the words of a conflict.
GIVEN = """
    SELECT content, time, time_given, value, currency, msclkid, visitor_id, email_sha256, phone_sha256, external_credit,
        external_model
    FROM entries WHERE seq = ?"""

# Of conversions that name their visitor and time: the click that each ought to follow, and does not. That is its own
# click where it brings one, else the visitor's first one if there is none before it.
LATE_CLICKS = """
    SELECT wanted.value ->> 0, CASE WHEN wanted.value ->> 4 IS NOT NULL
        THEN (SELECT clicked_at FROM clicks
              WHERE visitor = wanted.value ->> 1 AND msclkid = wanted.value ->> 4 AND visitor_id = wanted.value ->> 2)
        ELSE (SELECT clicked_at FROM clicks
              WHERE visitor = wanted.value ->> 1 AND visitor_id = wanted.value ->> 2 ORDER BY clicked_at LIMIT 1)
        END AS clicked_at
    FROM json_each(?) AS wanted WHERE clicked_at > wanted.value ->> 3"""


class _Known(NamedTuple):
    """What a key already stands for; made for each row that comes in."""

    content: str
    time: UnixSeconds | None
    record: Record
    conversion: Conversion | None = None
    """Of a row that came in with this very group."""


def write_arrivals(
    db: sqlite3.Connection, arrivals: list[Arrival], lanes: Mapping[tuple[str, str], int]
) -> list[PutResult]:
    """Store the new ones among `arrivals`; the result of each, in order. Of equal keys the first one stores."""
    drafts = [Draft.of(arrival) for arrival in arrivals]
    group = _Group(db, lanes, _known_keys(db, drafts), _last_seq(db))
    results: list[PutResult] = [group.put(draft) for draft in drafts]
    group.write()
    return _with_late_clicks(db, drafts, results)


def _with_late_clicks(db: sqlite3.Connection, drafts: Sequence[Draft], results: list[PutResult]) -> list[PutResult]:
    """The results, with the click of each new row that lies before it: one statement, and none without visitors."""
    named = [
        (place, each, each.visitor_id)
        for place, (_, each, *_) in enumerate(drafts)
        if each.visitor_id is not None and each.time_given and isinstance(results[place], Stored)
    ]
    if not named:
        return results
    hashed = hasher(db)
    wanted = [
        (place, hashed(each.account, visitor_id), visitor_id, each.time, each.msclkid)
        for place, each, visitor_id in named
    ]
    for place, clicked_at in db.execute(LATE_CLICKS, (json.dumps(wanted, ensure_ascii=False),)):
        stored = results[place]
        assert isinstance(stored, Stored)
        results[place] = Stored(stored.record, clicked_at)
    return results


def known_results(db: sqlite3.Connection, arrivals: Sequence[Arrival]) -> list[PutResult] | None:
    """Replayed or Conflict for each of `arrivals`, without writing; None when one of them would have to be written."""
    drafts = [Draft.of(arrival) for arrival in arrivals]
    known = _known_keys(db, drafts)
    found: list[PutResult] = []
    for draft in drafts:
        row = known.get(draft.key.digest)
        if row is None or (result := _known_result(db, draft, row)) is None:
            return None
        found.append(result)
    return found


def _known_result(db: sqlite3.Connection, draft: Draft, row: _Known) -> Replayed | Conflict | None:
    """What a draft is beside the row that has its key; None when it takes that one's place."""
    time = draft.conversion.time if draft.conversion.time_given else None
    match repeats.of_conversion(draft.content, time, row.content, row.time, row.record.state):
        case Repeat.SAME:
            return Replayed(row.record)
        case Repeat.REPLACES:
            return None
        case Repeat.CONFLICT:
            return Conflict(row.record, of_conversions(_stored_content(db, row), draft.conversion))


def _stored_content(db: sqlite3.Connection, row: _Known) -> StoredContent:
    given = row.conversion
    if given is not None:
        return StoredContent.of(given, row.content)
    kept = db.execute(GIVEN, (row.record.seq,)).fetchone()
    return StoredContent(
        content=kept[0],
        time=kept[1],
        time_given=bool(kept[2]),
        value=None if kept[3] is None else Decimal(kept[3]),
        currency=kept[4],
        msclkid=kept[5],
        visitor_id=kept[6],
        email_sha256=kept[7],
        phone_sha256=kept[8],
        external_attribution=None if kept[9] is None else ExternalAttribution(Decimal(kept[9]), kept[10]),
    )


class _Group:
    """One group on its way into the table."""

    def __init__(
        self,
        db: sqlite3.Connection,
        lanes: Mapping[tuple[str, str], int],
        known: dict[str | None, _Known],
        last_seq: int,
    ) -> None:
        self._db = db
        self._lanes = lanes
        self._known = known
        self._last_seq = last_seq
        self._new: list[list[Any]] = []
        self._hashed: Callable[[str, str], int] | None = None
        """Made for the first conversion that names a visitor."""

    def put(self, draft: Draft) -> PutResult:
        known = self._known.get(draft.key.digest)
        if known is None:
            return self._store(draft)
        return _known_result(self._db, draft, known) or self._replace(draft, known.record)

    def write(self) -> None:
        if self._new:
            INSERT.execute(self._db, self._new)
            count(self._db, {State.PENDING: len(self._new)})

    def _store(self, draft: Draft) -> Stored:
        self._last_seq += 1
        values = insert_values(draft, self._last_seq, self._lane(draft), self._visitor(draft.conversion))
        self._new.append(values)
        return self._remember(draft, new_record(draft.conversion, values))

    def _replace(self, draft: Draft, old: Record) -> Stored:
        values = insert_values(draft, old.seq, self._lane(draft), self._visitor(draft.conversion))
        now = draft.arrival.received_at
        self._db.execute(REPLACE, (*values[1:], now, now, old.seq))
        count(self._db, {old.state: -1, State.PENDING: 1})
        return self._remember(draft, new_record(draft.conversion, values, attempt=old.attempt))

    def _lane(self, draft: Draft) -> int:
        return self._lanes[draft.conversion.account, draft.conversion.event]

    def _visitor(self, conversion: Conversion) -> int | None:
        if conversion.visitor_id is None:
            return None
        self._hashed = self._hashed or hasher(self._db)
        return self._hashed(conversion.account, conversion.visitor_id)

    def _remember(self, draft: Draft, record: Record) -> Stored:
        if draft.key.digest is not None:
            given_time = draft.conversion.time if draft.conversion.time_given else None
            self._known[draft.key.digest] = _Known(draft.content, given_time, record, draft.conversion)
        return Stored(record)


def _known_keys(db: sqlite3.Connection, drafts: Sequence[Draft]) -> dict[str | None, _Known]:
    """By digest; nothing is known of None, which is no key."""
    hashes = {draft.key.hash for draft in drafts} - {None}
    rows = db.execute(FIND_KEYS, (json.dumps(list(hashes)),)) if hashes else ()
    return {row[0]: _known(row) for row in rows}


def _known(row: Sequence[Any]) -> _Known:
    record = record_of(row[3:])
    return _Known(content=row[1], time=record.time if row[2] else None, record=record)


def _last_seq(db: sqlite3.Connection) -> int:
    row = db.execute(LAST_SEQ).fetchone()
    return row[0] if row else 0
