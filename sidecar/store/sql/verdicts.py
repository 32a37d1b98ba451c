"""Microsoft's verdict by goal and day, beside what was sent: one line for each day of a goal, and none for a row."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sidecar.core.goal_days import DayVerdict, GoalDay, GoalSum, SentRows
from sidecar.core.instant import UnixMillis, UnixSeconds
from sidecar.core.report import KnownDay, KnownDays
from sidecar.ports.reports import Saved, VerdictPage, VerdictQuery
from sidecar.store.sql.connection import Reader, SqlConnection, Writer

# An account's days: those on which something was delivered, those that were read, and when all of them were.
SENT_OF = "SELECT DISTINCT goal, day FROM sent_days WHERE account = ?"
READ_OF = """
    SELECT goal, day, goal_id, attributed, unattributed, reasons, is_settled FROM verdicts WHERE account = ?"""
READ_AT = "SELECT CAST(value AS BIGINT) FROM facts WHERE name = 'reported:' || ?"
FINISH = """
    INSERT INTO facts (name, value) VALUES ('reported:' || ?, ?)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value"""

BEFORE = """
    SELECT goal_id, attributed, unattributed, reasons FROM verdicts WHERE account = ? AND goal = ? AND day = ?"""
PUT = """
    INSERT INTO verdicts (account, goal, day, goal_id, attributed, unattributed, reasons, is_settled, read_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (account, goal, day) DO UPDATE
    SET goal_id = excluded.goal_id, attributed = excluded.attributed, unattributed = excluded.unattributed,
        reasons = excluded.reasons, is_settled = excluded.is_settled, read_at = excluded.read_at"""

# Where a page begins: after its last day, account and goal. The first term bounds the walk through the index.
_AFTER = """day >= :since AND day <= :day
    AND (day < :day OR (account, goal) > (CAST(:after_account AS TEXT), CAST(:after_goal AS TEXT)))"""
_OF_ANY = """
    AND (CAST(:account AS TEXT) IS NULL OR account = :account) AND (CAST(:goal AS TEXT) IS NULL OR goal = :goal)"""
_OF_GOAL = "AND account = :account AND goal = :goal"
_ORDER = "ORDER BY day DESC, account, goal LIMIT :limit"


def _page(which: str) -> str:
    """Days of either table, with both beside each: as many from each as a page has, and then the first of all."""
    return f"""
        WITH found AS (
            SELECT * FROM (SELECT day, account, goal FROM verdicts WHERE {_AFTER} {which} {_ORDER}) AS read
            UNION
            SELECT * FROM (SELECT DISTINCT day, account, goal FROM sent_days WHERE {_AFTER} {which} {_ORDER}) AS sent
        )
        SELECT found.day, found.account, found.goal, attributed, unattributed, reasons, read_at, coalesce((
            SELECT sum(rows) FROM sent_days AS sent WHERE sent.account = found.account AND sent.goal = found.goal
            AND sent.day = found.day AND kind = 'conversion'), 0), coalesce((
            SELECT sum(rows) FROM sent_days AS sent WHERE sent.account = found.account AND sent.goal = found.goal
            AND sent.day = found.day AND kind = 'adjustment'), 0)
        FROM found LEFT JOIN verdicts ON verdicts.account = found.account AND verdicts.goal = found.goal
            AND verdicts.day = found.day
        ORDER BY found.day DESC, found.account, found.goal LIMIT :limit"""  # noqa: S608 - constants only


FIND = _page(_OF_ANY)
FIND_OF_GOAL = _page(_OF_GOAL)

SUM_READ = """
    SELECT account, goal, CAST(sum(attributed) AS BIGINT), CAST(sum(unattributed) AS BIGINT) FROM verdicts
    WHERE day >= :since AND (CAST(:account AS TEXT) IS NULL OR account = :account) GROUP BY account, goal"""
SUM_SENT = """
    SELECT account, goal, kind, CAST(sum(rows) AS BIGINT) FROM sent_days
    WHERE day >= :since AND (CAST(:account AS TEXT) IS NULL OR account = :account) GROUP BY account, goal, kind"""


def _forget(table: str, key: str) -> str:
    return f"""
        DELETE FROM {table} WHERE ({key}) IN (
            SELECT {key} FROM {table} WHERE day < ? ORDER BY day LIMIT ?)"""  # noqa: S608 - constants only


FORGET_READ = _forget("verdicts", "account, goal, day")
FORGET_SENT = _forget("sent_days", "account, goal, day, kind")

_FIRST, _LAST = UnixSeconds(0), UnixSeconds(2**53)
"""Before every day, and after every day."""


@dataclass(frozen=True, slots=True)
class SqlVerdicts:
    """Implements `ports.StoredVerdicts` through the outbox's committer, behind all other work."""

    committer: Writer
    reader: Reader

    async def known(self, account: str) -> KnownDays:
        return await self.reader.call(lambda db: _known(db, account))

    async def save(self, account: str, days: Sequence[GoalDay], at: UnixMillis) -> Saved:
        return await self.committer.write(lambda db: _save(db, account, days, at), can_wait=True)

    async def finish(self, account: str, at: UnixMillis) -> None:
        await self.committer.write(lambda db: db.execute(FINISH, (account, str(at))) and None, can_wait=True)

    async def find(self, query: VerdictQuery) -> VerdictPage:
        return await self.reader.call(lambda db: _find(db, query))

    async def sums(self, since: UnixSeconds, account: str | None = None) -> Sequence[GoalSum]:
        return await self.reader.call(lambda db: _sums(db, since, account))

    async def prune(self, before: UnixSeconds, limit: int) -> bool:
        return await self.committer.write(lambda db: _prune(db, before, limit), can_wait=True)


def _known(db: SqlConnection, account: str) -> KnownDays:
    sent: dict[str, set[UnixSeconds]] = {}
    for goal, day in db.execute(SENT_OF, (account,)):
        sent.setdefault(goal, set()).add(day)
    read: dict[str, dict[UnixSeconds, KnownDay]] = {}
    for goal, day, *counted, is_settled in db.execute(READ_OF, (account,)):
        line = _line(account, goal, day, counted)
        read.setdefault(goal, {})[day] = KnownDay(line, bool(is_settled))
    found = db.execute(READ_AT, (account,)).fetchone()
    return KnownDays(sent, read, found and found[0])


def _line(account: str, goal: str, day: UnixSeconds, counted: Sequence[Any]) -> GoalDay:
    """A line of the report, from the columns that BEFORE reads."""
    goal_id, attributed, unattributed, reasons = counted
    return GoalDay(
        account=account,
        goal_id=goal_id,
        goal=goal,
        day=day,
        attributed=attributed,
        unattributed=unattributed,
        reasons=json.loads(reasons),
    )


def _save(db: SqlConnection, account: str, days: Sequence[GoalDay], at: UnixMillis) -> Saved:
    """Store the days; what changed is found out in the transaction, so that two readers count no row twice."""
    db.hold((f"verdicts of {account}",))
    attributed: Counter[str] = Counter()
    unattributed: Counter[tuple[str, str]] = Counter()
    fell = []
    for line in days:
        found = db.execute(BEFORE, (account, line.goal, line.day)).fetchone()
        before = _line(account, line.goal, line.day, found) if found else None
        db.execute(PUT, (*_values(line), int(before is not None and _same(before, line)), at))
        attributed[line.goal] += max(0, line.attributed - (before.attributed if before else 0))
        for reason, rows in _more_reasons(before, line):
            unattributed[line.goal, reason] += rows
        if before is not None and line.rows < before.rows:
            fell.append(before)
    return Saved(+attributed, +unattributed, fell)


def _values(line: GoalDay) -> tuple[Any, ...]:
    reasons = json.dumps(line.reasons)
    return (line.account, line.goal, line.day, line.goal_id, line.attributed, line.unattributed, reasons)


def _same(one: GoalDay, other: GoalDay) -> bool:
    return (one.attributed, one.unattributed, one.reasons) == (other.attributed, other.unattributed, other.reasons)


def _more_reasons(before: GoalDay | None, line: GoalDay) -> Iterable[tuple[str, int]]:
    known: Mapping[str, int] = before.reasons if before else {}
    return ((reason, max(0, rows - known.get(reason, 0))) for reason, rows in line.reasons.items())


def _find(db: SqlConnection, query: VerdictQuery) -> VerdictPage:
    day, account, goal = query.before or (_LAST, "", "")
    given = {
        "since": query.since or _FIRST,
        "day": day,
        "after_account": account,
        "after_goal": goal,
        "account": query.account,
        "goal": query.goal,
        "limit": query.limit + 1,
    }
    is_one = query.account is not None and query.goal is not None
    days = [_day(row) for row in db.execute(FIND_OF_GOAL if is_one else FIND, given)]
    page = days[: query.limit]
    return VerdictPage(page, (page[-1].day, page[-1].account, page[-1].goal) if len(days) > len(page) else None)


def _day(row: Sequence[Any]) -> DayVerdict:
    day, account, goal, attributed, unattributed, reasons, read_at, conversions, adjustments = row
    return DayVerdict(
        account=account,
        goal=goal,
        day=day,
        attributed=attributed or 0,
        unattributed=unattributed or 0,
        reasons=json.loads(reasons or "{}"),
        sent=SentRows(int(conversions), int(adjustments)),
        read_at=read_at,
    )


def _sums(db: SqlConnection, since: UnixSeconds, account: str | None) -> list[GoalSum]:
    given = {"since": since, "account": account}
    read = {(account, goal): counted for account, goal, *counted in db.execute(SUM_READ, given)}
    sent: dict[tuple[str, str], dict[str, int]] = {}
    for name, goal, kind, rows in db.execute(SUM_SENT, given):
        sent.setdefault((name, goal), {})[kind] = rows
    return [
        GoalSum(
            account=name,
            goal=goal,
            attributed=counted[0],
            unattributed=counted[1],
            sent=SentRows(kinds.get("conversion", 0), kinds.get("adjustment", 0)),
        )
        for name, goal in sorted(read.keys() | sent.keys())
        for counted, kinds in [(read.get((name, goal), (0, 0)), sent.get((name, goal), {}))]
    ]


def _prune(db: SqlConnection, before: UnixSeconds, limit: int) -> bool:
    gone = [db.execute(statement, (before, limit)).rowcount for statement in (FORGET_READ, FORGET_SENT)]
    return limit in gone
