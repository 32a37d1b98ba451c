"""Stores a group of conversions: looks their keys up, obeys `core.repeats`, inserts what is new in one statement."""

import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

from msgspec import Struct

from sidecar.core import repeats
from sidecar.core.conversion import Conversion
from sidecar.core.difference import of_conversions
from sidecar.core.instant import UnixSeconds
from sidecar.core.keys import Key
from sidecar.core.record import Record
from sidecar.core.repeats import Repeat
from sidecar.core.states_and_reasons import State
from sidecar.ports.intake import Arrival, Conflict, PutResult, Replayed, Stored
from sidecar.store.sql.connection import BulkStatement, SqlConnection
from sidecar.store.sql.dialects import Dialects, sql
from sidecar.store.sql.rows import (
    INSERT_COLUMNS,
    RECORD_COLUMNS,
    STORED_COLUMNS,
    new_row,
    record_of,
    record_of_new,
    stored_conversion,
)
from sidecar.store.sql.tallies import Tallied, move
from sidecar.store.sql.visitors import hasher

# The rows that have one of these key hashes, with what must agree for the same key and the same content.
FIND_KEYS = BulkStatement(
    "WITH wanted (key_hash) AS (",
    "bigint",
    sql(f""")
    SELECT e.key_digest, e.content, e.time_given, {RECORD_COLUMNS}
    FROM wanted CROSS JOIN [each entries e OF wanted.key_hash WHERE original IS NULL]
    JOIN lanes l ON l.id = e.lane LEFT JOIN batches b ON b.id = e.batch_id
    WHERE e.key_hash = wanted.key_hash AND e.original IS NULL"""),  # noqa: S608 - constants only
)


_INTEGERS = frozenset(("seq", "lane", "key_hash", "time", "time_given", "received_at", "due_at", "visitor"))


def _insert(columns: Sequence[str]) -> BulkStatement:
    """In PostgreSQL in the order of their keys: two groups with keys in common do not wait for each other."""
    types = " ".join("bigint" if name in _INTEGERS else "text" for name in columns)
    names = ", ".join(columns)
    ordered = Dialects(sqlite="", postgres=f"AS given ({names}) ORDER BY key_hash, key_digest")
    return BulkStatement(f"INSERT INTO entries ({names})", types, ordered)


_RARE = ("reason", "external_credit", "external_model", "meta", "visitor", "visitor_id")
"""Columns of which most groups have nothing: of all values None takes the longest to bind."""
_USUAL = tuple(name for name in INSERT_COLUMNS if name not in _RARE)
_rare, _usual = (itemgetter(*map(INSERT_COLUMNS.index, columns)) for columns in (_RARE, _USUAL))
_NOTHING = (None,) * len(_RARE)
_LANE = INSERT_COLUMNS.index("lane")
_tallied = itemgetter(*map(INSERT_COLUMNS.index, Tallied._fields))

# New rows; those without anything in the rare columns.
INSERT = _insert(INSERT_COLUMNS)
INSERT_USUAL = _insert(_USUAL)

# A row that was dead or skipped gets new content; its number, attempts and history stay.
REPLACE = sql(f"""
    UPDATE entries
    SET ({", ".join(INSERT_COLUMNS[1:])}) = ({", ".join("?" * (len(INSERT_COLUMNS) - 1))}),
        again = 0, retries = 0, refusals = 0, maybe_sent = 0, goal = NULL, sent_time = NULL, identity = NULL,
        click = NULL, clicked_at = NULL,
        replaced_at = ?, batch_id = NULL, settled_at = NULL, error = NULL, error_code = NULL, message = NULL,
        history = [append history, 'replaced_at', ?, 'received_at', received_at, 'request_id', request_id,
            'state', state, 'reason', reason, 'value', value, 'currency', currency]
    WHERE seq = ?""")  # noqa: S608 - constants only

# What a row holds of the conversion that its caller gave, for the words of a conflict.
GIVEN = f"SELECT content, {STORED_COLUMNS} FROM entries WHERE seq = ?"  # noqa: S608 - constants only

# Of conversions that name their visitor and time: the click that each ought to follow, and does not. That is its own
# click where it brings one, else the visitor's first one if there is none before it.
LATE_CLICKS = sql("""
    SELECT place, clicked_at FROM (
        SELECT wanted.place, wanted.time, CASE WHEN wanted.msclkid IS NOT NULL
            THEN (SELECT clicked_at FROM clicks
                  WHERE visitor = wanted.visitor AND msclkid = wanted.msclkid AND visitor_id = wanted.visitor_id)
            ELSE (SELECT clicked_at FROM clicks
                  WHERE visitor = wanted.visitor AND visitor_id = wanted.visitor_id ORDER BY clicked_at LIMIT 1)
            END AS clicked_at
        FROM [rows ? AS wanted (place bigint, visitor bigint, visitor_id text, time bigint, msclkid text)]) AS looked
    WHERE clicked_at > looked.time""")


class _Known(Struct, frozen=True, gc=False):
    """The row that has a key; made for each row that comes in."""

    content: str
    time: UnixSeconds | None
    """None where the caller gave none."""
    record: Record


def write_arrivals(
    db: SqlConnection,
    arrivals: list[Arrival],
    lanes: Mapping[tuple[str, str], int],
    numbers: Callable[[int], Iterable[int]],
) -> list[PutResult]:
    """Store the new ones among `arrivals`; the result of each, in order. Of equal keys the first one stores.

    `numbers` gives the numbers of that many new rows, in order.
    """
    keys = [arrival.conversion.key() for arrival in arrivals]
    known = _known_rows(db, keys)
    if known and db.hold(_replacing(arrivals, keys, known)):
        known = _known_rows(db, keys)
    group = _Group(db, lanes, known, iter(numbers(_count_new(keys, known))))
    results: list[PutResult] = [group.put(arrival, key) for arrival, key in zip(arrivals, keys, strict=True)]
    group.write()
    return _with_late_clicks(db, arrivals, results)


