"""Clicks of visitors: capturing them, waking the conversions that waited for one, looking them up, forgetting them.

`core.attribution` decides what a click means for a conversion.
"""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sidecar.core.attribution import Deferral, Skip, WaitForClick
from sidecar.core.conversion import Click
from sidecar.core.entry import Entry
from sidecar.core.instant import MAX_AGE_SECONDS, UnixMillis, UnixSeconds, millis, seconds
from sidecar.core.states_and_reasons import State
from sidecar.ports.intake import Captured, ClickPage
from sidecar.store.sql.account_holds import accounts_of
from sidecar.store.sql.connection import Reader, SqlConnection, Writer
from sidecar.store.sql.dialects import sql
from sidecar.store.sql.tallies import COLUMNS, move
from sidecar.store.sql.visitors import hasher

WAKE_ROWS = 1_000
"""How many conversions one transaction wakes; the rest follow in further ones."""

# All clicks of a group at once; of one click the earliest time stays.
CAPTURE = sql("""
    INSERT INTO clicks (visitor, visitor_id, msclkid, clicked_at, captured_at)
    SELECT visitor, visitor_id, msclkid, clicked_at, captured_at FROM [rows ? AS captured (
        visitor bigint, visitor_id text, msclkid text, clicked_at bigint, captured_at bigint)]
    WHERE true
    ON CONFLICT (visitor, msclkid) DO UPDATE SET clicked_at = excluded.clicked_at
    WHERE excluded.clicked_at < clicks.clicked_at
    RETURNING visitor, visitor_id, msclkid, clicked_at""")

# The conversions that a click makes worth another look: deferred without it, and not too old to count.
DEFERRED = sql("""
    SELECT e.seq, l.account, e.state, e.received_at, e.lane, e.currency, e.value FROM
        [rows :clicks AS click (visitor bigint, visitor_id text, msclkid text, clicked_at bigint)]
    JOIN entries e ON e.visitor = click.visitor AND e.time >= [greatest click.clicked_at, :oldest]
        AND (e.reason = 'awaiting_click' OR e.reason = 'no_click' OR e.reason = 'outside_window')
    JOIN lanes l ON l.id = e.lane
    WHERE e.visitor_id = click.visitor_id AND coalesce(e.clicked_at, -1) < click.clicked_at
        AND (e.state = 'pending' AND e.claimed = 0 OR e.state = 'skipped')
    LIMIT :limit""")

WAKE = sql("""
    UPDATE entries
    SET history = CASE WHEN state = 'pending' OR [length history] >= 50 THEN history ELSE
            [append history, 'revived_at', :now, 'state', state, 'reason', reason, 'settled_at', settled_at] END,
        state = 'pending', reason = NULL, due_at = :now, settled_at = NULL, clicked_at = NULL
    WHERE seq IN [numbers :rows]""")

# For each conversion: its own click where it brings one, else the last one of its visitor at or before its time.
SEEN = sql("""
    SELECT wanted.seq, c.msclkid, c.clicked_at
    FROM [rows ? AS wanted (seq bigint, visitor bigint, visitor_id text, time bigint, msclkid text)]
    JOIN clicks c ON c.seq = CASE
        WHEN wanted.msclkid IS NOT NULL
        THEN (SELECT seq FROM clicks WHERE visitor = wanted.visitor AND msclkid = wanted.msclkid)
        ELSE (SELECT seq FROM clicks WHERE visitor = wanted.visitor AND visitor_id = wanted.visitor_id
                AND clicked_at <= wanted.time
              ORDER BY clicked_at DESC, seq DESC LIMIT 1) END
    WHERE c.visitor_id = wanted.visitor_id AND c.clicked_at <= wanted.time""")

# The clicks of a visitor of one account before a moment, and among those of that moment before a number.
OF_VISITOR = """
    SELECT seq, msclkid, clicked_at, captured_at FROM clicks
    WHERE visitor = :visitor AND visitor_id = :visitor_id AND clicked_at <= :at AND (clicked_at < :at OR seq < :before)
    ORDER BY clicked_at DESC, seq DESC LIMIT :limit"""

CLICKED_AT = "SELECT clicked_at FROM clicks WHERE seq = ?"

