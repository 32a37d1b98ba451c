"""Settlements: writes what became of a claimed batch, fenced by the token of its claim.

Each function is one transaction's work on the writing connection. What becomes of each row was decided before.
"""

import json
from collections.abc import Container, Mapping
from typing import Any, assert_never

from sidecar.core.entry import Requeue, Settled, Step
from sidecar.core.instant import UnixMillis
from sidecar.core.states_and_reasons import State
from sidecar.ports.delivery import Claim, Note
from sidecar.store.sql import adjustment_rows, batch_requests
from sidecar.store.sql.claiming import CLOSE_BATCH, ROWS_OF_BATCH
from sidecar.store.sql.connection import SqlConnection
from sidecar.store.sql.dialects import sql
from sidecar.store.sql.sent_days import add_sent
from sidecar.store.sql.tallies import COLUMNS, by_state, move

# Fence: only the last claim of a batch may settle it. While it is leased, nothing else changes the rows in it.
FENCED = "SELECT leased FROM batches WHERE id = ? AND token = ? AND settled_at IS NULL"

_DELIVER = """
    SET state = 'delivered', reason = NULL, claimed = 0, settled_at = :now, error = NULL, error_code = NULL,
        message = NULL
    WHERE seq NOT IN [numbers :exceptions] AND """

# All rows of a batch; the second asks each, which costs a fourth more: for batches whose rows are not those claimed.
DELIVERED = sql(f"UPDATE entries {_DELIVER} batch_id = :batch AND claimed = 1")
DELIVERED_EACH = sql(f"UPDATE entries [by no index] {_DELIVER} {ROWS_OF_BATCH}")
IN_BATCH = "SELECT count(*) FROM entries WHERE batch_id = ? AND claimed = 1"
COUNTED = f"SELECT seq, {COLUMNS} FROM entries WHERE batch_id = ? AND claimed = 1"  # noqa: S608 - constants only

# Rows that were not simply delivered: ended otherwise, or due again. The plus keeps SQLite from walking through the
# whole batch for each of them. What may have been sent stays frozen, also if the step
# does not know of it.
EXCEPTIONS = sql(f"""
    UPDATE entries
    SET history = CASE
            WHEN [length history] >= 50 AND [last history, attempt] IS NOT NULL
            THEN [amend history, 'times', coalesce(CAST([last history, times] AS BIGINT), 1) + 1,
                'since', CAST(coalesce([last history, since], [last history, at]) AS BIGINT),
                'attempt', attempt, 'batch_id', batch_id, 'at', :now,
                'tracking_id', CAST(:tracking_id AS TEXT), 'error', step.error, 'error_code', step.error_code]
            ELSE [append history, 'attempt', attempt, 'batch_id', batch_id, 'at', :now,
                'tracking_id', CAST(:tracking_id AS TEXT), 'error', step.error, 'error_code', step.error_code] END,
        claimed = 0,
        state = step.state, reason = step.reason, due_at = coalesce(step.due_at, entries.due_at),
        again = step.again, retries = step.retries, refusals = step.refusals,
        goal = CASE WHEN step.released = 1 AND maybe_sent = 0 THEN NULL ELSE goal END,
        sent_time = CASE WHEN step.released = 1 AND maybe_sent = 0 THEN NULL ELSE sent_time END,
        identity = CASE WHEN step.released = 1 AND maybe_sent = 0 THEN NULL ELSE identity END,
        click = CASE WHEN step.released = 1 AND maybe_sent = 0 THEN NULL ELSE click END,
        clicked_at = CASE WHEN step.released = 1 AND maybe_sent = 0 THEN NULL ELSE clicked_at END,
        error = step.error, error_code = step.error_code, message = step.message,
        settled_at = CASE WHEN step.state = 'pending' THEN NULL ELSE :now END
    FROM [rows :steps AS step (seq bigint, state text, reason text, due_at bigint, again bigint, retries bigint,
        refusals bigint, released bigint, error text, error_code bigint, message text)]
    WHERE entries.seq = step.seq AND [plain batch_id] = :batch AND claimed = 1
    RETURNING {COLUMNS}, entries.state""")  # noqa: S608 - constants only