def _with_late_clicks(db: SqlConnection, arrivals: Sequence[Arrival], results: list[PutResult]) -> list[PutResult]:
    """The results, with the click of each new row that lies before it: one statement, and none without visitors."""
    named = [
        (place, each, each.visitor_id)
        for place, each in enumerate(arrival.conversion for arrival in arrivals)
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


def _replacing(arrivals: Sequence[Arrival], keys: Sequence[Key], known: Mapping[str | None, _Known]) -> Iterator[str]:
    """The accounts of the arrivals that take the place of a row: it may be replayed, woken or erased meanwhile."""
    for arrival, key in zip(arrivals, keys, strict=True):
        row = known.get(key.digest)
        if row and _repeat(arrival.conversion, arrival.conversion.content(), row) is Repeat.REPLACES:
            yield arrival.conversion.account


def _count_new(keys: Sequence[Key], known: Container[str | None]) -> int:
    """How many rows a group with these keys inserts: one for each new key, and for each conversion without one."""
    digests = [key.digest for key in keys]
    return sum(digest not in known for digest in {*digests}) + max(0, digests.count(None) - 1)


def known_results(db: SqlConnection, arrivals: Sequence[Arrival]) -> list[PutResult] | None:
    """Replayed or Conflict for each of `arrivals`, without writing; None when one of them would have to be written."""
    keys = [arrival.conversion.key() for arrival in arrivals]
    rows = _known_rows(db, keys)
    found: list[PutResult] = []
    for arrival, key in zip(arrivals, keys, strict=True):
        known = rows.get(key.digest)
        repeat = known and _repeat(arrival.conversion, arrival.conversion.content(), known)
        if known is None or repeat is Repeat.REPLACES:
            return None
        found.append(Replayed(known.record) if repeat is Repeat.SAME else _conflict(db, arrival.conversion, known))
    return found


def _repeat(conversion: Conversion, content: str, known: _Known) -> Repeat:
    time = conversion.time if conversion.time_given else None
    return repeats.of_conversion(content, time, known.content, known.time, known.record.state)


def _conflict(db: SqlConnection, conversion: Conversion, known: _Known) -> Conflict:
    content, *stored = db.execute(GIVEN, (known.record.seq,)).fetchone()
    return Conflict(known.record, of_conversions(stored_conversion(stored, conversion), content, conversion))


class _Group:
    """One group on its way into the table."""

    def __init__(
        self,
        db: SqlConnection,
        lanes: Mapping[tuple[str, str], int],
        known: dict[str | None, _Known],
        numbers: Iterator[int],
    ) -> None:
        self._db = db
        self._lanes = lanes
        self._known = known
        self._numbers = numbers
        self._new: list[tuple[Any, ...]] = []
        self._hashed: Callable[[str, str], int] | None = None
        """Made for the first conversion that names a visitor."""

    def put(self, arrival: Arrival, key: Key) -> PutResult:
        content = arrival.conversion.content()
        known = self._known.get(key.digest)
        if known is None:
            row, stored = self._made(arrival, key, content, next(self._numbers))
            self._new.append(row)
            return stored
        match _repeat(arrival.conversion, content, known):
            case Repeat.SAME:
                return Replayed(known.record)
            case Repeat.REPLACES:
                return self._replace(arrival, key, content, known.record)
            case Repeat.CONFLICT:
                self.write()  # the row may be one of this group
                return _conflict(self._db, arrival.conversion, known)

    def write(self) -> None:
        """Insert the new rows so far."""
        if self._new:
            if set(map(_rare, self._new)) == {_NOTHING}:
                INSERT_USUAL.execute(self._db, list(map(_usual, self._new)))
            else:
                INSERT.execute(self._db, self._new)
            move(self._db, None, State.PENDING, map(_tallied, self._new))
            self._new.clear()

    def _replace(self, arrival: Arrival, key: Key, content: str, old: Record) -> Stored:
        row, stored = self._made(arrival, key, content, old.seq, old.attempt)
        now = arrival.received_at
        self._db.execute(REPLACE, (*row[1:], now, now, old.seq))
        move(self._db, old.state, None, [Tallied(old.received_at, row[_LANE], old.currency, old.value)])
        move(self._db, None, State.PENDING, [_tallied(row)])
        return stored

    def _made(
        self, arrival: Arrival, key: Key, content: str, seq: int, attempt: int = 0
    ) -> tuple[tuple[Any, ...], Stored]:
        """The row of an arrival and its result; later arrivals of the group find it by its key."""
        conversion, visitor = arrival.conversion, None
        if conversion.visitor_id is not None:
            self._hashed = self._hashed or hasher(self._db)
            visitor = self._hashed(conversion.account, conversion.visitor_id)
        lane = self._lanes[conversion.account, conversion.event]
        row = new_row(arrival, key, content, seq, lane, visitor)
        record = record_of_new(row, conversion, attempt)
        if key.digest is not None:
            self._known[key.digest] = _Known(content, conversion.time if conversion.time_given else None, record)
        return row, Stored(record)


def _known_rows(db: SqlConnection, keys: Iterable[Key]) -> dict[str | None, _Known]:
    """By digest the rows that have one of these keys; there is none of None, which is no key."""
    hashes = {key.hash for key in keys} - {None}
    found: dict[str | None, _Known] = {}
    for digest, content, time_given, *columns in FIND_KEYS.execute(db, [(one,) for one in hashes]):
        record = record_of(columns)
        found[digest] = _Known(content, record.time if time_given else None, record)
    return found
