"""Rows of the versions that gave each key a random place in the index are known by their keys all the same."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest
from outbox_building import DAY, NOW, TAKEN, SqliteHouse, claimed, conversion, later, orders, put, take_back_to

from sidecar.core.adjustment import Adjustment, ByOrder
from sidecar.core.conversion import AdjustmentType
from sidecar.core.instant import UnixSeconds, seconds
from sidecar.ports.intake import Adjusting, Conflict, PutResult, Replayed, Stored
from sidecar.ports.queries import Query
from sidecar.store.sqlite.outbox import SqliteOutbox

BY_HEADER = conversion(None, idempotency_key="header-1")
NATURAL = conversion(None, time=UnixSeconds(seconds(NOW) - 7_200))

RETRACT = Adjusting(
    Adjustment(
        type=AdjustmentType.RETRACT,
        target=ByOrder("ORDER-2", None),
        value=None,
        currency=None,
        time=seconds(NOW),
        time_given=False,
        idempotency_key="retract-1",
    ),
    NOW,
    "request-2",
)


def take_back(path: Path) -> None:
    """Make it the file that the version before left: each hash is the beginning of the digest."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        digests = db.execute("SELECT key_digest, seq FROM entries WHERE key_digest IS NOT NULL").fetchall()
        older = [(int.from_bytes(bytes.fromhex(digest)[:8], "big", signed=True), seq) for digest, seq in digests]
        assert len(older) == 6
        db.executemany("UPDATE entries SET key_hash = ? WHERE seq = ? AND key_hash <> ?1", older)
        assert db.total_changes == 6
        db.execute("DELETE FROM facts WHERE name = 'older_keys'")
        take_back_to(db, 7)
        db.commit()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[SqliteHouse]:
    """Three orders, two others and an adjustment of the second order, stored by the version before."""
    house = SqliteHouse(tmp_path)
    outbox = await house.open()
    await put(outbox, *orders(3), BY_HEADER, NATURAL)
    assert [type(result) for result in await outbox.adjust([RETRACT])] == [Stored]
    await house.close()
    take_back(house.path)
    yield house
    await house.close()


async def results(outbox: SqliteOutbox) -> list[PutResult]:
    return await put(outbox, *orders(4), BY_HEADER, NATURAL, conversion("ORDER-1", value=Decimal(5)))


async def test_repeat_of_an_older_row_is_known(house: SqliteHouse) -> None:
    outbox = await house.open()
    assert [type(result) for result in await results(outbox)] == [
        *(Replayed, Replayed, Replayed, Stored),
        *(Replayed, Replayed, Conflict),
    ]


async def test_older_row_is_found_by_its_order_and_can_be_adjusted_once(house: SqliteHouse) -> None:
    outbox = await house.open()
    page = await outbox.find(Query(order_id="ORDER-2"))
    assert [record.order_id for record in page.records] == ["ORDER-2"]
    assert [type(result) for result in await outbox.adjust([RETRACT])] == [Replayed]


async def test_repeat_is_known_where_no_row_can_be_taken(house: SqliteHouse) -> None:
    outbox = await house.open(max_pending=1)
    assert [type(result) for result in await put(outbox, *orders(3))] == [Replayed] * 3


async def test_older_hashes_are_looked_up_only_while_there_are_any(tmp_path: Path, house: SqliteHouse) -> None:
    new = SqliteHouse(tmp_path / "new")
    assert not (await new.open())._older_keys
    await new.close()
    outbox = await house.open()
    assert outbox._older_keys
    await outbox.settle(await claimed(outbox), {}, TAKEN, NOW)
    at = later(200 * DAY)
    await put(outbox, *orders(1, 100), at=at)
    assert await outbox.prune(later(100 * DAY), 0, 1_000) is not None
    await house.close()
    assert not (await house.open(at))._older_keys
