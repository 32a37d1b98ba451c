"""Traces of items that were not stored, up to a number; a repeated one is counted and moved to the end."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sidecar.core.conversion import Kind
from sidecar.core.instant import UnixMillis
from sidecar.core.unstored import KEPT_TRACES, SHOWN_TRACES, Unstored, What, order_digest
from sidecar.store.sql.account_holds import TRACES
from sidecar.store.sql.connection import Reader, SqlConnection, Writer
from sidecar.store.sql.dialects import sql

PRUNE_ROWS = 500

_COLUMNS = "order_hash, kind, what, codes, event, account, request_id, time, first_at, times"

# Those that are there already go, and come back at the end.
TAKE_OUT = sql(f"""
    DELETE FROM unstored WHERE item IN [texts ?] RETURNING item, {_COLUMNS}""")  # noqa: S608

APPEND = sql(f"""
    INSERT INTO unstored (item, {_COLUMNS})
    SELECT item, {_COLUMNS} FROM [rows ? AS made (item text, order_hash text, kind text, what text, codes text,
        event text, account text, request_id text, time bigint, first_at bigint, times bigint)]""")  # noqa: S608 - constants only

COUNT = "SELECT count(*) FROM unstored"

DROP_OLDEST = "DELETE FROM unstored WHERE seq IN (SELECT seq FROM unstored ORDER BY seq LIMIT ?)"

# They are in the order of their time, but for clock steps: reading a slice of the oldest is enough.
PRUNE = """
    DELETE FROM unstored WHERE seq IN (
        SELECT seq FROM (SELECT seq, time FROM unstored ORDER BY seq LIMIT ?) AS oldest WHERE time < ?)"""

OF_ORDER = f"SELECT {_COLUMNS} FROM unstored WHERE order_hash = ? ORDER BY seq DESC LIMIT ?"  # noqa: S608

FORGET = sql("DELETE FROM unstored WHERE order_hash IN [texts ?]")


@dataclass(slots=True)
class SqlUnstored:
    """Implements `ports.UnstoredItems`, through the outbox's committer when it has nothing better to do."""

    committer: Writer
    reader: Reader
    most: int = KEPT_TRACES
    _rows: int | None = field(default=None, init=False)
    """How many there are; None where they have to be counted."""

    async def append(self, traces: Sequence[Unstored]) -> None:
        known, self._rows = self._rows, None  # counted again should this fail
        self._rows = await self.committer.write(lambda db: append(db, traces, known, self.most), can_wait=True)

    async def of_order(self, order_id: str) -> Sequence[Unstored]:
        return await self.reader.call(lambda db: of_order(db, order_id))

    async def prune(self, before: UnixMillis) -> int:
        self._rows = None
        return await self.committer.write(lambda db: db.execute(PRUNE, (PRUNE_ROWS, before)).rowcount, can_wait=True)


def append(db: SqlConnection, traces: Sequence[Unstored], rows: int | None, most: int) -> int:
    """Keep these traces, and of all the newest `most`; how many there are then. `rows` is how many there were."""
    if db.hold((TRACES,)) or rows is None:  # another replica may have added some
        rows = db.execute(COUNT).fetchone()[0]
    items = {_item(one): one for one in traces}
    taken = {row[0]: _unstored(row[1:]) for row in db.execute(TAKE_OUT, (json.dumps(list(items)),)).fetchall()}
    merged = [(item, one.with_older(taken[item]) if item in taken else one) for item, one in items.items()]
    db.execute(APPEND, (json.dumps([_values(item, one) for item, one in merged]),))
    rows += len(merged) - len(taken)
    return rows - (db.execute(DROP_OLDEST, (rows - most,)).rowcount if rows > most else 0)


def of_order(db: SqlConnection, order_id: str) -> list[Unstored]:
    """The newest traces of an order, newest first."""
    return [_unstored(row) for row in db.execute(OF_ORDER, (order_digest(order_id), SHOWN_TRACES))]


def forget(db: SqlConnection, order_ids: Sequence[str]) -> None:
    """Delete every trace of these orders."""
    if order_ids:
        db.execute(FORGET, (json.dumps([order_digest(order_id) for order_id in order_ids]),))


def _item(one: Unstored) -> str:
    return hashlib.blake2b(json.dumps(one.same).encode(), digest_size=16).hexdigest()


def _values(item: str, one: Unstored) -> tuple[Any, ...]:
    return (item, one.order, one.kind, one.what, json.dumps(one.codes), *one[4:])


def _unstored(row: Sequence[Any]) -> Unstored:
    order, kind, what, codes, *rest = row
    return Unstored(order, Kind(kind), What(what), tuple(json.loads(codes)), *rest)
