"""Erasures in SQLite: finds a person's rows slice by slice, forgets clicks, redacts the journal, vacuums the files.

There is no index by e-mail or phone, on purpose: an erasure walks through the table, a slice at a time, behind all
other work. What becomes of the rows is decided in `store.erasures`.
"""

import json
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sidecar.core.erasure import Erasure, ErasureRequest, Found, Phase, RowsOf, Subject
from sidecar.core.instant import UnixMillis
from sidecar.store import erasures
from sidecar.store.sql import unstored
from sidecar.store.sql.connection import Reader, SqlConnection, Writer
from sidecar.store.sql.dialects import INTAKE_LOCK, Dialects, sql
from sidecar.store.sql.erasure_rows import SqlErasureRows
from sidecar.store.sql.visitors import hasher

SCAN_ROWS = 20_000
"""Rows that one slice reads."""

SLICE_ROWS = 500
"""Rows, clicks or facts that one transaction changes."""

JOURNAL_ROWS = 1_000

_COLUMNS = """
    id, subject, needle, retract, phase, after_seq, last_seq, requested_at, finished_at, conversions, skipped,
    retracted, clicks, log_entries"""

_WAITING = "(SELECT count(*) FROM erasure_rows WHERE erasure = e.id AND waits = 1)"

# Rows whose numbers were given out before are stored then; later ones were not meant.
AWAIT_INTAKE = Dialects(sqlite="SELECT 1", postgres=f"SELECT pg_advisory_xact_lock({INTAKE_LOCK}, 0)")

ADD = sql("""
    INSERT INTO erasures (subject, needle, retract, phase, last_seq, requested_at)
    VALUES (?, ?, ?, 'rows', coalesce(([newest entries]), 0), ?) RETURNING id""")

ONE = f"SELECT {_COLUMNS}, {_WAITING} FROM erasures AS e WHERE id = ?"  # noqa: S608 - constants only

OPEN = sql("SELECT id FROM erasures [by erasures_open] WHERE phase <> 'done' ORDER BY id")

_MATCHES = """
    (:subject = 'email' AND email_sha256 = :search_value OR :subject = 'phone' AND phone_sha256 = :search_value
        OR :subject = 'visitor' AND visitor_id = :search_value OR :subject = 'order' AND order_id = :search_value)"""

_IS_CONVERSION = "(SELECT kind = 'conversion' FROM lanes WHERE id = entries.lane)"

# Whose visitor it is: the row's own hash of both is gone where no click may find it any more.
_VISITOR = "(SELECT account FROM lanes WHERE id = entries.lane), visitor_id"

# The person's rows in a stretch of the table, and whether each is a conversion that was delivered.
MATCHING = f"""
    SELECT seq, {_IS_CONVERSION} AND state = 'delivered', {_VISITOR} FROM entries
    WHERE seq > :after AND seq <= :last AND {_MATCHES} ORDER BY seq LIMIT :limit"""  # noqa: S608 - constants only

# Rows that an erasure waits for, and has not read since its round began.
WAITED_FOR = f"""
    SELECT w.seq, w.must_settle = 0 AND {_IS_CONVERSION} AND state = 'delivered', {_VISITOR}
    FROM erasure_rows w LEFT JOIN entries ON entries.seq = w.seq
    WHERE w.erasure = ? AND w.seq > ? AND w.waits = 1 ORDER BY w.seq LIMIT ?"""  # noqa: S608 - constants only

# The adjustments of these conversions: they name the person too.
ADJUSTMENTS = sql("""
    SELECT seq, 0, NULL, NULL FROM entries WHERE original IN [numbers ?]""")

FORGET_CLICKS = """
    DELETE FROM clicks WHERE seq IN (SELECT seq FROM clicks WHERE visitor = ? AND visitor_id = ? LIMIT ?)"""

ADD_CLICKS = "UPDATE erasures SET clicks = clicks + ? WHERE id = ?"
ADD_LOG_ENTRIES = "UPDATE erasures SET log_entries = log_entries + ? WHERE id = ?"
GO_ON = "UPDATE erasures SET after_seq = ? WHERE id = ?"
ENTER = "UPDATE erasures SET phase = ?, after_seq = 0 WHERE id = ?"
TO_JOURNAL = """
    UPDATE erasures SET phase = 'journal', after_seq = 0, last_seq = coalesce((SELECT max(seq) FROM journal), 0)
    WHERE id = ?"""