# Rows that wait for a click, or can no longer count without one: unless a later click came in meanwhile. The time of
# the click that was evaluated is stored: only a later one can change anything.
ASIDE = sql(f"""
    UPDATE entries
    SET clicked_at = nullif(step.evaluated, -1), state = step.state, reason = step.reason,
        due_at = coalesce(step.due_at, entries.due_at),
        settled_at = CASE WHEN step.state = 'pending' THEN NULL ELSE :now END
    FROM [rows :steps AS step (seq bigint, state text, reason text, due_at bigint, evaluated bigint)]
    WHERE entries.seq = step.seq AND entries.state = 'pending' AND claimed = 0
        AND NOT EXISTS (SELECT 1 FROM clicks c WHERE c.visitor = entries.visitor AND c.visitor_id = entries.visitor_id
            AND c.clicked_at <= entries.time
            AND c.clicked_at > step.evaluated AND entries.msclkid IS NULL)
    RETURNING {COLUMNS}, entries.seq, entries.state""")  # noqa: S608 - constants only

# The last number of a slice, and when its first click was captured.
SLICE = """
    SELECT max(seq), min(captured_at)
    FROM (SELECT seq, captured_at FROM clicks WHERE seq > ? ORDER BY seq LIMIT ?) AS slice"""

PRUNE = "DELETE FROM clicks WHERE seq > ? AND seq <= ? AND clicked_at < ?"

PRUNE_LATE = """
    DELETE FROM clicks WHERE seq IN (
        SELECT seq FROM clicks WHERE captured_at - clicked_at * 1000 > 86400000 AND clicked_at < ? LIMIT ?)"""

_BEFORE_ALL = -1
_AFTER_ALL = 2**62


@dataclass(frozen=True, slots=True)
class Woken:
    """How many rows of each account are due again; `clicks` are those that may wake others still."""

    rows: Mapping[str, int]
    clicks: str | None


NOBODY = Woken({}, None)


def write_captures(db: SqlConnection, captures: Sequence[Captured]) -> Woken:
    """Keep the clicks, and make the conversions due that were set aside for want of them."""
    hashed = hasher(db)
    values = [
        (
            hashed(one.click.account, one.click.visitor_id),
            one.click.visitor_id,
            one.click.msclkid,
            one.click.clicked_at,
            one.captured_at,
        )
        for one in captures
    ]
    found = [
        row
        for one in _each_click_once(values)
        for row in db.execute(CAPTURE, (json.dumps(one, ensure_ascii=False),)).fetchall()
    ]
    return wake(db, json.dumps(found, ensure_ascii=False), captures[0].captured_at) if found else NOBODY


def _each_click_once(values: Sequence[tuple[int, str, str, int, int]]) -> list[list[tuple[int, str, str, int, int]]]:
    """The clicks in few lists, each click once in a list: PostgreSQL changes no row twice in a statement."""
    rounds: list[dict[tuple[int, str], tuple[int, str, str, int, int]]] = []
    for value in values:
        key = (value[0], value[2])
        free = next((one for one in rounds if key not in one), None)
        if free is None:
            rounds.append(free := {})
        free[key] = value
    return [list(one.values()) for one in rounds]


def wake(db: SqlConnection, clicks: str, now: UnixMillis) -> Woken:
    """Make due what was set aside for want of these clicks, JSON as RETURNING gives them: WAKE_ROWS at most."""
    given = {"clicks": clicks, "oldest": seconds(now) - MAX_AGE_SECONDS, "limit": WAKE_ROWS}
    found = db.execute(DEFERRED, given).fetchall()
    rows = {row[0]: row for row in found}.values()  # one row may have waited for several of these clicks
    if rows:
        db.execute(WAKE, {"rows": json.dumps([row[0] for row in rows]), "now": now})
        revived = (tallied for _, _, state, *tallied in rows if state == State.SKIPPED)
        move(db, State.SKIPPED, State.PENDING, revived)
    return Woken(Counter(row[1] for row in rows), clicks if len(found) == WAKE_ROWS else None)


def seen(db: SqlConnection, entries: Sequence[Entry]) -> dict[int, Click]:
    """By seq the click of each entry whose visitor had one; one statement, for any number of stored clicks."""
    accounts = {entry.seq: entry for entry in entries if entry.visitor_id is not None}
    if not accounts:
        return {}
    hashed = hasher(db)
    wanted = [
        (entry.seq, hashed(entry.lane.account, entry.visitor_id), entry.visitor_id, entry.time, entry.msclkid)
        for entry in accounts.values()
        if entry.visitor_id is not None
    ]
    rows = db.execute(SEEN, (json.dumps(wanted, ensure_ascii=False),))
    return {seq: _click(accounts[seq], msclkid, clicked_at) for seq, msclkid, clicked_at in rows}


def _click(entry: Entry, msclkid: str, clicked_at: UnixSeconds) -> Click:
    return Click(account=entry.lane.account, visitor_id=entry.visitor_id or "", msclkid=msclkid, clicked_at=clicked_at)


