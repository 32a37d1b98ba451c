"""Adjustments that wait for their conversion: what settles looks here for those it was waited for by.

What an adjustment is to do is decided in `core.adjustment`; this reads what that takes, and carries it out.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import assert_never

from sidecar.core.adjustment import Apply, Earlier, NotSent, Original, Placement, SendAdjustment, WaitForOriginal, place
from sidecar.core.conversion import AdjustmentType
from sidecar.core.entry import Entry, Reason, State
from sidecar.core.instant import UnixMillis, UnixSeconds, millis
from sidecar.core.record import Record
from sidecar.store.sqlite.counting import count

# Whether any adjustment waits at all: mostly none does, and then settling costs nothing more.
ANY_WAITING = "SELECT EXISTS (SELECT 1 FROM entries WHERE reason = 'awaiting_original')"

# Those that wait for one of these conversions, or for another adjustment of it.
WAITING = """
    SELECT w.seq, w.original, w.adjusted_at, w.time
    FROM json_each(?) AS wanted JOIN entries w INDEXED BY entries_awaiting ON w.original = wanted.value
    WHERE w.reason = 'awaiting_original' AND w.state = 'pending'"""

# What is in a batch, by the conversion that it is or adjusts.
OF_BATCH = "SELECT coalesce(original, seq) FROM entries WHERE batch_id = ? AND claimed = 1"

# How far a conversion has come. One whose lease has passed without an answer may have been sent, too.
ORIGINAL = """
    SELECT e.state, e.reason, e.time, e.sent_time, e.settled_at, e.currency,
        e.maybe_sent OR (e.claimed AND coalesce(b.leased, 0)), e.content = '' OR e.reason IS 'erased',
        coalesce(e.replaced_at, 0)
    FROM entries e LEFT JOIN batches b ON b.id = e.batch_id WHERE e.seq = ?"""

# The adjustments of a conversion, in the order of their receipt.
EARLIER = """
    SELECT e.seq, e.type, e.state, e.maybe_sent OR (e.claimed AND coalesce(b.leased, 0)), e.attempt > 0, e.adjusted_at,
        e.received_at
    FROM entries e LEFT JOIN batches b ON b.id = e.batch_id WHERE e.original = ? ORDER BY e.seq"""

DUE = """
    UPDATE entries
    SET reason = CASE WHEN :due_at > :now THEN 'not_yet' END, due_at = :due_at, adjusted_at = :adjusted_at
    WHERE seq = :seq"""

# From now on it names its conversion exactly as that was sent, whatever becomes of the mapping.
COPY_IDENTITY = """
    UPDATE entries
    SET goal = o.goal, sent_time = o.sent_time, click = coalesce(o.click, o.msclkid, ''),
        email_sha256 = o.email_sha256, phone_sha256 = o.phone_sha256
    FROM entries AS o WHERE entries.seq = :seq AND o.seq = :original"""

# The conversion is changed where it lies, waiting or ended: nothing of it is at Microsoft.
RESTATE = """
    UPDATE entries SET value = o.value, currency = o.currency
    FROM entries AS o WHERE entries.seq = :original AND o.seq = :seq"""

# Ended without having been sent; out of its batch, should it be in one that waits to go again.
END = """
    UPDATE entries SET state = ?, reason = ?, claimed = 0, settled_at = ?
    WHERE seq IN (SELECT value FROM json_each(?)) AND state = 'pending'"""

# The last word of each of these conversions, where it came to nothing because the conversion had; not where the
# conversion was sent anew since, which is a later word.
REVIVE = """
    UPDATE entries SET state = 'pending', reason = 'awaiting_original', settled_at = NULL
    FROM json_each(?) AS wanted
    WHERE entries.seq = (SELECT max(a.seq) FROM entries a WHERE a.original = wanted.value)
        AND state = 'skipped' AND reason = 'original_not_sent'
        AND received_at >= (SELECT o.received_at FROM entries o WHERE o.seq = wanted.value)"""

# A conversion that was taken back: neither a replay nor a late click sends it.
RETRACT = """
    UPDATE entries SET state = 'canceled', reason = 'retracted', claimed = 0, settled_at = ?
    WHERE seq = ? AND state IN ('pending', 'skipped', 'dead')"""

TYPE = "SELECT type FROM entries WHERE seq = ?"
STATE = "SELECT state FROM entries WHERE seq = ?"


def after_entries(db: sqlite3.Connection, entries: Iterable[Entry], now: UnixMillis, settle_millis: int) -> None:
    """These were settled: look at what waited for them."""
    _release(db, (entry.seq if entry.original is None else entry.original for entry in entries), now, settle_millis)


def after_records(db: sqlite3.Connection, records: Iterable[Record], now: UnixMillis, settle_millis: int) -> None:
    """These were ended: look at what waited for them."""
    _release(db, (each.seq if each.original is None else each.original for each in records), now, settle_millis)


def after_seqs(db: sqlite3.Connection, conversions: Iterable[int], now: UnixMillis, settle_millis: int) -> None:
    """The conversions with these numbers were ended: look at what waited for them."""
    _release(db, conversions, now, settle_millis)


def after_replay(db: sqlite3.Connection, conversions: Sequence[int], now: UnixMillis) -> None:
    """These are due again: what was taken back or corrected of them while they were on their way still is."""
    revived = db.execute(REVIVE, (json.dumps(conversions),)).rowcount
    count(db, {State.SKIPPED: -revived, State.PENDING: revived})
    _release(db, conversions, now, settle_millis=0)  # none of them is delivered: nothing is due after it


def before_resend(db: sqlite3.Connection, batch_id: int, now: UnixMillis, settle_millis: int) -> None:
    """These are about to go again: what waited for them may be done with those that were definitely refused."""
    if db.execute(ANY_WAITING).fetchone()[0]:
        _release(db, [row[0] for row in db.execute(OF_BATCH, (batch_id,))], now, settle_millis)


def _release(db: sqlite3.Connection, originals: Iterable[int], now: UnixMillis, settle_millis: int) -> None:
    """Of one conversion at most one adjustment waits, so their order does not matter."""
    if not db.execute(ANY_WAITING).fetchone()[0]:
        return
    for seq, original, wanted_at, time in db.execute(WAITING, (json.dumps(list(set(originals))),)).fetchall():
        found = original_of(db, original, time)
        earlier = [one for one in earlier_of(db, original) if one.seq != seq]
        carry_out(db, seq, original, place(found, earlier, wanted_at, now, settle_millis), now)


def original_of(db: sqlite3.Connection, original: int, time: UnixSeconds) -> Original:
    """How far the conversion has come; one that was uploaded elsewhere counts as delivered at its `time`."""
    row = db.execute(ORIGINAL, (original,)).fetchone()
    if row is None:
        return Original(
            state=State.DELIVERED,
            reason=None,
            time=time,
            sent_time=None,
            settled_at=millis(time),
            currency=None,
            possibly_sent=True,
        )
    return Original(
        state=State(row[0]),
        reason=row[1],
        time=row[2],
        sent_time=row[3],
        settled_at=row[4],
        currency=row[5],
        possibly_sent=bool(row[6]),
        is_erased=bool(row[7]),
        replaced_at=row[8],
    )


def earlier_of(db: sqlite3.Connection, original: int) -> list[Earlier]:
    """Every adjustment of the conversion."""
    return [
        Earlier(
            seq=row[0],
            type=AdjustmentType(row[1]),
            state=State(row[2]),
            possibly_sent=bool(row[3]),
            was_claimed=bool(row[4]),
            adjusted_at=row[5],
            received_at=row[6],
        )
        for row in db.execute(EARLIER, (original,))
    ]


def carry_out(db: sqlite3.Connection, seq: int, original: int, placement: Placement, now: UnixMillis) -> None:
    """Do what was decided with the waiting adjustment `seq`."""
    match placement:
        case WaitForOriginal(superseded):
            _supersede(db, superseded, now)
        case SendAdjustment(due_at, adjusted_at, superseded):
            _supersede(db, superseded, now)
            given = {"seq": seq, "original": original, "due_at": due_at, "adjusted_at": adjusted_at, "now": now}
            db.execute(DUE, given)
            if original > 0:
                db.execute(COPY_IDENTITY, given)
        case Apply(superseded):
            _supersede(db, superseded, now)
            _apply(db, seq, original, now)
        case NotSent():
            _end(db, [seq], State.SKIPPED, Reason.ORIGINAL_NOT_SENT, now)
        case _:
            assert_never(placement)


def _apply(db: sqlite3.Connection, seq: int, original: int, now: UnixMillis) -> None:
    if db.execute(TYPE, (seq,)).fetchone()[0] == AdjustmentType.RETRACT:
        before = State(db.execute(STATE, (original,)).fetchone()[0])
        retracted = db.execute(RETRACT, (now, original)).rowcount
        count(db, {before: -retracted, State.CANCELED: retracted})
        _end(db, [seq], State.CANCELED, Reason.RETRACTED, now)
    else:
        db.execute(RESTATE, {"seq": seq, "original": original})
        _end(db, [seq], State.CANCELED, Reason.APPLIED_BEFORE_UPLOAD, now)


def _supersede(db: sqlite3.Connection, seqs: Sequence[int], now: UnixMillis) -> None:
    if seqs:
        _end(db, seqs, State.CANCELED, Reason.SUPERSEDED, now)


def _end(db: sqlite3.Connection, seqs: Sequence[int], state: State, reason: Reason, now: UnixMillis) -> None:
    ended = db.execute(END, (state.value, reason.value, now, json.dumps(seqs))).rowcount
    count(db, {State.PENDING: -ended, state: ended})