FORGET_SEARCH_VALUE = "UPDATE erasures SET needle = NULL, phase = 'wiping' WHERE id = ?"
FORGET_ROWS = "DELETE FROM erasure_rows WHERE erasure = ?"
FINISH = "UPDATE erasures SET phase = 'done', finished_at = ? WHERE id = ?"

# Removes the order from journal entries about these conversions, in a stretch of the journal.
REDACT_JOURNAL = sql("""
    UPDATE journal SET order_id = NULL
    WHERE seq > :after AND seq <= :last AND order_id IS NOT NULL AND (:subject = 'order' AND order_id = :search_value
        OR EXISTS (SELECT 1 FROM erasure_rows WHERE erasure = :id
            AND seq = CAST(substr(journal.conversion_id, [position journal.conversion_id, '_'] + 1) AS BIGINT)))""")

# Refusals name an order at the end of their line. Whose it is cannot be known, so every one is removed.
CUT_ORDERS = sql("""
    UPDATE journal SET message = substr(message, 1, [position message, ' (order'] - 1)
    WHERE seq > :after AND seq <= :last AND name = 'refused' AND [position message, ' (order'] > 0""")


@dataclass(frozen=True, slots=True)
class SqlErasures:
    """Implements `ports.Erasures` behind the outbox's committer, after everything else."""

    committer: Writer
    wipe: Callable[[], Coroutine[Any, Any, bool]]
    """Lets what was deleted leave the files: whether it did."""
    reader: Reader

    async def add(self, wanted: ErasureRequest, now: UnixMillis) -> Erasure:
        return await self.committer.write(lambda db: add(db, wanted, now))

    async def get(self, number: int) -> Erasure | None:
        return await self.reader.call(lambda db: get(db, number))

    async def open(self) -> Sequence[int]:
        return await self.reader.call(lambda db: [row[0] for row in db.execute(OPEN)])

    async def find(self, job: Erasure) -> Found:
        return await self.reader.call(lambda db: find(db, job))

    async def waited_for(self, job: Erasure, after_seq: int) -> Found:
        return await self.reader.call(lambda db: waited_for(db, job, after_seq))

    async def forget_clicks(self, job: Erasure, account: str, visitor_id: str) -> bool:
        return await self.committer.write(lambda db: forget_clicks(db, job, account, visitor_id), can_wait=True)

    async def redact(
        self, job: Erasure, found: Found, retracts: Collection[int], now: UnixMillis
    ) -> Mapping[RowsOf, int]:
        return await self.committer.write(lambda db: redact(db, job, found, retracts, now), can_wait=True)

    async def enter(self, job: Erasure, phase: Phase) -> None:
        await self.committer.write(lambda db: enter(db, job, phase), can_wait=True)

    async def redact_journal(self, job: Erasure) -> bool:
        return await self.committer.write(lambda db: redact_journal(db, job), can_wait=True)

    async def vacuum(self) -> bool:
        return await self.wipe()

    async def finish(self, job: Erasure, now: UnixMillis) -> None:
        await self.committer.write(lambda db: db.execute(FINISH, (now, job.id)) and None, can_wait=True)


def add(db: SqlConnection, wanted: ErasureRequest, now: UnixMillis) -> Erasure:
    """Store a new erasure, of everything that was received until now."""
    db.hold_all()
    db.execute(AWAIT_INTAKE)
    values = (wanted.subject.value, wanted.search_value, wanted.retract, now)
    number = db.execute(ADD, values).fetchone()[0]
    made = get(db, number)
    assert made is not None
    return made