def of_visitor(
    db: SqlConnection, visitor_id: str, accounts: Sequence[str], before_seq: int | None, limit: int
) -> ClickPage:
    """A page of a visitor's clicks in these accounts, the last click first."""
    at, before = _AFTER_ALL, _AFTER_ALL
    if before_seq is not None:
        found = db.execute(CLICKED_AT, (before_seq,)).fetchone()
        at, before = (found[0], before_seq) if found else (_BEFORE_ALL, 0)  # forgotten, and with it all behind it
    hashed = hasher(db)
    given = {"visitor_id": visitor_id, "at": at, "before": before, "limit": limit + 1}
    rows = [
        (clicked_at, seq, account, msclkid, captured_at)
        for account in accounts
        for seq, msclkid, clicked_at, captured_at in db.execute(
            OF_VISITOR, {**given, "visitor": hashed(account, visitor_id)}
        )
    ]
    rows.sort(reverse=True)
    clicks = tuple(
        Captured(Click(account=account, visitor_id=visitor_id, msclkid=msclkid, clicked_at=clicked_at), captured_at)
        for clicked_at, _, account, msclkid, captured_at in rows[:limit]
    )
    return ClickPage(clicks, rows[limit - 1][1] if len(rows) > limit else None)


def defer(db: SqlConnection, deferrals: Sequence[Deferral], now: UnixMillis) -> dict[int, State]:
    """Store what waits, or ends, for lack of a click, unless a later one came in since; each one's state."""
    db.hold(accounts_of(db, (aside.seq for aside in deferrals)))
    steps = json.dumps([_step(aside) for aside in deferrals])
    moved = db.execute(ASIDE, {"steps": steps, "now": now}).fetchall()
    move(db, State.PENDING, State.SKIPPED, (tallied for *tallied, _, state in moved if state == State.SKIPPED))
    return {seq: State(state) for *_, seq, state in moved}


def _step(aside: Deferral) -> tuple[int, str, str, int | None, int]:
    """seq, state, reason, due_at, and the time of the click that was evaluated."""
    after = _BEFORE_ALL if aside.clicked_at is None else aside.clicked_at
    match aside.choice:
        case WaitForClick(reason, due_at):
            return (aside.seq, State.PENDING.value, reason.value, due_at, after)
        case Skip(reason):
            return (aside.seq, State.SKIPPED.value, reason.value, None, after)


def prune(db: SqlConnection, before: UnixSeconds, after_seq: int, limit: int) -> int | None:
    """Delete clicks from before `before`: those reported late, then some of the `limit` after `after_seq`.

    The number to go on after; None when the rest is too young: a click is reported after it happened.
    """
    if db.execute(PRUNE_LATE, (before, limit)).rowcount == limit:
        return after_seq  # there may be more of them
    last, first_captured_at = db.execute(SLICE, (after_seq, limit)).fetchone()
    if last is None or first_captured_at >= millis(before):
        return None
    db.execute(PRUNE, (after_seq, last, before))
    return int(last)


class SqlClicks:
    """Implements `ports.Clicks` beside the outbox, in the same file and behind the same committer."""

    def __init__(self, committer: Writer, reader: Reader) -> None:
        self._committer = committer
        self._reader = reader

    async def capture(self, captures: Sequence[Captured]) -> Mapping[str, int]:
        woken = Counter[str]()
        for result in await self._committer.put(captures):
            woken.update(result.rows)
            if (clicks := result.clicks) is not None:
                accounts = {one.click.account for one in captures}
                woken.update(await self._wake_all(clicks, accounts, captures[0].captured_at))
        return woken

    async def _wake_all(self, clicks: str, accounts: Collection[str], now: UnixMillis) -> Counter[str]:
        """The rest of what these clicks wake, in transactions of their own."""

        def wake_more(db: SqlConnection) -> Woken:
            db.hold(accounts)
            return wake(db, clicks, now)

        woken, more = Counter[str](), True
        while more:
            result = await self._committer.write(wake_more)
            woken.update(result.rows)
            more = result.clicks is not None
        return woken

    async def seen(self, entries: Sequence[Entry]) -> dict[int, Click]:
        return await self._reader.call(lambda db: seen(db, entries))

    async def of_visitor(
        self, visitor_id: str, accounts: Sequence[str], before_seq: int | None, limit: int
    ) -> ClickPage:
        return await self._reader.call(lambda db: of_visitor(db, visitor_id, accounts, before_seq, limit))

    async def prune(self, before: UnixSeconds, after_seq: int, limit: int) -> int | None:
        return await self._committer.write(lambda db: prune(db, before, after_seq, limit), can_wait=True)
