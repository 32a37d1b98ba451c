"""Rows whose goal is fixed: in open batches, and of those that wait by themselves. Which goals, and who may be let go.

A row that was definitely refused each time follows the mapping and the account's ids again; one that may have been sent
keeps its goal, and the account at Microsoft that it went to.
"""

import json
from collections.abc import Iterable, Mapping, Sequence

from sidecar.core.answer import Verdict
from sidecar.core.entry import Lane
from sidecar.core.instant import UnixMillis
from sidecar.core.waiting_summary import Waiting
from sidecar.ports.delivery import OpenBatches, refusal
from sidecar.store.sql import adjustment_rows
from sidecar.store.sql.connection import SqlConnection
from sidecar.store.sql.dialects import sql
from sidecar.store.sql.rows import BOUND_TO

COUNTED_ROWS = 10_000
"""Where counting what waits for a goal is given up."""

# The goals of an account's open batches: a batch has rows of one goal, and an empty one has none.
OPEN_GOALS = """
    SELECT (SELECT goal FROM entries WHERE batch_id = batches.id AND claimed = 1 LIMIT 1) FROM batches
    WHERE settled_at IS NULL AND account = ?"""

_ASTRAY = """
    FROM batches b JOIN entries e ON e.batch_id = b.id AND e.claimed = 1
    WHERE b.settled_at IS NULL AND b.account = :account AND b.leased = 0
        AND e.maybe_sent = 0 AND coalesce(e.original, 0) <= 0
        AND ((e.lane, e.goal) NOT IN (SELECT lane, goal FROM [rows :mapped AS mapped (lane bigint, goal text)])
            OR b.sent_to <> :ids)"""

# Rows of open batches that were refused each time, and whose event is for another goal by now, or for none, or whose
# account is another one at Microsoft.
IS_ASTRAY = sql(f"SELECT EXISTS (SELECT 1 {_ASTRAY})")
ASTRAY = sql(f"SELECT e.seq, e.batch_id, coalesce(e.original, e.seq) {_ASTRAY}")

# Nothing of them is at Microsoft. Refusals of a request with one row do not count for another goal.
RELEASE = sql("""
    UPDATE entries
    SET claimed = 0, due_at = :now, refusals = 0, goal = NULL, sent_time = NULL, identity = NULL, click = NULL,
        clicked_at = NULL,
        history = [append history, 'released_at', :now, 'attempt', attempt, 'batch_id', batch_id]
    WHERE seq IN [numbers :seqs] AND state = 'pending' AND claimed = 1""")

RESIZE = sql("""
    UPDATE batches SET rows = (SELECT count(*) FROM entries WHERE batch_id = batches.id AND claimed = 1)
    WHERE id IN [numbers ?]""")
CLOSE_EMPTY = sql("""
    UPDATE batches SET settled_at = ?
    WHERE id IN [numbers ?] AND rows = 0 RETURNING account, answer, due_at""")

# Microsoft's "wait" that an open batch has noted outlives the batch.
KEEP_WAIT = """
    INSERT INTO facts (name, value) VALUES (?, ?)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value
    WHERE CAST(facts.value AS BIGINT) < CAST(excluded.value AS BIGINT)"""

# The goals that waiting rows of a lane keep, one after another.
NEXT_GOAL = """
    SELECT min(goal) FROM entries
    WHERE state = 'pending' AND claimed = 0 AND goal IS NOT NULL AND lane = ? AND goal > ?"""

WAITING_FOR = """
    SELECT count(*), min(time) FROM (
        SELECT time FROM entries
        WHERE state = 'pending' AND claimed = 0 AND goal IS NOT NULL AND lane = ? AND goal = ? LIMIT ?) AS looked"""

# Rows bound to another account at Microsoft than the configured one, by that account.
ELSEWHERE_IN_BATCHES = """
    SELECT min(b.sent_to), count(*), min(e.time) FROM batches b JOIN entries e ON e.batch_id = b.id AND e.claimed = 1
    WHERE b.settled_at IS NULL AND b.account = ? AND b.sent_to <> ? GROUP BY b.id"""
ELSEWHERE = f"""
    SELECT bound_to, count(*), min(time) FROM (
        SELECT {BOUND_TO} AS bound_to, time FROM entries
        WHERE state = 'pending' AND claimed = 0 AND goal IS NOT NULL AND lane = ? LIMIT ?) AS looked
    WHERE bound_to <> ? GROUP BY bound_to"""  # noqa: S608 - constants only

# A step in the index of such rows for each lane, and one through the open batches.
KEEPING = """
    SELECT account FROM lanes WHERE EXISTS (
        SELECT 1 FROM entries WHERE state = 'pending' AND claimed = 0 AND goal IS NOT NULL AND lane = lanes.id)
    UNION SELECT account FROM batches WHERE settled_at IS NULL"""

