"""After a clock was wrong: no stored time is further ahead than the longest legitimate wait for its reason.

At a start, and once the clock was set back. What was written while it was ahead would else be due as much too late.
"""

from collections.abc import Iterable
from typing import Any

from sidecar.core.adaptive_rate import THROTTLE_MOST_MILLIS
from sidecar.core.answer import Verdict
from sidecar.core.entry import Lane, LongestWaits
from sidecar.core.instant import UnixMillis
from sidecar.core.retry import ROW_CAP_MILLIS
from sidecar.core.states_and_reasons import State
from sidecar.ports.delivery import refusal
from sidecar.store.sql import adjustment_rows
from sidecar.store.sql.connection import SqlConnection
from sidecar.store.sql.dialects import sql
from sidecar.store.sql.tallies import COLUMNS, move

SOON_MILLIS = 2_000
"""A difference up to this passes by itself."""

FUTURE_MILLIS = 5 * 60_000
"""The furthest ahead that intake takes the time of a conversion or an adjustment."""

# Open batches that wait to go again, by why they do; and the lease of one on its way, as long as it was.
BATCHES = sql("""
    UPDATE batches
    SET created_at = [least created_at, :now], sent_at = [least sent_at, :now], due_at = [least due_at, CASE
        WHEN leased = 1 AND due_at < sent_at THEN :now
        WHEN leased = 1 THEN :now + due_at - sent_at
        WHEN answer = :throttled THEN :now + :throttle
        WHEN sent_at > :now THEN :now
        ELSE :now + :retry END]
    WHERE settled_at IS NULL AND (created_at > :now OR sent_at > :now OR due_at > :now)""")

WAITS = sql("""
    UPDATE facts SET value = :until
    WHERE [begins name, 'waits:'] AND CAST(value AS BIGINT) > :until""")

# Rows that are due later than they can have been put off for their reason. What has a future time of its caller's
# waits for that, and so does an adjustment that has to be later than what Microsoft has. Those that wait for their
# conversion wait for no time.
TOO_FAR = sql("""
    SELECT seq, original FROM entries
    WHERE state = 'pending' AND claimed = 0 AND lane = :lane AND again = :again AND due_at > :now + :soon
        AND coalesce(reason, '') <> 'awaiting_original'
        AND due_at > :now + CASE
            WHEN reason = 'awaiting_click' THEN :click
            WHEN reason = 'click_settling' THEN :click_settle
            WHEN reason = 'retrying' OR again = 1 THEN :retry
            WHEN reason = 'not_yet' AND original IS NOT NULL THEN :adjustment + :future
            WHEN reason = 'not_yet' THEN :future
            ELSE :soon END
        AND NOT (time_given = 1 AND due_at = 1000 * CASE WHEN original IS NULL THEN time ELSE adjusted_at END)
        AND NOT (original IS NOT NULL AND due_at = 1000 * adjusted_at AND adjusted_at = [greatest
            coalesce(sent_time, time),
            coalesce((SELECT max(a.adjusted_at) + 1 FROM entries a
                WHERE a.original = entries.original AND a.attempt > 0 AND a.seq <> entries.seq), 0)])
    LIMIT :limit""")

# Clicks that were captured while the clock was ahead: the newest ones.
LAST_BEFORE = "SELECT seq FROM clicks WHERE captured_at <= ? ORDER BY seq DESC LIMIT 1"
CLICKS = sql("""
    UPDATE clicks SET clicked_at = [least clicked_at, :now / 1000], captured_at = :now
    WHERE seq > :last AND captured_at > :now""")

# They are evaluated again at once. Times that we gave them while the clock was ahead are no longer than now.
BRING_BACK = sql("""
    UPDATE entries
    SET time = CASE WHEN time_given = 1 OR goal IS NOT NULL OR original IS NOT NULL THEN time
            ELSE [least time, :now / 1000] END,
        received_at = [least received_at, :now],
        due_at = CASE WHEN original IS NULL AND time_given = 1 THEN [greatest :now, time * 1000] ELSE :now END,
        reason = CASE WHEN reason = 'retrying' THEN reason
            WHEN original IS NULL AND time_given = 1 AND time * 1000 > :now THEN 'not_yet' END
    WHERE seq = :seq""")

# An adjustment that was never sent is deferred again, as if it had waited for its conversion until now.
WAIT_AGAIN = sql("""
    UPDATE entries
    SET reason = 'awaiting_original', due_at = [greatest :now, due_at], received_at = [least received_at, :now],
        adjusted_at = CASE WHEN time_given = 1 THEN adjusted_at ELSE [least adjusted_at, :now / 1000] END
    WHERE seq = :seq AND attempt = 0""")

# By what a row is counted: a time of receipt that is brought back moves it to another hour.
COUNTED = f"SELECT {COLUMNS} FROM entries WHERE seq = ?"  # noqa: S608 - constants only


def bound(db: SqlConnection, lanes: Iterable[Lane], now: UnixMillis, limit: int, waits: LongestWaits) -> bool:
    """Bring up to `limit` rows back within their longest waits, all batches and clicks; whether that was all of it."""
    db.hold_all()
    bound_batches(db, now)
    last = db.execute(LAST_BEFORE, (now,)).fetchone()
    db.execute(CLICKS, {"now": now, "last": last[0] if last else 0})
    given: dict[str, Any] = {
        "now": now,
        "soon": SOON_MILLIS,
        "future": FUTURE_MILLIS,
        "retry": ROW_CAP_MILLIS,
        "click": waits.click_millis,
        "click_settle": waits.click_settle_millis,
        "adjustment": waits.adjustment_millis,
    }
    for lane in lanes:
        for again in (0, 1):
            found = db.execute(TOO_FAR, {**given, "lane": lane.id, "again": again, "limit": limit}).fetchall()
            for seq, original in found:
                _bring_back(db, seq, original, now, waits)
            limit -= len(found)
            if limit <= 0:
                return False
    return True


def bound_batches(db: SqlConnection, now: UnixMillis) -> None:
    """Bring the open batches back, and what Microsoft asked to wait for."""
    until = now + THROTTLE_MOST_MILLIS
    db.execute(
        BATCHES,
        {
            "now": now,
            "throttled": refusal(Verdict.THROTTLED),
            "throttle": THROTTLE_MOST_MILLIS,
            "retry": ROW_CAP_MILLIS,
        },
    )
    db.execute(WAITS, {"until": until})


def _bring_back(db: SqlConnection, seq: int, original: int | None, now: UnixMillis, waits: LongestWaits) -> None:
    move(db, State.PENDING, None, db.execute(COUNTED, (seq,)).fetchall())
    waits_again = original is not None and db.execute(WAIT_AGAIN, {"seq": seq, "now": now}).rowcount > 0
    if not waits_again:
        db.execute(BRING_BACK, {"seq": seq, "now": now})
    move(db, None, State.PENDING, db.execute(COUNTED, (seq,)).fetchall())
    if original is not None and waits_again:
        adjustment_rows.release(db, [original], now, waits.adjustment_millis)