def get(db: SqlConnection, number: int) -> Erasure | None:
    """The present state of one erasure."""
    row = db.execute(ONE, (number,)).fetchone()
    if row is None:
        return None
    return Erasure(
        id=row[0],
        subject=Subject(row[1]),
        search_value=row[2],
        retract=bool(row[3]),
        phase=Phase(row[4]),
        after_seq=row[5],
        last_seq=row[6],
        requested_at=row[7],
        finished_at=row[8],
        conversions=row[9],
        skipped=row[10],
        retracted=row[11],
        clicks=row[12],
        log_entries=row[13],
        waiting=row[14],
    )


def find(db: SqlConnection, job: Erasure) -> Found:
    """The person's rows in the next stretch of the table."""
    last = min(job.after_seq + SCAN_ROWS, job.last_seq)
    given = {"subject": job.subject.value, "search_value": job.search_value, "after": job.after_seq, "last": last}
    rows = db.execute(MATCHING, given | {"limit": SLICE_ROWS}).fetchall()
    whole = rows + _adjustments(db, rows)
    if len(rows) == SLICE_ROWS:
        return _found(whole, rows[-1][0])
    return _found(whole, last if last < job.last_seq else None)


def _adjustments(db: SqlConnection, rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Those of the rows, as far as they are not among them."""
    known = {row[0] for row in rows}
    found = db.execute(ADJUSTMENTS, (json.dumps(list(known)),))
    return [row for row in found if row[0] not in known]


def waited_for(db: SqlConnection, job: Erasure, after_seq: int) -> Found:
    """The next of the rows that had to be settled first."""
    rows = db.execute(WAITED_FOR, (job.id, after_seq, SLICE_ROWS)).fetchall()
    return _found(rows, rows[-1][0] if len(rows) == SLICE_ROWS else None)


def _found(rows: Sequence[tuple[int, int, str | None, str | None]], next_seq: int | None) -> Found:
    visitors = {(account, visitor_id) for _, _, account, visitor_id in rows if account and visitor_id}
    return Found(
        seqs=tuple(row[0] for row in rows),
        delivered=tuple(row[0] for row in rows if row[1]),
        visitors=tuple(sorted(visitors)),
        next_seq=next_seq,
    )


def forget_clicks(db: SqlConnection, job: Erasure, account: str, visitor_id: str) -> bool:
    """Delete a slice of a visitor's clicks; whether there may be more."""
    gone = db.execute(FORGET_CLICKS, (hasher(db)(account, visitor_id), visitor_id, SLICE_ROWS)).rowcount
    db.execute(ADD_CLICKS, (gone, job.id))
    return gone == SLICE_ROWS


def redact(
    db: SqlConnection, job: Erasure, found: Found, retracts: Collection[int], now: UnixMillis
) -> Mapping[RowsOf, int]:
    """Carry out `store.erasures` for these rows, and go on behind their slice."""
    db.hold_all()
    ended = erasures.redact(SqlErasureRows(db), job, found, retracts, now)
    if job.phase is Phase.ROWS and found.next_seq is not None:
        db.execute(GO_ON, (found.next_seq, job.id))
    return ended


def enter(db: SqlConnection, job: Erasure, phase: Phase) -> None:
    """Go on to the next phase. Before the files are vacuumed, the erasure forgets whom it was about."""
    match phase:
        case Phase.JOURNAL:
            db.execute(TO_JOURNAL, (job.id,))
        case Phase.VACUUMING:
            db.execute(FORGET_SEARCH_VALUE, (job.id,))
            db.execute(FORGET_ROWS, (job.id,))
        case _:
            db.execute(ENTER, (phase.value, job.id))


def redact_journal(db: SqlConnection, job: Erasure) -> bool:
    """Redact the orders in a stretch of the journal; whether there is more of it."""
    last = min(job.after_seq + JOURNAL_ROWS, job.last_seq)
    given = {"subject": job.subject.value, "search_value": job.search_value, "id": job.id}
    given |= {"after": job.after_seq, "last": last}
    if job.subject is Subject.ORDER and job.search_value is not None:
        unstored.forget(db, [job.search_value])
    changed = db.execute(REDACT_JOURNAL, given).rowcount + db.execute(CUT_ORDERS, given).rowcount
    db.execute(ADD_LOG_ENTRIES, (changed, job.id))
    db.execute(GO_ON, (last, job.id))
    return last < job.last_seq