# Batches that do not name their account at Microsoft.
UNKNOWN_IDS = "SELECT DISTINCT account FROM batches WHERE sent_to IS NULL"
KNOW_IDS = "UPDATE batches SET sent_to = ? WHERE account = ? AND sent_to IS NULL"

IN_BATCHES = """
    SELECT min(e.goal), count(*), min(e.time) FROM batches b JOIN entries e ON e.batch_id = b.id AND e.claimed = 1
    WHERE b.settled_at IS NULL AND b.account = ? GROUP BY b.id"""


def open_batches(
    db: SqlConnection, account: str, lanes: Iterable[Lane], goals: Mapping[str, str], ids: str
) -> OpenBatches:
    """What an account's open batches are for; `goals` is the goal of each event now, `ids` the account at Microsoft."""
    found = frozenset(row[0] or "" for row in db.execute(OPEN_GOALS, (account,)))
    given = _given(account, lanes, goals, ids)
    return OpenBatches(found, bool(found) and bool(db.execute(IS_ASTRAY, given).fetchone()[0]))


def release_astray(
    db: SqlConnection,
    account: str,
    lanes: Iterable[Lane],
    goals: Mapping[str, str],
    ids: str,
    now: UnixMillis,
    adjustment_delay_millis: int,
) -> int:
    """Let those rows of open batches go that were refused each time and belong elsewhere by now; how many."""
    db.hold((account,))
    rows = db.execute(ASTRAY, _given(account, lanes, goals, ids)).fetchall()
    if rows:
        db.execute(RELEASE, {"now": now, "seqs": json.dumps([row[0] for row in rows])})
        _close_empty(db, sorted({row[1] for row in rows}), now)
        adjustment_rows.release(db, (row[2] for row in rows), now, adjustment_delay_millis)
    return len(rows)


def _given(account: str, lanes: Iterable[Lane], goals: Mapping[str, str], ids: str) -> dict[str, str]:
    mapped = [(lane.id, goals[lane.event]) for lane in lanes if lane.event in goals]
    return {"account": account, "mapped": json.dumps(mapped), "ids": ids}


def _close_empty(db: SqlConnection, batches: Sequence[int], now: UnixMillis) -> None:
    ids = json.dumps(batches)
    db.execute(RESIZE, (ids,))
    for account, answer, due_at in db.execute(CLOSE_EMPTY, (now, ids)).fetchall():
        if answer == refusal(Verdict.THROTTLED) and due_at > now:
            db.execute(KEEP_WAIT, (f"waits:{account}", str(due_at)))


def keeping_accounts(db: SqlConnection) -> frozenset[str]:
    """The accounts that have rows which keep their goal, by one statement."""
    return frozenset(account for (account,) in db.execute(KEEPING))


def waiting_by_goal(db: SqlConnection, account: str, lanes: Iterable[Lane]) -> dict[str, Waiting]:
    """By goal, the rows of an account that keep it: those of its open batches, and those that wait by themselves."""
    found: dict[str, Waiting] = {}
    for goal, rows, time in db.execute(IN_BATCHES, (account,)):
        found[goal] = _sum(found.get(goal), Waiting(rows, False, time))
    for lane in lanes:
        goal = ""
        while (goal := db.execute(NEXT_GOAL, (lane.id, goal)).fetchone()[0]) is not None:
            rows, time = db.execute(WAITING_FOR, (lane.id, goal, COUNTED_ROWS)).fetchone()
            found[goal] = _sum(found.get(goal), Waiting(rows, rows == COUNTED_ROWS, time))
    return found


def waiting_elsewhere(db: SqlConnection, account: str, lanes: Iterable[Lane], ids: str) -> dict[str, Waiting]:
    """By the account at Microsoft that they went to, the rows of an account that has other `ids` now."""
    found: dict[str, Waiting] = {}
    for bound_to, rows, time in db.execute(ELSEWHERE_IN_BATCHES, (account, ids)):
        found[bound_to] = _sum(found.get(bound_to), Waiting(rows, False, time))
    for lane in lanes:
        for bound_to, rows, time in db.execute(ELSEWHERE, (lane.id, COUNTED_ROWS, ids)):
            found[bound_to] = _sum(found.get(bound_to), Waiting(rows, rows == COUNTED_ROWS, time))
    return found


def know_ids(db: SqlConnection, accounts: Mapping[str, str]) -> None:
    """Give batches that do not name their account at Microsoft the present one."""
    unknown = [account for (account,) in db.execute(UNKNOWN_IDS) if account in accounts]
    if unknown:  # of ten thousand accounts hardly one, and a server has room for some thousand holds
        db.hold(unknown)
        db.executemany(KNOW_IDS, [(accounts[account], account) for account in unknown])


def _sum(one: Waiting | None, other: Waiting) -> Waiting:
    if one is None:
        return other
    times = [time for time in (one.first_time, other.first_time) if time is not None]
    return Waiting(one.rows + other.rows, one.more or other.more, min(times, default=None))
