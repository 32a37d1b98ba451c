"""Which accounts a transaction has to hold before it changes rows; looked up only where several processes write."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sidecar.core.adjustment import ById, ByOrder, Foreign
from sidecar.core.entry import Lane
from sidecar.ports.intake import Adjusting, Arrival, Captured
from sidecar.store.sql import row_lists
from sidecar.store.sql.connection import SqlConnection
from sidecar.store.sql.dialects import sql

OF_ROWS = sql("""
    SELECT DISTINCT l.account FROM entries e JOIN lanes l ON l.id = e.lane WHERE e.seq IN [numbers ?]""")

OF_ORDERS = sql("""
    SELECT DISTINCT l.account FROM [rows ? AS wanted (key_hash bigint, key_digest text)]
    JOIN entries e ON e.key_hash = wanted.key_hash AND e.key_digest = wanted.key_digest AND e.original IS NULL
    JOIN lanes l ON l.id = e.lane""")

JOURNAL, SHARES, SECRETS, TRACES = "the journal", "the match shares", "the secrets", "the traces"
"""Names of what goes one after another beside accounts."""


def accounts_of(db: SqlConnection, seqs: Iterable[int]) -> Iterator[str]:
    """The accounts of these rows."""
    yield from (row[0] for row in db.execute(OF_ROWS, (json.dumps(list(seqs)),)))


def names_of_group(
    db: SqlConnection, items: Sequence[Arrival | Captured | Adjusting], lanes: Mapping[int, Lane]
) -> Iterator[str]:
    """What a group of intake has to hold: the accounts of its clicks, those of what it adjusts, and its keys for that.

    A conversion that the group itself stores may be what it adjusts.
    """
    adjustments = [item.adjustment for item in items if isinstance(item, Adjusting)]
    yield from (item.click.account for item in items if isinstance(item, Captured))
    yield from (key.digest for one in adjustments if (key := one.key()) and key.digest)
    targets = [one.target for one in adjustments]
    yield from (target.account for target in targets if isinstance(target, Foreign))
    if seqs := [target.seq for target in targets if isinstance(target, ById)]:
        yield from accounts_of(db, seqs)
    if orders := {target.order_id for target in targets if isinstance(target, ByOrder)}:
        given = (item.conversion for item in items if isinstance(item, Arrival))
        yield from (one.account for one in given if one.order_id in orders)
        yield from _accounts_of_orders(db, orders, lanes)


def _accounts_of_orders(db: SqlConnection, orders: Iterable[str], lanes: Mapping[int, Lane]) -> Iterator[str]:
    events = {(lane.account, lane.event) for lane in lanes.values()}
    yield from (row[0] for row in db.execute(OF_ORDERS, (row_lists.keys_of_orders(orders, events),)))
