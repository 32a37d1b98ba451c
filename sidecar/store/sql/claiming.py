"""Claims: puts due rows into a batch, freezes what will be sent, and takes an open batch again as it was.

Each function is one transaction's work on the writing connection. Which rows go, and how, was decided before.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from operator import attrgetter

from sidecar.core.entry import Entry, Lane
from sidecar.core.instant import UnixMillis
from sidecar.ports.delivery import Claim
from sidecar.store.sql import adjustment_rows, batch_requests
from sidecar.store.sql.connection import BulkStatement, SqlConnection
from sidecar.store.sql.dialects import sql
from sidecar.store.sql.rows import ENTRY_JSON, entries_of
from sidecar.store.sql.snapshot import lanes_of

# The rows of a batch, found by their index and then checked in the table: SQLite does not check again what a partial
# index implies. Where a page of the index is older than the table, no row is sent or settled by what it was.
ROWS_OF_BATCH = """
    seq IN (SELECT seq FROM entries WHERE batch_id = :batch AND claimed = 1) AND batch_id = :batch AND claimed = 1"""

NEW_BATCH = """
    INSERT INTO batches (account, root, rows, token, leased, due_at, created_at, sent_at, sent_to)
    VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?) RETURNING id"""

# Put rows into a batch and freeze what will be sent, where they are as they were read. Left out are rows that are no
# longer free, and that were replaced or restated. It returns nothing, which was a tenth of a claim.
_ALWAYS = "seq, identity, click, received_at, value, currency"
_FREEZE = """
    SET claimed = 1, attempt = attempt + 1, reason = NULL, identity = wanted.identity, click = wanted.click"""
_AS_READ = """batch_id = ?, goal = ? FROM wanted
    WHERE entries.seq = wanted.seq AND state = 'pending' AND claimed = 0 AND entries.received_at = wanted.received_at
        AND entries.value IS NOT DISTINCT FROM wanted.value AND entries.currency IS NOT DISTINCT FROM wanted.currency"""

# Conversions at their own second, for which no click was looked up: as most are. It binds less than the next one does,
# which saves a sixteenth of a row's way out.
TAKE = BulkStatement(
    f"WITH wanted ({_ALWAYS}) AS (",
    "bigint bigint text bigint text text",
    f""")
    UPDATE entries {_FREEZE}, sent_time = time, {_AS_READ}""",
)

# The others. Left out are also those whose visitor got a later click.
TAKE_CHOSEN = BulkStatement(
    f"WITH wanted ({_ALWAYS}, sent_time, clicked_at, evaluated, adjusted_at) AS (",
    "bigint bigint text bigint text text bigint bigint bigint bigint",
    f""")
    UPDATE entries {_FREEZE}, sent_time = wanted.sent_time, clicked_at = wanted.clicked_at, {_AS_READ}
        AND entries.adjusted_at IS NOT DISTINCT FROM wanted.adjusted_at
        AND NOT (entries.visitor IS NOT NULL AND entries.goal IS NULL AND entries.msclkid IS NULL AND EXISTS (
            SELECT 1 FROM clicks c WHERE c.visitor = entries.visitor AND c.visitor_id = entries.visitor_id
                AND c.clicked_at <= entries.time
                AND c.clicked_at > coalesce(wanted.evaluated, -1)))""",  # noqa: S608 - constants only
)

TAKEN = "SELECT seq FROM entries WHERE batch_id = ? AND claimed = 1"

DROP_BATCH = "DELETE FROM batches WHERE id = ?"
RESIZE_BATCH = "UPDATE batches SET rows = ? WHERE id = ?"

# The open batch of an account that has been due longest; not one for another account at Microsoft, but an empty one.
OPEN_BATCH = """
    SELECT id, token, answer, leased, coalesce(root, id), created_at, sent_to FROM batches
    WHERE settled_at IS NULL AND account = :account AND due_at <= :now AND (
        sent_to IS NULL OR CAST(:ids AS TEXT) IS NULL OR sent_to = :ids
        OR NOT EXISTS (SELECT 1 FROM entries WHERE batch_id = batches.id AND claimed = 1))
    ORDER BY due_at LIMIT 1"""

# The same where some goals can accept nothing; a batch has rows of one goal.
OPEN_BATCH_BESIDE = sql("""
    SELECT id, token, answer, leased, coalesce(root, id), created_at, sent_to FROM batches
    WHERE settled_at IS NULL AND account = :account AND due_at <= :now AND NOT EXISTS (
        SELECT 1 FROM entries WHERE batch_id = batches.id AND claimed = 1
            AND (goal IN [texts :held] OR batches.sent_to <> :ids))
    ORDER BY due_at LIMIT 1""")

# From here on until there is one, its answer is none: that of the request before is noted with it.
RETAKE_BATCH = """
    UPDATE batches
    SET token = token + 1, leased = 1, due_at = ?, sent_at = ?, sent_to = ?, answer = NULL, tracking_id = NULL
    WHERE id = ?"""

# A lease that passed without an answer: its request may have been applied.
RETAKE_ENTRIES = sql(f"""
    UPDATE entries [by no index]
    SET attempt = attempt + 1, maybe_sent = CASE WHEN :leased = 1 THEN 1 ELSE maybe_sent END
    WHERE {ROWS_OF_BATCH}""")  # noqa: S608

BATCH_ENTRIES = sql(f"SELECT lane, {ENTRY_JSON} FROM entries [by no index] WHERE {ROWS_OF_BATCH} ORDER BY seq")  # noqa: S608

ROOT = "SELECT rows, poisoned FROM batches WHERE id = ?"

CLOSE_BATCH = "UPDATE batches SET settled_at = ?, leased = 0, answer = ?, tracking_id = ? WHERE id = ?"

# After a start: leases of the process before, whose requests may have been applied.
RELEASE_ENTRIES = """
    UPDATE entries SET maybe_sent = 1 WHERE claimed = 1 AND batch_id IN (
        SELECT id FROM batches WHERE settled_at IS NULL AND leased = 1)"""
RELEASE_BATCHES = "UPDATE batches SET due_at = ?, leased = 0 WHERE settled_at IS NULL AND leased = 1"

# After a replica took accounts over: those of the replica before it.
RELEASE_ENTRIES_OF = sql("""
    UPDATE entries SET maybe_sent = 1 WHERE claimed = 1 AND batch_id IN (
        SELECT id FROM batches WHERE settled_at IS NULL AND leased = 1 AND account IN [texts ?])""")
RELEASE_BATCHES_OF = sql("""
    UPDATE batches SET due_at = ?, leased = 0 WHERE settled_at IS NULL AND leased = 1 AND account IN [texts ?]""")


def take(
    db: SqlConnection,
    account: str,
    entries: Sequence[Entry],
    identities: Sequence[int | None],
    now: UnixMillis,
    until: UnixMillis,
    ids: str | None = None,
) -> Claim | None:
    """A new batch of those `entries` that are as they were read; None, and nothing written, when there are none."""
    if not entries:
        return None
    db.hold((account,))
    batch_id = db.execute(NEW_BATCH, (account, None, len(entries), 1, until, now, now, ids)).fetchone()[0]
    if _put_in(db, batch_id, entries, identities) < len(entries):
        in_batch = {seq for (seq,) in db.execute(TAKEN, (batch_id,))}
        entries = [entry for entry in entries if entry.seq in in_batch]
        db.execute(RESIZE_BATCH, (len(entries), batch_id))
    if not entries:
        db.execute(DROP_BATCH, (batch_id,))
        return None
    taken = sorted([entry.taken() for entry in entries], key=attrgetter("seq"))
    return Claim(batch_id, 1, account, tuple(taken), False, batch_id, len(taken), 0, now, ids)


def _put_in(db: SqlConnection, batch_id: int, entries: Sequence[Entry], identities: Sequence[int | None]) -> int:
    """Put entries of one goal into a batch; how many were as they had been read."""
    plain, chosen = [], []
    for e, identity in zip(entries, identities, strict=True):
        checked = (e.seq, identity, e.msclkid or "", e.received_at, e.value, e.currency)
        no_click = e.visitor_id is None and e.clicked_at is None
        if no_click and e.sent_time == e.time and e.adjusted_at is None:
            plain.append(checked)
        else:
            chosen.append((*checked, e.sent_time, e.clicked_at, e.evaluated, e.adjusted_at))
    frozen = (batch_id, entries[0].goal)
    return TAKE.change(db, plain, frozen) + TAKE_CHOSEN.change(db, chosen, frozen)


def retake(
    db: SqlConnection,
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
    db.hold((account,))
    while row := open_batch(db, account, now, held, ids):
        batch_id, token, answer, leased, root, created_at, sent_to = row
        adjustment_rows.release(db, adjustment_rows.of_batch(db, batch_id), now, adjustment_delay_millis)
        if answer is None and token > 0:
            batch_requests.note_unanswered(db, batch_id, token)
        sent_to = ids if sent_to is None else sent_to
        db.execute(RETAKE_BATCH, (until, now, sent_to, batch_id))
        db.execute(RETAKE_ENTRIES, {"leased": leased, "batch": batch_id})
        rows = db.execute(BATCH_ENTRIES, {"batch": batch_id}).fetchall()
        known = {**lanes, **(lanes_of(db) if any(lane not in lanes for lane, _ in rows) else {})}
        entries = tuple(entry for lane, row in rows for entry in entries_of(f"[{row}]", known[lane]))
        if entries:
            # A root is pruned by its own age, which a half may outlive by minutes.
            root_rows, poisoned = db.execute(ROOT, (root,)).fetchone() or (len(entries), 0)
            return Claim(batch_id, token + 1, account, entries, True, root, root_rows, poisoned, created_at, sent_to)
        db.execute(CLOSE_BATCH, (now, "empty", None, batch_id))
    return None


def open_batch(
    db: SqlConnection, account: str, now: UnixMillis, held: Collection[str] = (), ids: str | None = None
) -> tuple[int, int, str | None, int, int, UnixMillis, str | None] | None:
    """id, token, answer, leased, root, created_at and sent_to of the batch that may be claimed again first."""
    given = {"account": account, "now": now, "held": json.dumps(list(held)), "ids": ids}
    row = db.execute(OPEN_BATCH_BESIDE if held else OPEN_BATCH, given).fetchone()
    return row and tuple(row)


def release_leases(db: SqlConnection, now: UnixMillis) -> None:
    """Void every lease, whose holder owned the file before; what they covered may have been sent."""
    db.execute(RELEASE_ENTRIES)
    db.execute(RELEASE_BATCHES, (now,))


def release_leases_of(db: SqlConnection, accounts: Sequence[str], now: UnixMillis) -> None:
    """Void the leases of these accounts' batches, which another replica sent before."""
    db.hold(accounts)
    names = json.dumps(list(accounts))
    db.execute(RELEASE_ENTRIES_OF, (names,))
    db.execute(RELEASE_BATCHES_OF, (now, names))
