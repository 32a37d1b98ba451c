"""The rows of SQLite as `store.adjustments` needs them; nothing here decides what becomes of an adjustment."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sidecar.core.adjustment import Earlier, Original
from sidecar.core.conversion import AdjustmentType
from sidecar.core.entry import Lane
from sidecar.core.instant import UnixMillis, UnixSeconds
from sidecar.core.keys import Key
from sidecar.core.record import Record
from sidecar.core.repeats import KeyedAdjustment
from sidecar.core.states_and_reasons import Reason, State
from sidecar.store import adjustments
from sidecar.store.row_primitives import NewAdjustment, WaitingAdjustment
from sidecar.store.sql import row_lists
from sidecar.store.sql.connection import SqlConnection
from sidecar.store.sql.dialects import sql
from sidecar.store.sql.tallies import COLUMNS, Tallied, move

# The conversions of some keys: an order id under every account and event it may be of.
OF_ORDER = sql("""
    SELECT e.seq FROM [rows ? AS wanted (key_hash bigint, key_digest text)]
    JOIN entries e ON e.key_hash = wanted.key_hash AND e.key_digest = wanted.key_digest
        AND e.original IS NULL""")

UNDER_KEY = """
    SELECT seq, content, state FROM entries
    WHERE key_hash = ? AND key_digest = ? AND original IS NOT NULL ORDER BY seq"""

# How far a conversion has come. One whose lease has passed without an answer may have been sent, too.
ORIGINAL = """
    SELECT e.state, e.reason, e.time, e.sent_time, e.settled_at, e.currency,
        e.maybe_sent = 1 OR e.claimed = 1 AND coalesce(b.leased, 0) = 1,
        e.content = '' OR coalesce(e.reason, '') = 'erased',
        coalesce(e.replaced_at, 0)
    FROM entries e LEFT JOIN batches b ON b.id = e.batch_id WHERE e.seq = ?"""

# The adjustments of a conversion, in the order of their receipt.
EARLIER = """
    SELECT e.seq, e.type, e.state, e.maybe_sent = 1 OR e.claimed = 1 AND coalesce(b.leased, 0) = 1, e.attempt > 0,
        e.adjusted_at, e.received_at, e.content, e.reason
    FROM entries e LEFT JOIN batches b ON b.id = e.batch_id WHERE e.original = ? ORDER BY e.seq"""

# Whether any adjustment waits at all: mostly none does, and then settling costs nothing more.
ANY_WAITING = "SELECT EXISTS (SELECT 1 FROM entries WHERE reason = 'awaiting_original')"

# Those that wait for one of these conversions, or for another adjustment of it.
WAITING = sql("""
    SELECT w.seq, w.original, w.adjusted_at, w.time
    FROM [rows ? AS wanted (original bigint)]
    JOIN entries w [by entries_awaiting] ON w.original = wanted.original
    WHERE w.reason = 'awaiting_original' AND w.state = 'pending'""")

# The conversions that are in a batch, and those whose adjustments are.
OF_BATCH = "SELECT coalesce(original, seq) FROM entries WHERE batch_id = ? AND claimed = 1"

LANE = "SELECT id FROM lanes WHERE account = ? AND event = ? AND kind = 'adjustment'"
NEW_LANE = "INSERT INTO lanes (account, event, kind) VALUES (?, ?, 'adjustment') RETURNING id"

_COLUMNS = NewAdjustment._fields[2:]  # account and event are the lane's
INSERT = f"""
    INSERT INTO entries (lane, state, reason, {", ".join(_COLUMNS)})
    VALUES (?, 'pending', 'awaiting_original', {", ".join("?" * len(_COLUMNS))})
    RETURNING seq"""  # noqa: S608 - constants only

DUE = """
    UPDATE entries
    SET reason = CASE WHEN CAST(:due_at AS BIGINT) > :now THEN 'not_yet' END, due_at = :due_at,
        adjusted_at = :adjusted_at
    WHERE seq = :seq"""

# From now on it names its conversion exactly as that was sent, regardless of later changes to the mapping.
COPY_IDENTITY = """
    UPDATE entries
    SET goal = o.goal, sent_time = o.sent_time, click = coalesce(o.click, o.msclkid, ''),
        email_sha256 = o.email_sha256, phone_sha256 = o.phone_sha256
    FROM entries AS o WHERE entries.seq = :seq AND o.seq = :original"""

# The conversion is changed in place, waiting or ended: nothing of it is at Microsoft.
RESTATE = """
    UPDATE entries SET value = o.value, currency = o.currency
    FROM entries AS o WHERE entries.seq = :original AND o.seq = :seq"""

# By what a row is counted, and its state.
COUNTED = f"SELECT {COLUMNS}, state FROM entries WHERE seq = ?"  # noqa: S608 - constants only

RETRACT = f"""
    UPDATE entries SET state = 'canceled', reason = 'retracted', claimed = 0, settled_at = ?
    WHERE seq = ? AND state IN ('pending', 'skipped', 'dead')
    RETURNING {COLUMNS}"""  # noqa: S608 - constants only

# Ended without having been sent; out of its batch, should it be in one that waits to go again.
END = sql(f"""
    UPDATE entries SET state = ?, reason = ?, claimed = 0, settled_at = ?
    WHERE seq IN [numbers ?] AND state = 'pending'
    RETURNING {COLUMNS}""")  # noqa: S608 - constants only

# The last adjustment of each of these conversions, if it ended because the conversion had not been sent. The plus keeps
# SQLite from walking through all that were skipped.
REVIVE = sql(f"""
    UPDATE entries SET state = 'pending', reason = 'awaiting_original', settled_at = NULL
    FROM [rows ? AS wanted (conversion bigint)]
    WHERE entries.seq = (SELECT max(a.seq) FROM entries a WHERE a.original = wanted.conversion)
        AND [plain state] = 'skipped' AND reason = 'original_not_sent'
        AND received_at >= (SELECT o.received_at FROM entries o WHERE o.seq = wanted.conversion)
    RETURNING {COLUMNS}""")  # noqa: S608 - constants only


@dataclass(slots=True)
class SqlAdjustmentRows:
    """Implements `AdjustmentRows` inside the caller's transaction; `lanes` are those that are known."""

    db: SqlConnection
    lanes: Sequence[Lane] = ()
    opened_lane: bool = False
    """Whether the first adjustment of an account's event made a lane for them."""

    def record(self, seq: int) -> Record | None:
        record = row_lists.get(self.db, seq)
        if record is not None:
            self.db.hold((record.account,))  # as a rule it is held since the group began
        return record

    def of_order(self, order_id: str, event: str | None) -> list[int]:
        lanes = {(lane.account, lane.event) for lane in self.lanes if event in (None, lane.event)}
        return [row[0] for row in self.db.execute(OF_ORDER, (row_lists.order_keys(order_id, lanes),))]

    def under_key(self, key: Key) -> Sequence[KeyedAdjustment]:
        rows = self.db.execute(UNDER_KEY, (key.hash, key.digest))
        return [KeyedAdjustment(seq, content, State(state)) for seq, content, state in rows]

    def original(self, seq: int) -> Original | None:
        row = self.db.execute(ORIGINAL, (seq,)).fetchone()
        return row and Original(
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

    def earlier(self, original: int) -> list[Earlier]:
        return [
            Earlier(
                seq=row[0],
                type=AdjustmentType(row[1]),
                state=State(row[2]),
                possibly_sent=bool(row[3]),
                was_claimed=bool(row[4]),
                adjusted_at=row[5],
                received_at=row[6],
                content=row[7],
                reason=row[8],
            )
            for row in self.db.execute(EARLIER, (original,))
        ]

    def waiting(self, originals: Iterable[int]) -> Sequence[WaitingAdjustment]:
        if not self.db.execute(ANY_WAITING).fetchone()[0]:
            return ()
        rows = self.db.execute(WAITING, (json.dumps([[one] for one in set(originals)]),)).fetchall()
        return [WaitingAdjustment._make(row) for row in rows]

    def add(self, new: NewAdjustment) -> int:
        account, event, *values = new
        lane = self._lane(account, event)
        seq: int = self.db.execute(INSERT, (lane, *values)).fetchone()[0]
        move(self.db, None, State.PENDING, [Tallied(new.received_at, lane, new.currency, new.value)])
        return seq

    def _lane(self, account: str, event: str) -> int:
        row = self.db.execute(LANE, (account, event)).fetchone()
        if row is None:
            self.opened_lane = True
            row = self.db.execute(NEW_LANE, (account, event)).fetchone()
        return int(row[0])

    def send(self, seq: int, original: int, due_at: UnixMillis, adjusted_at: UnixSeconds, now: UnixMillis) -> None:
        given = {"seq": seq, "original": original, "due_at": due_at, "adjusted_at": adjusted_at, "now": now}
        self.db.execute(DUE, given)
        if original > 0:
            self.db.execute(COPY_IDENTITY, given)

    def restate(self, original: int, seq: int) -> None:
        *before, state = self.db.execute(COUNTED, (original,)).fetchone()
        self.db.execute(RESTATE, {"seq": seq, "original": original})
        *after, _ = self.db.execute(COUNTED, (original,)).fetchone()
        move(self.db, State(state), None, [before])
        move(self.db, None, State(state), [after])

    def retract(self, original: int, now: UnixMillis) -> None:
        before = State(self.db.execute(COUNTED, (original,)).fetchone()[-1])
        move(self.db, before, State.CANCELED, self.db.execute(RETRACT, (now, original)).fetchall())

    def end(self, seqs: Sequence[int], state: State, reason: Reason, now: UnixMillis) -> None:
        ended = self.db.execute(END, (state.value, reason.value, now, json.dumps(seqs))).fetchall()
        move(self.db, State.PENDING, state, ended)

    def revive(self, conversions: Sequence[int]) -> None:
        move(
            self.db,
            State.SKIPPED,
            State.PENDING,
            self.db.execute(REVIVE, (json.dumps([[one] for one in conversions]),)).fetchall(),
        )


def release(db: SqlConnection, originals: Iterable[int], now: UnixMillis, adjustment_delay_millis: int) -> None:
    """Carry out what waited for these conversions, which were settled or ended."""
    adjustments.release(SqlAdjustmentRows(db), originals, now, adjustment_delay_millis)


def release_replayed(db: SqlConnection, conversions: Sequence[int], now: UnixMillis) -> None:
    """Let what was wanted of these conversions, which are due again, wait for them again or be carried out."""
    adjustments.release_replayed(SqlAdjustmentRows(db), conversions, now)


def of_batch(db: SqlConnection, batch_id: int) -> Iterator[int]:
    """The conversions that are in a batch, and those whose adjustments are; asked only when iterated."""
    yield from [row[0] for row in db.execute(OF_BATCH, (batch_id,))]
