"""The journal in SQLite: what happened, kept in batches behind everything else, read in bounded stretches.

There is no index: a page looks through stretches of the table, so that keeping a fact costs as little as it can.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from sidecar.core.instant import UnixMillis
from sidecar.ports.journal import JournalEntry, JournalPage, JournalQuery, StoredEntry
from sidecar.store.sql.account_holds import JOURNAL
from sidecar.store.sql.connection import Reader, SqlConnection, Writer
from sidecar.store.sql.dialects import sql

STRETCH_ROWS = 20_000
"""How many rows one statement looks through."""

MAX_STRETCHES = 10
"""How many stretches one page looks through, before it ends short with a cursor to go on."""

PRUNE_ROWS = 500

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_LEVEL_NAMES = {number: level for level, number in _LEVELS.items()}

_COLUMNS = "time, level, name, message, account, conversion_id, order_id, batch_id, tracking_id, error, fix, count"

_NAMES = tuple(_COLUMNS.split(", "))

_APPEND = sql(f"""
    INSERT INTO journal ({_COLUMNS})
    SELECT {_COLUMNS} FROM [rows ? AS noted (time bigint, level bigint, name text, message text, account text,
        conversion_id text, order_id text, batch_id bigint, tracking_id text, error text, fix text, count bigint)]
    RETURNING seq""")  # noqa: S608 - constants only

# What fits a query in one stretch of the table.
_STRETCH = f"""
    SELECT seq, {_COLUMNS} FROM journal
    WHERE seq > :bottom AND seq < :top AND level >= :level
        AND (CAST(:name AS TEXT) IS NULL OR name = :name) AND (CAST(:account AS TEXT) IS NULL OR account = :account)
        AND (CAST(:order_id AS TEXT) IS NULL OR order_id = :order_id)
        AND (CAST(:conversion_id AS TEXT) IS NULL OR conversion_id = :conversion_id)
        AND (CAST(:since AS BIGINT) IS NULL OR time >= :since) AND (CAST(:until AS BIGINT) IS NULL OR time < :until)"""  # noqa: S608 - constants only

_NEWEST_FIRST = f"{_STRETCH} ORDER BY seq DESC LIMIT :limit"
_OLDEST_FIRST = f"{_STRETCH} ORDER BY seq LIMIT :limit"

_ENDS = "SELECT (SELECT min(seq) FROM journal), (SELECT max(seq) FROM journal)"

# Whether a stretch holds anything as young as `since`: facts are kept in the order of their time, but for clock steps.
_HAS_SINCE = "SELECT EXISTS (SELECT 1 FROM journal WHERE seq > ? AND seq < ? AND time >= ?)"

# What an entry takes, about: its texts and 60 bytes for the rest, measured over the newest.
_MEAN_BYTES = """
    SELECT avg(60 + length(name) + length(message) + coalesce(length(account), 0) + coalesce(length(conversion_id), 0)
        + coalesce(length(order_id), 0) + coalesce(length(tracking_id), 0) + coalesce(length(error), 0)
        + coalesce(length(fix), 0))
    FROM (SELECT * FROM journal ORDER BY seq DESC LIMIT 1000) AS newest"""

_OLDEST_TIMES = "SELECT seq, time FROM journal ORDER BY seq LIMIT ?"


@dataclass(frozen=True, slots=True)
class SqlJournal:
    """Implements `ports.Journal`: written through the outbox's committer when it has nothing better to do."""

    committer: Writer
    reader: Reader
    stretch_rows: int = STRETCH_ROWS
    max_stretches: int = MAX_STRETCHES

    async def append(self, entries: Sequence[JournalEntry]) -> Sequence[StoredEntry]:
        return await self.committer.write(partial(_append, entries), can_wait=True)

    async def read(self, query: JournalQuery) -> JournalPage:
        first, last = await self.reader.call(_ends)
        top = last + 1 if query.before_seq is None else min(query.before_seq, last + 1)
        found: list[StoredEntry] = []
        for _ in range(self.max_stretches):
            stretch = _Stretch(max(top - 1 - self.stretch_rows, first - 1), top)
            found += await self.reader.call(partial(_find, _NEWEST_FIRST, query, stretch, query.limit + 1 - len(found)))
            if len(found) > query.limit:
                return JournalPage(tuple(found[:-1]), found[-2].seq)
            top = stretch.bottom + 1
            if top <= first or not await self.reader.call(partial(_reaches, query.since, stretch)):
                return JournalPage(tuple(found), None)
        return JournalPage(tuple(found), top)

    async def read_on(self, query: JournalQuery, after_seq: int) -> JournalPage:
        first, last = await self.reader.call(_ends)
        bottom = max(after_seq, first - 1)
        stretch = _Stretch(bottom, min(bottom + self.stretch_rows, last) + 1)
        found = await self.reader.call(partial(_find, _OLDEST_FIRST, query, stretch, query.limit))
        if len(found) == query.limit:
            return JournalPage(tuple(found), found[-1].seq)
        return JournalPage(tuple(found), stretch.top - 1 if stretch.top <= last else None)

    async def prune(self, before: UnixMillis, max_bytes: int) -> int:
        last = await self.reader.call(partial(_last_to_prune, before, max_bytes))
        if last is None:
            return 0
        return await self.committer.write(partial(_delete, last), can_wait=True)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """The entries numbered above `bottom` and below `top`."""

    bottom: int
    top: int


