"""What SQLite keeps of items that were not stored: the newest rows, and no order in plain text."""

from conversion_kit import trace
from instant_kit import DAY, later
from store_kit import SqliteHouse

from sidecar.store.sql.unstored import SqlUnstored


async def traces(house: SqliteHouse, most: int = 100) -> SqlUnstored:
    outbox = await house.open() if house.store is None else house.outbox
    return SqlUnstored(outbox.committer, outbox.reader, most)


async def rows(house: SqliteHouse) -> int:
    return len(await house.rows("unstored"))


async def test_only_the_newest_traces_are_stored_also_over_restarts(house: SqliteHouse) -> None:
    kept = await traces(house)
    for start in range(0, 300, 60):
        await kept.append([trace(f"R-{number}", at=later(number)) for number in range(start, start + 60)])
    assert await rows(house) == 100
    again = await traces(house)
    await again.append([trace("NEW", at=later(500))])
    assert await rows(house) == 100
    assert await again.of_order("R-200") == []
    assert len(await again.of_order("R-299")) == len(await again.of_order("NEW")) == 1


async def test_repeats_of_one_item_push_nothing_out(house: SqliteHouse) -> None:
    kept = await traces(house)
    await kept.append([trace(f"R-{number}") for number in range(50)])
    for number in range(200):
        await kept.append([trace("LOOP", at=later(number))])
    assert await rows(house) == 51
    assert len(await kept.of_order("R-0")) == 1


async def test_what_is_older_is_forgotten_in_slices(house: SqliteHouse) -> None:
    kept = await traces(house, most=2_000)
    await kept.append([trace(f"R-{number}") for number in range(700)])
    await kept.append([trace("YOUNG", at=later(DAY))])
    assert [await kept.prune(later(1)) for _ in range(3)] == [500, 200, 0]
    assert await rows(house) == len(await kept.of_order("YOUNG")) == 1


async def test_file_holds_the_order_of_no_trace(house: SqliteHouse) -> None:
    await (await traces(house)).append([trace("ORDER-CANARY-77")])
    held = house.path.read_bytes() + house.path.with_name(f"{house.path.name}-wal").read_bytes()
    assert b"too_old" in held
    assert b"ORDER-CANARY-77" not in held
