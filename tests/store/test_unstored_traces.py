"""Traces in SQLite: the newest so many, none that is too old, each found by its order alone."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from store_kit import DAY, NOW, SqliteHouse, conversion, later, put

from sidecar.core.erasure import ErasureRequest, Subject
from sidecar.core.instant import UnixMillis
from sidecar.core.unstored import SHOWN_TRACES, Unstored, What, unstored
from sidecar.store.sqlite.unstored import SqliteUnstored


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[SqliteHouse]:
    built = SqliteHouse(tmp_path)
    await built.open()
    yield built
    await built.close()


def traces(house: SqliteHouse, most: int = 100) -> SqliteUnstored:
    assert house.outbox is not None
    return SqliteUnstored(house.outbox.committer, house.outbox.reader, most)


def one(order_id: str = "R-1", at: UnixMillis = NOW, event: str = "purchase") -> Unstored:
    made = unstored({"order_id": order_id, "event": event}, What.REFUSED, ("too_old", "odd"), at, "request-1")
    assert made is not None
    return made


def rows(house: SqliteHouse) -> int:
    with sqlite3.connect(house.path) as db:
        count: int = db.execute("SELECT count(*) FROM unstored").fetchone()[0]
        return count


async def test_trace_is_found_by_its_order_as_it_was(house: SqliteHouse) -> None:
    kept = traces(house)
    await kept.append([one(), one("R-2")])
    assert await kept.of_order("R-1") == [one()]
    assert await kept.of_order("R-3") == []


async def test_same_again_counts_up_and_is_the_newest(house: SqliteHouse) -> None:
    kept = traces(house)
    await kept.append([one(), one(event="lead", at=later(1))])
    await kept.append([one(at=later(5))])
    first, second = await kept.of_order("R-1")
    assert (first.event, first.times, first.first_at, first.time) == ("purchase", 2, NOW, later(5))
    assert (second.event, second.times) == ("lead", 1)
    assert rows(house) == 2


async def test_only_the_newest_are_kept_whatever_comes_and_over_restarts(house: SqliteHouse) -> None:
    kept = traces(house)
    for start in range(0, 300, 60):
        await kept.append([one(f"R-{number}", at=later(number)) for number in range(start, start + 60)])
    assert rows(house) == 100
    again = traces(house)
    await again.append([one("NEW", at=later(500))])
    assert rows(house) == 100
    assert await again.of_order("R-200") == []
    assert len(await again.of_order("R-299")) == len(await again.of_order("NEW")) == 1


async def test_repeats_of_one_item_push_nothing_out(house: SqliteHouse) -> None:
    kept = traces(house)
    await kept.append([one(f"R-{number}") for number in range(50)])
    for number in range(200):
        await kept.append([one("LOOP", at=later(number))])
    assert rows(house) == 51
    assert len(await kept.of_order("R-0")) == 1


async def test_few_of_an_order_are_read_however_many_there_are(house: SqliteHouse) -> None:
    kept = traces(house)
    await kept.append([one(event=f"event_{number}") for number in range(80)])
    assert [each.event for each in await kept.of_order("R-1")] == [
        f"event_{number}" for number in range(79, 79 - SHOWN_TRACES, -1)
    ]


async def test_what_is_older_is_forgotten_in_slices(house: SqliteHouse) -> None:
    kept = traces(house, most=2_000)
    await kept.append([one(f"R-{number}") for number in range(700)])
    await kept.append([one("YOUNG", at=later(DAY))])
    assert [await kept.prune(later(1)) for _ in range(3)] == [500, 200, 0]
    assert rows(house) == len(await kept.of_order("YOUNG")) == 1


@pytest.mark.parametrize("subject", [Subject.ORDER, Subject.EMAIL])
async def test_erasure_forgets_the_traces_of_its_orders(house: SqliteHouse, subject: Subject) -> None:
    assert house.outbox is not None
    await put(house.outbox, conversion("R-1", email_sha256="e1" * 32))
    kept = traces(house)
    await kept.append([one(), one("R-2")])
    taken = await house.outbox.discard(1, NOW)
    assert taken is not None
    search_value = "R-1" if subject is Subject.ORDER else "e1" * 32
    job = await house.erasures.add(ErasureRequest(subject, search_value), NOW)
    await house.erasures.redact(job, await house.erasures.find(job), (), NOW)
    await house.erasures.redact_journal(job)
    assert await kept.of_order("R-1") == []
    assert len(await kept.of_order("R-2")) == 1


async def test_erasure_by_an_order_that_was_never_stored_forgets_its_traces(house: SqliteHouse) -> None:
    kept = traces(house)
    await kept.append([one()])
    await house.erasures.redact_journal(await house.erasures.add(ErasureRequest(Subject.ORDER, "R-1"), NOW))
    assert await kept.of_order("R-1") == []


async def test_file_holds_the_order_of_no_trace(house: SqliteHouse) -> None:
    await traces(house).append([one("ORDER-CANARY-77")])
    held = house.path.read_bytes() + house.path.with_name(f"{house.path.name}-wal").read_bytes()
    assert b"too_old" in held
    assert b"ORDER-CANARY-77" not in held