STOOD_ALONE = "UPDATE batches SET poisoned = poisoned + 1 WHERE id = ?"
POSTPONE = "UPDATE batches SET leased = 0, due_at = ?, answer = ?, tracking_id = ? WHERE id = ?"
MAYBE_SENT = "UPDATE entries SET maybe_sent = 1 WHERE batch_id = ? AND claimed = 1"
NOTE_ERROR = """
    UPDATE entries SET error = ?, error_code = ?, message = ?, refusals = refusals + ?
    WHERE batch_id = ? AND claimed = 1"""
MOVE = sql("""
    UPDATE entries SET batch_id = ? WHERE seq IN [numbers ?] AND batch_id = ? AND claimed = 1""")

# A half of a batch; it was not claimed yet.
NEW_HALF = """
    INSERT INTO batches (account, root, parent, rows, token, leased, due_at, created_at, sent_at, sent_to)
    VALUES (?, ?, ?, ?, 0, 0, ?, ?, ?, ?) RETURNING id"""


def settle(
    db: SqlConnection,
    claim: Claim,
    exceptions: Mapping[int, Step],
    note: Note,
    now: UnixMillis,
    adjustment_delay_millis: int,
) -> bool:
    """Write down what became of each row of a batch, and close it; False when the claim has passed."""
    leased = _leased(db, claim)
    if leased is None:
        return False
    given = {"batch": claim.batch_id, "now": now, "exceptions": json.dumps(list(exceptions))}
    is_whole = db.execute(IN_BATCH, (claim.batch_id,)).fetchone()[0] == len(claim.entries)
    delivered = _rows_of(claim, exceptions) if is_whole and leased else _rows_stored(db, claim, exceptions)
    db.execute(DELIVERED if is_whole else DELIVERED_EACH, given)
    move(db, State.PENDING, State.DELIVERED, delivered, now)
    add_sent(db, claim.account, claim.goal, claim.kind, len(delivered), now)
    if exceptions:
        _settle_exceptions(db, claim, exceptions, note, now)
    db.execute(CLOSE_BATCH, (now, note.answer, note.tracking_id, claim.batch_id))
    adjustment_rows.release(db, (entry.conversion_seq for entry in claim.entries), now, adjustment_delay_millis)
    return True


def _rows_of(claim: Claim, exceptions: Container[int]) -> list[tuple[Any, ...]]:
    """What is counted of a claim's rows but for `exceptions`: nothing changes a row while it is on its way."""
    return [
        (entry.received_at, entry.lane.id, entry.currency, entry.value)
        for entry in claim.entries
        if entry.seq not in exceptions
    ]


def _rows_stored(db: SqlConnection, claim: Claim, exceptions: Container[int]) -> list[tuple[Any, ...]]:
    """The same of the rows that are still in the batch, as they are now."""
    return [tuple(row) for seq, *row in db.execute(COUNTED, (claim.batch_id,)) if seq not in exceptions]


def _settle_exceptions(
    db: SqlConnection, claim: Claim, exceptions: Mapping[int, Step], note: Note, now: UnixMillis
) -> None:
    steps = json.dumps([_step_values(seq, step) for seq, step in exceptions.items()])
    given = {"steps": steps, "now": now, "batch": claim.batch_id, "tracking_id": note.tracking_id}
    for state, rows in by_state(db.execute(EXCEPTIONS, given)).items():
        if state is not State.PENDING:
            move(db, State.PENDING, state, rows)


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
    db: SqlConnection, claim: Claim, due_at: UnixMillis, note: Note, *, maybe_sent: bool, isolated: bool
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


def halve(db: SqlConnection, claim: Claim, note: Note, now: UnixMillis, *, maybe_sent: bool) -> bool:
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


def _holds(db: SqlConnection, claim: Claim) -> bool:
    return _leased(db, claim) is not None


def _leased(db: SqlConnection, claim: Claim) -> bool | None:
    """Whether the batch is leased; None when the claim is not its last one, or it is settled."""
    db.hold((claim.account,))
    found = db.execute(FENCED, (claim.batch_id, claim.token)).fetchone()
    return found and bool(found[0])
