"""Operators' work on rows: dead and skipped ones become due again, waiting and dead ones are discarded.

By filter it goes in slices of the index of ended rows, each a transaction of its own that keeps the counts.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sidecar.core.conversion import Kind
from sidecar.core.entry import Lane
from sidecar.core.instant import MAX_AGE_SECONDS, UnixMillis, seconds
from sidecar.core.states_and_reasons import State
from sidecar.ports.errors import StorageUnavailable
from sidecar.ports.upkeep import Moved, ReplayQuery, ReplaySlice, Unmoved
from sidecar.store.sql import adjustment_rows, row_lists
from sidecar.store.sql.account_holds import accounts_of
from sidecar.store.sql.connection import SqlConnection
from sidecar.store.sql.dialects import sql
from sidecar.store.sql.row_counts import counts
from sidecar.store.sql.rows import BOUND_TO, HAS_ENDED
from sidecar.store.sql.tallies import COLUMNS, move

_TAKEN_BACK = """
    EXISTS (SELECT 1 FROM entries a WHERE a.original = entries.seq AND a.type = 'retract'
        AND a.state IN ('pending', 'delivered') AND a.received_at >= coalesce(entries.replaced_at, 0))"""

# Where a slice of ended rows ends: the last of the next :rows rows of the state.
SLICE = sql(f"""
    SELECT max(seq) FROM (
        SELECT seq FROM entries [by entries_ended]
        WHERE state = :state AND {HAS_ENDED} AND seq > :after
        ORDER BY seq LIMIT :rows) AS slice""")  # noqa: S608 - constants only

# What fits a filter in a slice, and whether Microsoft would refuse it for its age. Of an erased row nothing is left;
# what is taken back at Microsoft must not get there again.
FITTING = sql(f"""
    SELECT seq, lane, time < :oldest FROM entries [by entries_ended]
    WHERE state = :state AND {HAS_ENDED} AND seq > :after AND seq <= :last
        AND coalesce(reason, '') <> 'erased' AND content <> '' AND (CAST(:reason AS TEXT) IS NULL OR reason = :reason)
        AND lane IN [numbers :lanes] AND (CAST(:since AS BIGINT) IS NULL OR received_at >= :since)
        AND NOT {_TAKEN_BACK}""")  # noqa: S608 - constants only

_NOTED = """
    history = CASE WHEN [length history] >= 50 THEN history ELSE
        [append history, '{verb}_at', :now, 'state', state, 'reason', reason, 'settled_at', settled_at, 'error', error,
            'error_code', error_code, 'message', message] END"""

# Due again at once. What may be at Microsoft already keeps goal, second and identity: the very same bytes go again.
REPLAY = sql(f"""
    UPDATE entries
    SET {_NOTED.format(verb="replayed")},
        state = 'pending', reason = CASE WHEN time * 1000 > :now THEN 'not_yet' END,
        due_at = [greatest :now, time * 1000],
        claimed = 0, again = 0, retries = 0, refusals = 0, settled_at = NULL,
        error = NULL, error_code = NULL, message = NULL,
        goal = CASE WHEN maybe_sent = 1 THEN goal END, sent_time = CASE WHEN maybe_sent = 1 THEN sent_time END,
        identity = CASE WHEN maybe_sent = 1 THEN identity END,
        click = CASE WHEN maybe_sent = 1 THEN click END, clicked_at = CASE WHEN maybe_sent = 1 THEN clicked_at END
    WHERE seq IN [numbers :seqs] AND state IN ('dead', 'skipped')
    RETURNING {COLUMNS}""")  # noqa: S608 - constants only

# A row that may go back into the outbox: nothing of it is too old, erased or taken back.
REPLAYABLE = f"""
    SELECT 1 FROM entries
    WHERE seq = ? AND state IN ('dead', 'skipped') AND coalesce(reason, '') <> 'erased' AND content <> '' AND time >= ?
        AND NOT {_TAKEN_BACK}"""  # noqa: S608 - constants only

# Ends a row of which nothing can be at Microsoft, and that no request carries just now; or one that waits for another
# account at Microsoft to come back.
DISCARD = sql(f"""
    UPDATE entries
    SET {_NOTED.format(verb="discarded")}, state = 'canceled', reason = 'discarded', claimed = 0, settled_at = :now
    WHERE seq = :seq AND (state = 'dead' AND maybe_sent = 0 OR state = 'pending' AND (
            claimed = 0 OR EXISTS (SELECT 1 FROM batches WHERE id = batch_id AND leased = 0))
        AND (maybe_sent = 0 OR {BOUND_TO} <> :ids))
    RETURNING {COLUMNS}""")  # noqa: S608


def replay(db: SqlConnection, seq: int, now: UnixMillis, max_pending: int) -> Moved | Unmoved | None:
    """Make one row due again. Unmoved where it may not be; None when there is no such row."""
    db.hold(accounts_of(db, [seq]))
    before = row_lists.get(db, seq)
    if before is None:
        return None
    if db.execute(REPLAYABLE, (seq, _oldest(now))).fetchone() is None:
        return Unmoved(before)
    _replay(db, [seq], before.state, now, max_pending)
    return _moved(db, seq)


def discard(
    db: SqlConnection, seq: int, now: UnixMillis, adjustment_delay_millis: int, ids: str | None = None
) -> Moved | Unmoved | None:
    """End one row as canceled. Unmoved where it may not be; None when there is no such row.

    `ids` is which account its own is at Microsoft now.
    """
    db.hold(accounts_of(db, [seq]))
    before = row_lists.get(db, seq)
    if before is None:
        return None
    discarded = db.execute(DISCARD, {"seq": seq, "now": now, "ids": ids}).fetchall()
    if not discarded:
        return Unmoved(before)
    move(db, before.state, State.CANCELED, discarded)
    adjustment_rows.release(db, [before.conversion_seq], now, adjustment_delay_millis)
    return _moved(db, seq)


def _moved(db: SqlConnection, seq: int) -> Moved:
    after = row_lists.get(db, seq)
    assert after is not None
    return Moved(after)


# --- By filter -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Found:
    """What a slice holds for a query: rows to be replayed, how many of which account, and how many are too old."""

    seqs: Sequence[int] = ()
    accounts: Mapping[str, int] = field(default_factory=dict)
    too_old: int = 0
    last: int | None = None
    """Where the next slice goes on; None at the end."""

    @property
    def slice(self) -> ReplaySlice:
        return ReplaySlice(len(self.seqs), self.too_old, self.accounts, self.last)


def preview(
    db: SqlConnection, query: ReplayQuery, lanes: Sequence[Lane], after_seq: int, limit: int, now: UnixMillis
) -> ReplaySlice:
    """What `replay_slice` would replay; nothing is written."""
    return _found(db, query, lanes, after_seq, limit, now).slice


def replay_slice(
    db: SqlConnection,
    query: ReplayQuery,
    lanes: Sequence[Lane],
    after_seq: int,
    limit: int,
    now: UnixMillis,
    max_pending: int,
) -> ReplaySlice:
    """Make due again what fits `query` among the next `limit` rows of its state after `after_seq`."""
    db.hold_all()
    found = _found(db, query, lanes, after_seq, limit, now)
    if found.seqs:
        _replay(db, found.seqs, query.state, now, max_pending)
    return found.slice


def _found(
    db: SqlConnection, query: ReplayQuery, lanes: Sequence[Lane], after_seq: int, limit: int, now: UnixMillis
) -> _Found:
    given: dict[str, Any] = {"state": query.state.value, "after": after_seq, "rows": limit}
    last = db.execute(SLICE, given).fetchone()[0]
    if last is None:
        return _Found()
    wanted = {lane.id: lane.account for lane in lanes if _fits(lane, query)}
    given |= {"last": last, "reason": query.reason, "since": query.since, "oldest": _oldest(now)}
    rows = db.execute(FITTING, given | {"lanes": json.dumps(list(wanted))}).fetchall()
    young = [(seq, lane) for seq, lane, old in rows if not old]
    accounts = Counter(wanted[lane] for _, lane in young)
    return _Found([seq for seq, _ in young], accounts, len(rows) - len(young), last)


def _fits(lane: Lane, query: ReplayQuery) -> bool:
    is_wanted = query.event in (None, lane.event) and query.account in (None, lane.account)
    return lane.kind is Kind.CONVERSION and is_wanted


def _replay(db: SqlConnection, seqs: Sequence[int], state: State, now: UnixMillis, max_pending: int) -> None:
    if counts(db).pending + len(seqs) > max_pending:
        raise StorageUnavailable("outbox_growing", "storage.max_pending rows are waiting")
    move(db, state, State.PENDING, db.execute(REPLAY, {"seqs": json.dumps(seqs), "now": now}).fetchall())
    adjustment_rows.release_replayed(db, seqs, now)


def _oldest(now: UnixMillis) -> int:
    """The earliest time of a conversion that Microsoft takes; as `core.entry.too_old` has it."""
    return seconds(now) - MAX_AGE_SECONDS