def _append(entries: Sequence[JournalEntry], db: SqlConnection) -> Sequence[StoredEntry]:
    rows = [[(asdict(entry) | {"level": _LEVELS[entry.level]})[name] for name in _NAMES] for entry in entries]
    db.hold((JOURNAL,))  # readers go on behind the last number that they saw
    seqs = sorted(row[0] for row in db.execute(_APPEND, (json.dumps(rows),)))
    return [StoredEntry(seq, entry) for seq, entry in zip(seqs, entries, strict=True)]


def _ends(db: SqlConnection) -> tuple[int, int]:
    """The first and the last number; 1 and 0 when there is nothing."""
    first, last = db.execute(_ENDS).fetchone()
    return (1, 0) if first is None else (first, last)


def _find(statement: str, query: JournalQuery, stretch: _Stretch, limit: int, db: SqlConnection) -> list[StoredEntry]:
    given = {
        "bottom": stretch.bottom,
        "top": stretch.top,
        "level": _LEVELS[query.level or "debug"],
        "name": query.name,
        "account": query.account,
        "order_id": query.order_id,
        "conversion_id": query.conversion_id,
        "since": query.since,
        "until": query.until,
        "limit": limit,
    }
    return [_kept(row) for row in db.execute(statement, given)]


def _kept(row: Sequence[Any]) -> StoredEntry:
    seq, time, level, *rest = row
    return StoredEntry(seq, JournalEntry(**dict(zip(_NAMES, (time, _LEVEL_NAMES[level], *rest), strict=True))))


def _reaches(since: UnixMillis | None, stretch: _Stretch, db: SqlConnection) -> bool:
    """Whether it is worth looking below the stretch."""
    return since is None or bool(db.execute(_HAS_SINCE, (stretch.bottom, stretch.top, since)).fetchone()[0])


def _last_to_prune(before: UnixMillis, max_bytes: int, db: SqlConnection) -> int | None:
    """The last number of the next slice to delete: too old, or beyond what `max_bytes` has room for."""
    _, last = _ends(db)
    mean = db.execute(_MEAN_BYTES).fetchone()[0] or 1
    kept_from = last + 1 - int(max_bytes / mean)
    prunable = None
    for seq, time in db.execute(_OLDEST_TIMES, (PRUNE_ROWS,)):
        if time >= before and seq >= kept_from:
            break
        prunable = seq
    return prunable


def _delete(last: int, db: SqlConnection) -> int:
    return db.execute("DELETE FROM journal WHERE seq <= ?", (last,)).rowcount
