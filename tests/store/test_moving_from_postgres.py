"""Moves from a server: replicas that wake up late, and what only one of the databases can hold."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import postgres_kit
import psycopg
import pytest
from conversion_kit import orders
from move_kit import TABLES, change, contents, house, moved
from outbox_kit import put
from store_kit import House, running_store

from sidecar.ports.errors import MoveFailed, StorageUnavailable
from sidecar.store.moving import row_pages
from sidecar.store.moving.table_digest import TableDigest
from sidecar.store.moving.transfer import LEFT_BEHIND
from sidecar.store.store import Store


@pytest.fixture
async def source(tmp_path: Path) -> AsyncIterator[House]:
    """An outbox on the server, with conversions in it."""
    if postgres_kit.binaries() is None:
        pytest.skip("no PostgreSQL server is installed")
    one = house("postgres", tmp_path / "source")
    await put(await one.open(), *orders(7))
    await one.close()
    yield one
    await one.remove()


@pytest.fixture
async def late(source: House) -> AsyncIterator[Store]:
    """A replica that hung for longer than its lease, and goes on."""
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(running_store(source.url))


async def test_replica_that_wakes_up_after_the_move_stores_nothing_more(
    source: House, late: Store, tmp_path: Path
) -> None:
    """What it took for stored would not be in the new place."""
    target = house("sqlite", tmp_path / "target")
    await moved(source, target)
    before = await contents(source)
    with pytest.raises(StorageUnavailable, match="this outbox is being moved, or was moved"):
        await put(late.outbox, *orders(1, start=100))
    assert await contents(source) == before


async def test_replica_that_wakes_up_during_the_move_stores_nothing_more(
    source: House, late: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_pages, "PAGE_ROWS", 2)
    target = house("sqlite", tmp_path / "target")
    changes = 0

    def watch(step: str, done: int, total: int) -> None:
        nonlocal changes
        with (
            psycopg.connect(source.url, autocommit=True) as db,
            pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState),
        ):
            db.execute("UPDATE entries SET due_at = due_at + 1")
        changes += 1

    await moved(source, target, watch)
    assert changes > 10
    assert await contents(target) == await contents(source)


async def test_sidecar_that_starts_on_the_source_ends_the_move_and_works(source: House, tmp_path: Path) -> None:
    target = house("sqlite", tmp_path / "target")

    def watch(step: str, done: int, total: int) -> None:
        if done == 0:
            with psycopg.connect(source.url, autocommit=True) as db:  # as a start does
                db.execute("DELETE FROM facts WHERE name = 'moving_to'")

    with pytest.raises(MoveFailed, match=r"a sidecar was started on .* during the move: stop it, and run this again"):
        await moved(source, target, watch)
    await put(await source.open(), *orders(1, start=100))
    await source.close()
    report = await moved(source, target)
    assert report.states == {"pending": 8}


async def test_outbox_is_used_again_after_the_mark_was_removed(source: House, tmp_path: Path) -> None:
    """The way back of docs/moving.md, where the new place is lost."""
    await moved(source, house("sqlite", tmp_path / "target"))
    with psycopg.connect(source.url, autocommit=True) as db:
        db.execute("DELETE FROM facts WHERE name = 'moved_to'")
    await put(await source.open(), *orders(1, start=100))
    assert len(await source.rows("entries")) == 8


async def test_sum_beyond_63_bits_goes_there_and_back(source: House, tmp_path: Path) -> None:
    """PostgreSQL's have no end; SQLite then has a float, which is what its own sums become."""
    sums = [2**63 - 1, 2**63, 10**25, -(10**20)]
    with psycopg.connect(source.url, autocommit=True) as db:
        for at, value in enumerate(sums):
            db.execute("INSERT INTO tallies VALUES (%s, 1, 'pending', 'XXX', 1, %s, 0)", (at, value))
    target = house("sqlite", tmp_path / "target")
    await moved(source, target)
    back = house("postgres", tmp_path)
    await moved(target, back)
    found = {row["at"]: float(row["value"]) for row in await back.rows("tallies WHERE currency = 'XXX'")}
    assert found == dict(enumerate(map(float, sums)))


async def test_text_that_postgres_cannot_hold_is_named_and_not_left_out(source: House, tmp_path: Path) -> None:
    file = house("sqlite", tmp_path / "file")
    await moved(source, file)
    change(file, "UPDATE entries SET message = 'before' || char(0) || 'after' WHERE seq = 5")
    target = house("postgres", tmp_path)
    with pytest.raises(MoveFailed, match="message of entries has a NUL character where seq is 5, and"):
        await moved(file, target)
    change(file, "UPDATE entries SET message = 'before after' WHERE seq = 5")
    assert (await moved(file, target)).states == {"pending": 7}


async def test_every_table_of_the_server_is_moved_or_left_for_a_reason(source: House) -> None:
    tables = {row["tablename"] for row in await source.rows("pg_tables WHERE schemaname = 'public'")}
    assert tables - set(LEFT_BEHIND) == set(TABLES)


def test_checksum_tells_rows_apart_and_does_not_depend_on_their_order() -> None:
    rows = [(1, "a", None), (2, "b", 5), (3, "", -(2**63))]
    one = TableDigest().with_rows(rows)
    assert one == TableDigest().with_rows(rows[:1]).with_rows(reversed(rows[1:]))
    others = [
        rows[:2],
        [*rows, rows[0]],
        [(1, "a", ""), *rows[1:]],
        [("1", "a", None), *rows[1:]],
        [(1, "b", None), (2, "a", 5), *rows[2:]],
    ]
    assert len({one, *(TableDigest().with_rows(other) for other in others)}) == len(others) + 1
