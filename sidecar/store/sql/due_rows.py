"""What a claim looks at before it is made: due rows, taken seconds, and until when accounts must wait."""

import json
from collections.abc import Collection, Mapping, Sequence

from sidecar.core.answer import Verdict
from sidecar.core.entry import Entry, Lane
from sidecar.core.fairness import Queue, fair_batch
from sidecar.core.instant import SecondRange, UnixMillis, UnixSeconds
from sidecar.ports.delivery import refusal
from sidecar.store.sql.connection import BulkStatement, SqlConnection
from sidecar.store.sql.dialects import Dialects, sql
from sidecar.store.sql.rows import BOUND_TO, ENTRY_JSON, entries_of


def _due(more: str = "") -> Dialects:
    """The statement for what may be claimed in a lane, oldest first, as one JSON text.

    Between two rows this thread would wait for the interpreter, which the event loop holds. A thousand rows also take a
    quarter less CPU time.
    """
    return sql(f"""
        SELECT '[' || coalesce([join entry], '') || ']' FROM (
            SELECT {ENTRY_JSON} AS entry FROM entries
            WHERE state = 'pending' AND claimed = 0 AND lane = :lane AND again = :again AND due_at <= :now {more}
            ORDER BY due_at, seq LIMIT :limit) AS due""")  # noqa: S608 - constants only


# A step in the index for each lane, and one in that of the open batches.
NEXT_DUE = """
    SELECT min(due_at) FROM (
        SELECT (
            SELECT due_at FROM entries
            WHERE lane = lanes.id AND again = one.again AND state = 'pending' AND claimed = 0 ORDER BY due_at LIMIT 1
        ) AS due_at
        FROM lanes CROSS JOIN (SELECT 0 AS again UNION ALL SELECT 1) AS one WHERE account = :account
        UNION ALL SELECT min(due_at) FROM batches WHERE settled_at IS NULL AND account = :account) AS waiting"""

# Fresh rows (again = 0) apart from retried ones (again = 1).
DUE = _due()

# The same where rows that keep some goals, or another account at Microsoft, must wait.
DUE_BESIDE = _due(f"""
    AND (goal IS NULL OR goal NOT IN [texts :held]
        AND coalesce({BOUND_TO}, :ids) IS NOT DISTINCT FROM CAST(:ids AS TEXT))""")

# Until when accounts have to wait: the batch that was refused for it goes again at that time.
THROTTLED = sql("""
    SELECT account, max(due_at) FROM batches [by batches_open]
    WHERE settled_at IS NULL AND answer = ? AND due_at > ? GROUP BY account""")

# Waits that were noted by themselves: answers to other calls than uploads.
WAITS = sql("""
    SELECT substr(name, 7), CAST(value AS BIGINT) FROM facts
    WHERE [begins name, 'waits:'] AND CAST(value AS BIGINT) > ?""")

SLOT_SECONDS = 64
"""The index of used seconds begins with `sent_time >> 6`."""

_TAKEN = """e.identity IS NOT NULL AND e.sent_time >> 6 = wanted.first >> 6 AND e.identity = wanted.identity
        AND e.sent_time BETWEEN wanted.first AND wanted.last"""

# Which seconds of a person's conversions of a goal are taken. PostgreSQL looks them up one by one: with
# statistics from before anything was sent, it would read all that was sent since, for each of them.
USED_SECONDS = BulkStatement(
    "WITH wanted (identity, first, last) AS (",
    "bigint bigint bigint",
    Dialects(
        sqlite=f") SELECT e.identity, e.sent_time FROM wanted CROSS JOIN entries e WHERE {_TAKEN}",  # noqa: S608 - constants only
        postgres=f""")
    SELECT taken.identity, taken.sent_time FROM wanted
    CROSS JOIN LATERAL (SELECT e.identity, e.sent_time FROM entries e WHERE {_TAKEN} OFFSET 0) taken""",  # noqa: S608 - constants only
    ),
)


def due(
    db: SqlConnection,
    lanes: Sequence[Lane],
    now: UnixMillis,
    limit: int,
    held: Collection[str] = (),
    ids: str | None = None,
) -> list[Entry]:
    """Up to `limit` entries that may be claimed, of each lane its share.

    Left alone are those that keep a goal in `held`, or another account at Microsoft than `ids`.
    """
    statement = DUE if ids is None and not held else DUE_BESIDE
    given = {"now": now, "held": json.dumps(list(held)), "ids": ids}

    def queue(lane: Lane, again: int) -> Queue:
        def first(most: int) -> list[Entry]:
            (text,) = db.execute(statement, {**given, "lane": lane.id, "again": again, "limit": most}).fetchone()
            return entries_of(text, lane)

        return first

    return fair_batch([queue(lane, 0) for lane in lanes], [queue(lane, 1) for lane in lanes], limit)


def throttled(db: SqlConnection, now: UnixMillis) -> dict[str, UnixMillis]:
    """By account, until when it has to wait."""
    noted = dict(db.execute(WAITS, (now,)))
    for account, until in db.execute(THROTTLED, (refusal(Verdict.THROTTLED), now)):
        noted[account] = max(until, noted.get(account, until))
    return noted


def used_seconds(db: SqlConnection, wanted: Mapping[int, Sequence[SecondRange]]) -> dict[int, set[UnixSeconds]]:
    """For each identity the seconds within its ranges that are taken."""
    looks = []
    for identity, ranges in wanted.items():
        for first, last in ranges:
            while (end := first | SLOT_SECONDS - 1) < last:  # a look for each slot
                looks.append((identity, first, end))
                first = end + 1
            looks.append((identity, first, last))
    used: dict[int, set[UnixSeconds]] = {}
    for identity, second in USED_SECONDS.execute(db, looks):
        used.setdefault(identity, set()).add(second)
    return used


def next_due(db: SqlConnection, account: str) -> UnixMillis | None:
    """When a row or a batch of the account is due next; None when none waits."""
    (due_at,) = db.execute(NEXT_DUE, {"account": account}).fetchone()
    return None if due_at is None else UnixMillis(due_at)
