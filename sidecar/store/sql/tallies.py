"""Rows by hour of receipt, lane, state and currency: written beside each change of rows, read without reading rows.

A write adds differences to the lines of a row's hour and of all time. Hours are gathered into days once they are old.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from sidecar.core.instant import DAY_SECONDS, UnixMillis, UnixSeconds
from sidecar.core.states_and_reasons import State
from sidecar.core.tally import HOUR_SECONDS, Tally, period_start
from sidecar.store.sql.connection import BulkStatement, SqlConnection
from sidecar.store.sql.dialects import Dialects, sql
from sidecar.store.sql.row_counts import count

_HOUR_MILLIS = 1000 * HOUR_SECONDS
_NOTHING = Decimal(0)
_TOO_LARGE = 2**63
_STATES = {state.value: state for state in State}


class Tallied(NamedTuple):
    """What a row is counted by, beside its state: columns of the table, in the order of COLUMNS."""

    received_at: UnixMillis
    lane: int
    currency: str | None
    value: str | None


COLUMNS = ", ".join(Tallied._fields)

_COUNTED = "at, lane, state, currency, rows, value, slowest"


def _together(key: str) -> Dialects:
    return sql(f"""
        ON CONFLICT ({key}) DO UPDATE
        SET rows = tallies.rows + excluded.rows, value = tallies.value + excluded.value,
            slowest = [greatest tallies.slowest, excluded.slowest]""")  # noqa: S608 - constants only


# Each connection of a replica adds to lines of its own: a line of all would make them wait for each other's commits.
_TOGETHER = Dialects(
    sqlite=_together("at, lane, state, currency"),
    postgres=_together("at, lane, state, currency, shard").postgres,
)

ADD = BulkStatement(
    f"INSERT INTO tallies ({_COUNTED})",
    "bigint bigint text text bigint numeric bigint",
    _TOGETHER,
)

# What is stored now, by lane, state and currency.
OF_ALL_TIME = Dialects(
    sqlite="SELECT lane, state, currency, rows, value, slowest FROM tallies WHERE at = 0 AND rows <> 0",
    postgres="""
        SELECT lane, state, currency, CAST(sum(rows) AS bigint), sum(value), max(slowest) FROM tallies
        WHERE at = 0 GROUP BY lane, state, currency HAVING sum(rows) <> 0""",
)

# What was received since the start of an hour, and the same by period.
SINCE = sql("""
    SELECT lane, state, currency, CAST(sum(rows) AS BIGINT), [total value], max(slowest) FROM tallies
    WHERE at >= ? AND at > 0 GROUP BY lane, state, currency HAVING sum(rows) <> 0""")
BY_PERIOD = sql("""
    SELECT at / :step * :step, lane, state, currency, CAST(sum(rows) AS BIGINT), [total value], max(slowest)
    FROM tallies
    WHERE at >= :since AND at > 0 GROUP BY 1, lane, state, currency HAVING sum(rows) <> 0""")

# The first hour that is still by itself, but old enough to be gathered.
OLD_HOUR = "SELECT at FROM tallies WHERE at > 0 AND at < ? AND at % 86400 <> 0 ORDER BY at LIMIT 1"
# Its lines and those of the other hours of its day; and what the lines of single connections came to.
TAKE_HOURS = f"DELETE FROM tallies WHERE at > ? AND at < ? + 86400 RETURNING {_COUNTED}"  # noqa: S608 - constants only
TAKE_APART = Dialects(
    sqlite=f"DELETE FROM tallies WHERE at < ? AND false RETURNING {_COUNTED}",  # noqa: S608 - constants only
    postgres=f"""
        DELETE FROM tallies WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM tallies WHERE shard <> 0 AND at < ? LIMIT 5000 FOR UPDATE SKIP LOCKED))
        RETURNING {_COUNTED}""",  # noqa: S608 - constants only
)
GATHERED = BulkStatement(
    f"WITH gathered ({_COUNTED}) AS (",
    "bigint bigint text text bigint numeric bigint",
    Dialects(
        sqlite=f") INSERT INTO tallies ({_COUNTED}) SELECT * FROM gathered WHERE true {_TOGETHER}",  # noqa: S608
        postgres=f") INSERT INTO tallies ({_COUNTED}, shard) SELECT *, 0 FROM gathered {_TOGETHER.postgres}",  # noqa: S608
    ),
)
FORGET_EMPTY = "DELETE FROM tallies WHERE at < ? AND rows = 0 AND value = 0"


def move(
    db: SqlConnection,
    before: State | None,
    after: State | None,
    rows: Iterable[Sequence[Any]],
    delivered_at: UnixMillis | None = None,
) -> None:
    """Count `rows`, each with the values of `Tallied`, in `after` and no longer in `before`.

    `before` is None for new rows, `after` for rows that are gone. It is part of the caller's transaction.
    """
    groups = _groups(list(rows))
    if not groups:
        return
    changes = [(state, sign) for state, sign in ((before, -1), (after, 1)) if state is not None]
    lines: list[tuple[Any, ...]] = []
    for group in groups:
        thousandths = _thousandths(group.values)
        slowest = 0 if delivered_at is None else max(0, delivered_at - group.first_at)
        for state, sign in changes:
            counted = (group.lane, state.value, group.currency or "", sign * len(group.values), sign * thousandths)
            took = slowest if state is State.DELIVERED else 0
            lines += [(at, *counted, took) for at in (0, group.hour * HOUR_SECONDS)]
    ADD.execute(db, lines if len(groups) == 1 else _each_once(lines))
    moved = sum(len(group.values) for group in groups)
    count(db, {state: sign * moved for state, sign in changes})


def by_state(rows: Iterable[Sequence[Any]]) -> dict[State, list[Sequence[Any]]]:
    """Rows with the values of `Tallied` and their state behind them, by that state."""
    found: dict[State, list[Sequence[Any]]] = {}
    for *tallied, state in rows:
        found.setdefault(_STATES[state], []).append(tallied)
    return found


def _each_once(lines: Iterable[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """One line for each period, lane, state and currency: PostgreSQL changes no row twice in one statement."""
    found: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for *key, rows, value, slowest in lines:
        before = found.get((*key,), (0, 0, 0))
        found[*key,] = (before[0] + rows, before[1] + value, max(before[2], slowest))
    return [(*key, rows, _bindable(value), slowest) for key, (rows, value, slowest) in sorted(found.items())]


class _HourGroup(NamedTuple):
    """Rows with hour, lane and currency in common."""

    hour: int
    lane: int
    currency: str | None
    first_at: UnixMillis
    """When the first of them was received."""
    values: Sequence[str | None]


def _groups(rows: Sequence[Sequence[Any]]) -> list[_HourGroup]:
    """The rows by what they have in common; mostly all have it, which is seen at once."""
    if not rows:
        return []
    times, lanes, currencies, values = zip(*rows, strict=True)
    first = min(times)
    if len(set(lanes)) == len(set(currencies)) == 1 and first // _HOUR_MILLIS == max(times) // _HOUR_MILLIS:
        return [_HourGroup(first // _HOUR_MILLIS, lanes[0], currencies[0], first, values)]
    found: dict[tuple[int, int, str | None], list[tuple[UnixMillis, str | None]]] = {}
    for received_at, lane, currency, value in rows:
        found.setdefault((received_at // _HOUR_MILLIS, lane, currency), []).append((received_at, value))
    return [_HourGroup(*key, min(at for at, _ in each), [value for _, value in each]) for key, each in found.items()]


def _thousandths(values: Iterable[str | None]) -> int | float:
    return _bindable(int(1000 * sum(map(Decimal, filter(None, values)), _NOTHING)))


def _bindable(thousandths: float) -> float:
    """The number as SQLite takes it: one beyond 63 bits loses its last digits, as a sum in SQLite does."""
    return thousandths if abs(thousandths) < _TOO_LARGE else float(thousandths)


# --- Reading ---------------------------------------------------------------------------------------------------------


def of_all_time(db: SqlConnection) -> list[Tally]:
    """The rows that are stored now."""
    return [_tally((0, *row)) for row in db.execute(OF_ALL_TIME)]


def since(db: SqlConnection, at: UnixSeconds) -> list[Tally]:
    """The rows that were received since `at`, the start of an hour; of a day where the hours are gathered already."""
    return [_tally((at, *row)) for row in db.execute(SINCE, (at,))]


def by_period(db: SqlConnection, since: UnixSeconds, step_seconds: int) -> list[Tally]:
    """The same for each period of `step_seconds` since `since`, the start of one."""
    return [_tally(row) for row in db.execute(BY_PERIOD, {"since": since, "step": step_seconds})]


def _tally(row: Sequence[Any]) -> Tally:
    at, lane, state, currency, rows, value, slowest = row
    return Tally(UnixSeconds(at), lane, _STATES[state], currency or None, rows, Decimal(int(value)) / 1000, slowest)


# --- Gathering -------------------------------------------------------------------------------------------------------


def gather(db: SqlConnection, before: UnixSeconds) -> bool:
    """Gather the hours of one day before `before` into that day; whether there may be more to gather."""
    found = db.execute(OLD_HOUR, (before,)).fetchone()
    if found is None:
        GATHERED.execute(db, _each_once(db.execute(TAKE_APART, (before,))))
        db.execute(FORGET_EMPTY, (before,))
        return False
    day = period_start(found[0], DAY_SECONDS)
    taken = db.execute(TAKE_HOURS, (day, day)).fetchall()
    GATHERED.execute(db, _each_once((day, *line) for _, *line in taken))
    return True
