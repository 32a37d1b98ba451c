"""Claims and settlements: every statement that moves a row on its way to Microsoft.

Each function is one transaction's work on the writing connection; what it returns was decided elsewhere.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, assert_never

from sidecar.core.conversion import Kind
from sidecar.core.entry import Entry, Lane, Requeue, Settled, Step
from sidecar.core.instant import MAX_AGE_SECONDS, UnixMillis, seconds
from sidecar.core.record import Record
from sidecar.core.states_and_reasons import State
from sidecar.ports.delivery import Claim, Note
from sidecar.store.sqlite import adjustment_rows, batch_requests
from sidecar.store.sqlite.bulk_statement import BulkStatement
from sidecar.store.sqlite.row_counts import count
from sidecar.store.sqlite.rows import ENTRY_COLUMNS, RECORD_COLUMNS, RECORD_TABLES, entry_of, record_of

# The rows of a batch, found by their index and then asked themselves: SQLite does not ask again what a partial index
# says already, and should a page of the index be older than the table, no row shall be sent or settled by what it was.
_OF_BATCH = """
    seq IN (SELECT seq FROM entries WHERE batch_id = :batch AND claimed = 1) AND batch_id = :batch AND claimed = 1"""

NEW_BATCH = """
    INSERT INTO batches (account, root, rows, token, leased, due_at, created_at, sent_at, sent_to)
    VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?) RETURNING id"""

# A half of a batch; it was not claimed yet.
NEW_HALF = """
    INSERT INTO batches (account, root, parent, rows, token, leased, due_at, created_at, sent_at, sent_to)
    VALUES (?, ?, ?, ?, 0, 0, ?, ?, ?, ?) RETURNING id"""

_WANTED = """
    WITH wanted (batch_id, seq, goal, sent_time, identity, click, clicked_at, evaluated, received_at, value, currency,
        adjusted_at)
    AS (VALUES """
_WANTED_COLUMNS = 12

_TAKE = """)
    UPDATE entries
    SET claimed = 1, batch_id = wanted.batch_id, attempt = attempt + 1, reason = NULL, goal = wanted.goal,
        sent_time = wanted.sent_time, identity = wanted.identity, click = wanted.click, clicked_at = wanted.clicked_at
    FROM wanted
    WHERE entries.seq = wanted.seq AND state = 'pending' AND claimed = 0 AND entries.received_at = wanted.received_at
        AND NOT (entries.visitor IS NOT NULL AND entries.goal IS NULL AND entries.msclkid IS NULL AND EXISTS (
            SELECT 1 FROM clicks c WHERE c.visitor = entries.visitor AND c.visitor_id = entries.visitor_id
                AND c.clicked_at <= entries.time
                AND c.clicked_at > coalesce(wanted.evaluated, -1)))"""

# Put rows into a batch and freeze what will be sent; rows that are no longer free stay out, rows that were replaced
# since they were read, and rows whose visitor got a later click since attribution. This one claims only rows that are
# as they were read, as nearly all are, and returns nothing, which was a tenth of a claim.
TAKE = BulkStatement(
    _WANTED,
    _WANTED_COLUMNS,
    _TAKE
    + """
        AND entries.value IS wanted.value AND entries.currency IS wanted.currency
        AND entries.adjusted_at IS wanted.adjusted_at""",
)

# The same for rows that the first left out: those that were restated go with their new value.
TAKE_RESTATED = BulkStatement(_WANTED, _WANTED_COLUMNS, f"{_TAKE} RETURNING seq")

TAKEN = "SELECT seq FROM entries WHERE batch_id = ? AND claimed = 1"

# Rows of a batch that were changed after they were read.
TAKEN_ENTRIES = f"""
    SELECT lane, {ENTRY_COLUMNS} FROM entries WHERE seq IN (SELECT value FROM json_each(?))"""  # noqa: S608

DROP_BATCH = "DELETE FROM batches WHERE id = ?"
RESIZE_BATCH = "UPDATE batches SET rows = ? WHERE id = ?"

# The open batch of an account that has been due longest; not one for another account at Microsoft, but an empty one.
OPEN_BATCH = """
    SELECT id, token, answer, leased, coalesce(root, id), created_at, sent_to FROM batches
    WHERE settled_at IS NULL AND account = :account AND due_at <= :now AND (
        sent_to IS NULL OR :ids IS NULL OR sent_to = :ids
        OR NOT EXISTS (SELECT 1 FROM entries WHERE batch_id = batches.id AND claimed = 1))
    ORDER BY due_at LIMIT 1"""

# The same where some goals can accept nothing; a batch has rows of one goal.
OPEN_BATCH_BESIDE = """
    SELECT id, token, answer, leased, coalesce(root, id), created_at, sent_to FROM batches
    WHERE settled_at IS NULL AND account = :account AND due_at <= :now AND NOT EXISTS (
        SELECT 1 FROM entries WHERE batch_id = batches.id AND claimed = 1
            AND (goal IN (SELECT value FROM json_each(:held)) OR batches.sent_to <> :ids))
    ORDER BY due_at LIMIT 1"""

# From here on until there is one, its answer is none: that of the request before is noted with it.
RETAKE_BATCH = """
    UPDATE batches
    SET token = token + 1, leased = 1, due_at = ?, sent_at = ?, sent_to = ?, answer = NULL, tracking_id = NULL
    WHERE id = ?"""

# A lease that passed without an answer: its request may have been applied.
RETAKE_ENTRIES = f"""
    UPDATE entries NOT INDEXED SET attempt = attempt + 1, maybe_sent = maybe_sent OR :leased
    WHERE {_OF_BATCH}"""  # noqa: S608

BATCH_ENTRIES = f"SELECT lane, {ENTRY_COLUMNS} FROM entries NOT INDEXED WHERE {_OF_BATCH} ORDER BY seq"  # noqa: S608

ROOT = "SELECT rows, poisoned FROM batches WHERE id = ?"

# Fence: only the last claim of a batch may settle it.
FENCED = "SELECT 1 FROM batches WHERE id = ? AND token = ? AND settled_at IS NULL"

_DELIVER = """
    SET state = 'delivered', reason = NULL, claimed = 0, settled_at = :now, error = NULL, error_code = NULL,
        message = NULL
    WHERE seq NOT IN (SELECT value FROM json_each(:exceptions)) AND """

# All rows of a batch; the second asks each, which costs a fourth more: for batches whose rows are not those claimed.
DELIVERED = f"UPDATE entries {_DELIVER} batch_id = :batch AND claimed = 1"
DELIVERED_EACH = f"UPDATE entries NOT INDEXED {_DELIVER} {_OF_BATCH}"
IN_BATCH = "SELECT count(*) FROM entries WHERE batch_id = ? AND claimed = 1"

# Rows that were not simply delivered: ended otherwise, or due again. The plus keeps SQLite from walking through the
# whole batch for each of them. What may have been sent stays frozen, also if the step
# does not know of it.
EXCEPTIONS = """
    UPDATE entries
    SET history = CASE
            WHEN json_array_length(coalesce(history, '[]')) >= 50 AND history ->> '$[#-1].attempt' IS NOT NULL
            THEN json_set(history, '$[#-1].times', coalesce(history ->> '$[#-1].times', 1) + 1,
                '$[#-1].since', coalesce(history ->> '$[#-1].since', history ->> '$[#-1].at'),
                '$[#-1].attempt', attempt, '$[#-1].batch_id', batch_id, '$[#-1].at', :now,
                '$[#-1].tracking_id', :tracking_id, '$[#-1].error', step.value ->> 8,
                '$[#-1].error_code', step.value ->> 9)
            ELSE json_insert(coalesce(history, '[]'), '$[#]', json_object(
                'attempt', attempt, 'batch_id', batch_id, 'at', :now, 'tracking_id', :tracking_id,
                'error', step.value ->> 8, 'error_code', step.value ->> 9)) END,
        claimed = 0,
        state = step.value ->> 1, reason = step.value ->> 2, due_at = coalesce(step.value ->> 3, due_at),
        again = step.value ->> 4, retries = step.value ->> 5, refusals = step.value ->> 6,
        goal = CASE WHEN step.value ->> 7 AND NOT maybe_sent THEN NULL ELSE goal END,
        sent_time = CASE WHEN step.value ->> 7 AND NOT maybe_sent THEN NULL ELSE sent_time END,
        identity = CASE WHEN step.value ->> 7 AND NOT maybe_sent THEN NULL ELSE identity END,
        click = CASE WHEN step.value ->> 7 AND NOT maybe_sent THEN NULL ELSE click END,
        clicked_at = CASE WHEN step.value ->> 7 AND NOT maybe_sent THEN NULL ELSE clicked_at END,
        error = step.value ->> 8, error_code = step.value ->> 9, message = step.value ->> 10,
        settled_at = CASE WHEN step.value ->> 1 = 'pending' THEN NULL ELSE :now END
    FROM json_each(:steps) AS step
    WHERE entries.seq = step.value ->> 0 AND +batch_id = :batch AND claimed = 1
    RETURNING state"""

CLOSE_BATCH = "UPDATE batches SET settled_at = ?, leased = 0, answer = ?, tracking_id = ? WHERE id = ?"
STOOD_ALONE = "UPDATE batches SET poisoned = poisoned + 1 WHERE id = ?"
POSTPONE = "UPDATE batches SET leased = 0, due_at = ?, answer = ?, tracking_id = ? WHERE id = ?"
MAYBE_SENT = "UPDATE entries SET maybe_sent = 1 WHERE batch_id = ? AND claimed = 1"
NOTE_ERROR = """
    UPDATE entries SET error = ?, error_code = ?, message = ?, refusals = refusals + ?
    WHERE batch_id = ? AND claimed = 1"""
MOVE = """
    UPDATE entries SET batch_id = ? WHERE seq IN (SELECT value FROM json_each(?)) AND batch_id = ? AND claimed = 1"""

# Rows that Microsoft would refuse for their age, but for those whose request is on its way just now.
TOO_OLD = """
    SELECT seq FROM entries e WHERE state = 'pending' AND time < ?
    AND (claimed = 0 OR NOT EXISTS (SELECT 1 FROM batches WHERE id = e.batch_id AND leased = 1 AND due_at > ?))
    ORDER BY time LIMIT ?"""

# One whose lease has passed without an answer may have been sent.
END_TOO_OLD = """
    UPDATE entries SET state = 'dead', reason = 'too_old', claimed = 0, settled_at = ?,
        maybe_sent = maybe_sent OR claimed AND EXISTS (SELECT 1 FROM batches WHERE id = batch_id AND leased = 1)
    WHERE state = 'pending' AND seq IN (SELECT value FROM json_each(?)) RETURNING seq"""

RECORDS = f"SELECT {RECORD_COLUMNS} FROM {RECORD_TABLES} WHERE e.seq IN (SELECT value FROM json_each(?))"  # noqa: S608

# After a start: leases of the process before, whose requests may have been applied.
RELEASE_ENTRIES = """
    UPDATE entries SET maybe_sent = 1 WHERE claimed = 1 AND batch_id IN (
        SELECT id FROM batches WHERE settled_at IS NULL AND leased = 1)"""
RELEASE_BATCHES = "UPDATE batches SET due_at = ?, leased = 0 WHERE settled_at IS NULL AND leased = 1"

LANES = "SELECT id, account, event, kind FROM lanes ORDER BY id"


def take(
    db: sqlite3.Connection,
    account: str,
    entries: Sequence[Entry],
    identities: Sequence[int | None],
    now: UnixMillis,
    until: UnixMillis,
    ids: str | None = None,
) -> Claim | None:
    """A new batch of those `entries` that are still free; None, and nothing written, when there are none."""
    batch_id = db.execute(NEW_BATCH, (account, None, len(entries), 1, until, now, now, ids)).fetchone()[0]
    wanted = [
        (
            *(batch_id, e.seq, e.goal, e.sent_time, identity, e.msclkid or "", e.clicked_at, e.evaluated),
            *(e.received_at, e.value, e.currency, e.adjusted_at),
        )
        for e, identity in zip(entries, identities, strict=True)
    ]
    if TAKE.change(db, wanted) == len(entries):
        taken = [entry.taken() for entry in entries]
    else:
        taken = _take_rest(db, batch_id, entries, wanted)
    if not taken:
        db.execute(DROP_BATCH, (batch_id,))
        return None
    if len(taken) < len(entries):
        db.execute(RESIZE_BATCH, (len(taken), batch_id))
    taken.sort(key=itemgetter(0))
    return Claim(batch_id, 1, account, tuple(taken), False, batch_id, len(taken), 0, now, ids)


def _take_rest(
    db: sqlite3.Connection, batch_id: int, entries: Sequence[Entry], wanted: Sequence[tuple[Any, ...]]
) -> list[Entry]:
    """All entries of the batch, once those are in it too that were restated since they were read."""
    unchanged = {row[0] for row in db.execute(TAKEN, (batch_id,))}
    left = [values for entry, values in zip(entries, wanted, strict=True) if entry.seq not in unchanged]
    restated = [row[0] for row in TAKE_RESTATED.execute(db, left)]
    lanes = {entry.lane.id: entry.lane for entry in entries}
    known = {entry.seq: entry for entry in entries}
    taken = [known[seq].taken() for seq in unchanged]
    return taken + list(_entries(db.execute(TAKEN_ENTRIES, (json.dumps(restated),)), lanes))


def retake(
    db: sqlite3.Connection,
    account: str,
    lanes: Mapping[int, Lane],
    now: UnixMillis,
    until: UnixMillis,
    adjustment_delay_millis: int,
    held: Collection[str] = (),
    ids: str | None = None,
) -> Claim | None:
    """The open batch of `account` that has been due longest, taken again as it was; None when there is none.

    Batches of the goals in `held`, and for another account at Microsoft than `ids`, are left alone. An adjustment
    that was stored meanwhile is applied first, where nothing of the batch can be at Microsoft.
    """
    while row := open_batch(db, account, now, held, ids):
        batch_id, token, answer, leased, root, created_at, sent_to = row
        adjustment_rows.release(db, adjustment_rows.of_batch(db, batch_id), now, adjustment_delay_millis)
        if answer is None and token > 0:
            batch_requests.note_unanswered(db, batch_id, token)
        sent_to = ids if sent_to is None else sent_to
        db.execute(RETAKE_BATCH, (until, now, sent_to, batch_id))
        db.execute(RETAKE_ENTRIES, {"leased": leased, "batch": batch_id})
        entries = tuple(_entries(db.execute(BATCH_ENTRIES, {"batch": batch_id}), lanes))
        if entries:
            # A root is pruned by its own age, which a half may outlive by minutes.
            root_rows, poisoned = db.execute(ROOT, (root,)).fetchone() or (len(entries), 0)
            return Claim(batch_id, token + 1, account, entries, True, root, root_rows, poisoned, created_at, sent_to)
        db.execute(CLOSE_BATCH, (now, "empty", None, batch_id))
    return None


def open_batch(
    db: sqlite3.Connection, account: str, now: UnixMillis, held: Collection[str] = (), ids: str | None = None
) -> tuple[int, int, str | None, int, int, UnixMillis, str | None] | None:
    """id, token, answer, leased, root, created_at and sent_to of the batch that may be claimed again first."""
    given = {"account": account, "now": now, "held": json.dumps(list(held)), "ids": ids}
    row = db.execute(OPEN_BATCH_BESIDE if held else OPEN_BATCH, given).fetchone()
    return row and tuple(row)


def _entries(rows: Iterable[Sequence[Any]], lanes: Mapping[int, Lane]) -> Iterator[Entry]:
    """The entries in rows of `lane` and ENTRY_COLUMNS."""
    return (entry_of(row[1:], lanes[row[0]]) for row in rows)


def settle(
    db: sqlite3.Connection,
    claim: Claim,
    exceptions: Mapping[int, Step],
    note: Note,
    now: UnixMillis,
    adjustment_delay_millis: int,
) -> bool:
    """Write down what became of each row of a batch, and close it; False when the claim has passed."""
    if not _holds(db, claim):
        return False
    given = {"batch": claim.batch_id, "now": now, "exceptions": json.dumps(list(exceptions))}
    in_batch = db.execute(IN_BATCH, (claim.batch_id,)).fetchone()[0]
    delivered = db.execute(DELIVERED if in_batch == len(claim.entries) else DELIVERED_EACH, given).rowcount
    changes = Counter({State.DELIVERED: delivered, State.PENDING: -delivered})
    if exceptions:
        changes.update(_settle_exceptions(db, claim, exceptions, note, now))
    db.execute(CLOSE_BATCH, (now, note.answer, note.tracking_id, claim.batch_id))
    count(db, changes)
    adjustment_rows.release(db, (entry.conversion_seq for entry in claim.entries), now, adjustment_delay_millis)
    return True


def _settle_exceptions(
    db: sqlite3.Connection, claim: Claim, exceptions: Mapping[int, Step], note: Note, now: UnixMillis
) -> Counter[State]:
    steps = json.dumps([_step_values(seq, step) for seq, step in exceptions.items()])
    given = {"steps": steps, "now": now, "batch": claim.batch_id, "tracking_id": note.tracking_id}
    ended = Counter(State(row[0]) for row in db.execute(EXCEPTIONS, given))
    ended[State.PENDING] = ended[State.PENDING] - ended.total()
    return ended


def _step_values(seq: int, step: Step) -> tuple[Any, ...]:
    """seq, state, reason, due_at, again, retries, refusals, released, error, error_code, message."""
    fault = (step.fault.error, step.fault.error_code, step.fault.message) if step.fault else (None, None, None)
    match step:
        case Settled(state=state, reason=reason):
            return (seq, state.value, reason, None, 0, 0, 0, 0, *fault)
        case Requeue(due_at=due_at, reason=reason, released=released, retries=retries, refusals=refusals):
            return (seq, "pending", reason, due_at, int(retries > 0), retries, refusals, int(released), *fault)
        case _:
            assert_never(step)


def postpone(
    db: sqlite3.Connection, claim: Claim, due_at: UnixMillis, note: Note, *, maybe_sent: bool, isolated: bool
) -> bool:
    """Keep the batch as it is until `due_at`; False when the claim has passed.

    `maybe_sent` notes that the request may have been applied, `isolated` that its only row was refused once more.
    """
    if not _holds(db, claim):
        return False
    batch_requests.note(db, claim, note, note.at, due_at)
    db.execute(POSTPONE, (due_at, note.answer, note.tracking_id, claim.batch_id))
    db.execute(NOTE_ERROR, (note.error, note.error_code, note.message, int(isolated), claim.batch_id))
    if maybe_sent:
        db.execute(MAYBE_SENT, (claim.batch_id,))
    if isolated and claim.entries[0].refusals == 0:
        db.execute(STOOD_ALONE, (claim.root,))
    return True


def halve(db: sqlite3.Connection, claim: Claim, note: Note, now: UnixMillis, *, maybe_sent: bool) -> bool:
    """Two batches in place of one, both due now; False when the claim has passed."""
    if not _holds(db, claim):
        return False
    if maybe_sent:
        db.execute(MAYBE_SENT, (claim.batch_id,))
    batch_requests.note(db, claim, note, now, now)
    middle = len(claim.entries) // 2
    for half in (claim.entries[:middle], claim.entries[middle:]):
        values = (claim.account, claim.root, claim.batch_id, len(half), now, now, now, claim.sent_to)
        batch_id = db.execute(NEW_HALF, values).fetchone()[0]
        db.execute(MOVE, (batch_id, json.dumps([entry.seq for entry in half]), claim.batch_id))
    db.execute(CLOSE_BATCH, (now, note.answer, note.tracking_id, claim.batch_id))
    return True


def expire(db: sqlite3.Connection, now: UnixMillis, limit: int, adjustment_delay_millis: int) -> list[Record]:
    """End up to `limit` pending rows that are older than Microsoft takes; the rows as they are afterwards."""
    oldest = seconds(now) - MAX_AGE_SECONDS
    found = json.dumps([row[0] for row in db.execute(TOO_OLD, (oldest, now, limit))])
    ended = [row[0] for row in db.execute(END_TOO_OLD, (now, found))]
    count(db, {State.PENDING: -len(ended), State.DEAD: len(ended)})
    records = [record_of(row) for row in db.execute(RECORDS, (json.dumps(ended),))] if ended else []
    adjustment_rows.release(db, (record.conversion_seq for record in records), now, adjustment_delay_millis)
    return records


def release_leases(db: sqlite3.Connection, now: UnixMillis) -> None:
    """Void every lease, whose holder owned the file before; what they covered may have been sent."""
    db.execute(RELEASE_ENTRIES)
    db.execute(RELEASE_BATCHES, (now,))


def load_lanes(db: sqlite3.Connection) -> tuple[Lane, ...]:
    """Every lane there is."""
    rows = db.execute(LANES)
    return tuple(Lane(row[0], row[1], row[2], Kind(row[3])) for row in rows)


def _holds(db: sqlite3.Connection, claim: Claim) -> bool:
    return db.execute(FENCED, (claim.batch_id, claim.token)).fetchone() is not None
