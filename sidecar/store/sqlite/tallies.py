"""Rows by hour of receipt, lane, state and currency: written beside each change of rows, read without reading rows.

A write adds differences to the lines of a row's hour and of all time. Hours are gathered into days once they are old.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from sidecar.core.instant import DAY_SECONDS, UnixMillis, UnixSeconds
from sidecar.core.states_and_reasons import State
from sidecar.core.tally import HOUR_SECONDS, Tally, period_start
from sidecar.store.sqlite.bulk_statement import BulkStatement
from sidecar.store.sqlite.row_counts import count

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

ADD = BulkStatement(
    "INSERT INTO tallies (at, lane, state, currency, rows, value) VALUES ",
    6,
    """ ON CONFLICT (at, lane, state, currency)
    DO UPDATE SET rows = rows + excluded.rows, value = value + excluded.value""",
)

# What is stored now, by lane, state and currency.
OF_ALL_TIME = "SELECT lane, state, currency, rows, value FROM tallies WHERE at = 0 AND rows <> 0"

# What was received since the start of an hour, and the same by period.
SINCE = """
    SELECT lane, state, currency, sum(rows), total(value) FROM tallies
    WHERE at >= ? AND at > 0 GROUP BY lane, state, currency HAVING sum(rows) <> 0"""
BY_PERIOD = """
    SELECT at / :step * :step, lane, state, currency, sum(rows), total(value) FROM tallies
    WHERE at >= :since AND at > 0 GROUP BY 1, lane, state, currency HAVING sum(rows) <> 0"""

# The first hour that is still by itself, but old enough to be gathered.
OLD_HOUR = "SELECT at FROM tallies WHERE at > 0 AND at < ? AND at % 86400 <> 0 ORDER BY at LIMIT 1"
GATHER = """
    INSERT INTO tallies
    SELECT :day, lane, state, currency, sum(rows), CAST(total(value) AS INTEGER) FROM tallies
    WHERE at > :day AND at < :day + 86400 GROUP BY lane, state, currency
    ON CONFLICT (at, lane, state, currency)
    DO UPDATE SET rows = rows + excluded.rows, value = value + excluded.value"""
FORGET_HOURS = "DELETE FROM tallies WHERE at > ? AND at < ? + 86400"
FORGET_EMPTY = "DELETE FROM tallies WHERE at < ? AND rows = 0 AND value = 0"


def move(db: sqlite3.Connection, before: State | None, after: State | None, rows: Iterable[Sequence[Any]]) -> int:
    """Count `rows`, each with the values of `Tallied`, in `after` and no longer in `before`; how many there are.

    `before` is None for new rows, `after` for rows that are gone. It is part of the caller's transaction.
    """
    sums = _sums(rows)
    if not sums:
        return 0
    changes = [(state, sign) for state, sign in ((before, -1), (after, 1)) if state is not None]
    lines = [
        (at, lane, state.value, currency or "", sign * number, sign * value)
        for (hour, lane, currency), (number, value) in sums.items()
        for state, sign in changes
        for at in (0, hour * HOUR_SECONDS)
    ]
    ADD.execute(db, lines)
    moved = sum(number for number, _ in sums.values())
    count(db, {state: sign * moved for state, sign in changes})
    return moved


def by_state(rows: Iterable[Sequence[Any]]) -> dict[State, list[Sequence[Any]]]:
    """Rows with the values of `Tallied` and their state behind them, by that state."""
    found: dict[State, list[Sequence[Any]]] = {}
    for *tallied, state in rows:
        found.setdefault(_STATES[state], []).append(tallied)
    return found


def _sums(rows: Iterable[Sequence[Any]]) -> dict[tuple[int, int, str | None], tuple[int, int | float]]:
    """By hour, lane and currency, how many rows there are and the sum of their values in thousandths."""
    return {key: (len(values), _thousandths(values)) for key, values in _values(list(rows)).items()}


def _values(rows: Sequence[Sequence[Any]]) -> dict[tuple[int, int, str | None], Sequence[str | None]]:
    """By hour, lane and currency, the values of the rows; mostly all have these in common, which is seen at once."""
    if not rows:
        return {}
    times, lanes, currencies, values = zip(*rows, strict=True)
    hour = min(times) // _HOUR_MILLIS
    if len(set(lanes)) == len(set(currencies)) == 1 and hour == max(times) // _HOUR_MILLIS:
        return {(hour, lanes[0], currencies[0]): values}
    found: dict[tuple[int, int, str | None], list[str | None]] = {}
    for received_at, lane, currency, value in rows:
        found.setdefault((received_at // _HOUR_MILLIS, lane, currency), []).append(value)
    return dict(found)


def _thousandths(values: Iterable[str | None]) -> int | float:
    return _bindable(int(1000 * sum(map(Decimal, filter(None, values)), _NOTHING)))


def _bindable(thousandths: int) -> int | float:
    """The number as SQLite takes it: one beyond 63 bits loses its last digits, as a sum in SQLite does."""
    return thousandths if abs(thousandths) < _TOO_LARGE else float(thousandths)


# --- Reading ---------------------------------------------------------------------------------------------------------


def of_all_time(db: sqlite3.Connection) -> list[Tally]:
    """The rows that are stored now."""
    return [_tally((0, *row)) for row in db.execute(OF_ALL_TIME)]


def since(db: sqlite3.Connection, at: UnixSeconds) -> list[Tally]:
    """The rows that were received since `at`, the start of an hour; of a day where the hours are gathered already."""
    return [_tally((at, *row)) for row in db.execute(SINCE, (at,))]


def by_period(db: sqlite3.Connection, since: UnixSeconds, step_seconds: int) -> list[Tally]:
    """The same for each period of `step_seconds` since `since`, the start of one."""
    return [_tally(row) for row in db.execute(BY_PERIOD, {"since": since, "step": step_seconds})]


def _tally(row: Sequence[Any]) -> Tally:
    at, lane, state, currency, rows, value = row
    return Tally(UnixSeconds(at), lane, _STATES[state], currency or None, rows, Decimal(int(value)) / 1000)


# --- Gathering -------------------------------------------------------------------------------------------------------


def gather(db: sqlite3.Connection, before: UnixSeconds) -> bool:
    """Gather the hours of one day before `before` into that day; whether there may be more to gather."""
    found = db.execute(OLD_HOUR, (before,)).fetchone()
    if found is None:
        db.execute(FORGET_EMPTY, (before,))
        return False
    day = period_start(found[0], DAY_SECONDS)
    db.execute(GATHER, {"day": day})
    db.execute(FORGET_HOURS, (day, day))
    return True
