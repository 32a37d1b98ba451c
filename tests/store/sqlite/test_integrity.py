"""What was left is looked at before it is used: nothing is missing at its end, nothing is damaged inside."""

import asyncio
import contextlib
import random
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from conversion_kit import orders
from instant_kit import DAY, NOW, later
from outbox_kit import TAKEN, claimed, put, record_of
from store_kit import SqliteHouse

from sidecar.ports.errors import OutboxRefused, StorageBroken
from sidecar.store.opening import open_store
from sidecar.store.sqlite import integrity, sliced_check
from sidecar.store.store import Store, StoreLimits


@pytest.fixture
async def killed(tmp_path: Path) -> Path:
    """An outbox whose process was killed: most rows are in its write-ahead log alone."""
    house = SqliteHouse(tmp_path)
    outbox = await house.open()
    for start in range(0, 30, 10):
        await put(outbox, *orders(10, start))
    await house.crash()
    path = house.path
    assert path.with_name("outbox.db-wal").stat().st_size > 0
    return path


def opened(path: Path) -> AbstractAsyncContextManager[Store]:
    """The store, which does not run yet."""
    return open_store(f"sqlite:///{path}", "emulator", lambda: NOW, StoreLimits())


async def refusal(path: Path) -> str:
    with pytest.raises(OutboxRefused) as refused:
        async with opened(path):
            pass
    told = str(refused.value)
    assert ".recover" in told
    assert "remove outbox.db.last" in told
    return told


async def test_log_of_a_killed_process_is_taken_up(killed: Path) -> None:
    async with opened(killed) as store:
        assert (await record_of(store.outbox, 30)).seq == 30


async def test_missing_log_is_noticed(killed: Path) -> None:
    killed.with_name("outbox.db-wal").unlink()
    assert "outbox.db-wal is missing, cut short or damaged" in await refusal(killed)


async def test_log_that_lacks_the_last_commit_alone_is_noticed(killed: Path) -> None:
    log = killed.with_name("outbox.db-wal")
    log.write_bytes(log.read_bytes()[:-1])
    assert "it ends with transaction" in await refusal(killed)


async def test_file_that_vanished_is_not_created_again(killed: Path) -> None:
    killed.unlink()
    assert "missing or empty" in await refusal(killed)
    assert not killed.exists()
    killed.with_name("outbox.db-wal").unlink()
    assert "missing or empty" in await refusal(killed)


async def test_operator_who_gives_up_what_is_missing_removes_the_note(killed: Path) -> None:
    for end in ("", "-wal", ".last"):
        killed.with_name(f"outbox.db{end}").unlink()
    async with opened(killed) as store:
        assert (await store.outbox.counts()).pending == 0


@pytest.mark.parametrize("note", [b"", b"\0" * 21, b"1234", b"00000000000000000001\n"], ids=repr)
async def test_note_that_a_power_cut_left_behind_or_unreadable_says_nothing_wrong(killed: Path, note: bytes) -> None:
    killed.with_name("outbox.db.last").write_bytes(note)
    async with opened(killed) as store:
        assert (await store.outbox.counts()).pending == 30


async def test_file_whose_process_was_killed_before_it_had_any_tables_is_taken_up(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "outbox.db")) as db:
        db.execute("PRAGMA journal_mode = WAL")
    assert (tmp_path / "outbox.db").stat().st_size
    async with opened(tmp_path / "outbox.db") as store:
        assert (await store.outbox.counts()).pending == 0


# --- While it is used ------------------------------------------------------------------------------------------------


def damage(path: Path) -> None:
    """Overwrite every page that holds orders; what is read at the start is left."""
    content = bytearray(path.read_bytes())
    for page in range(0, len(content), 4_096):
        if b"ORDER-" in content[page : page + 4_096]:
            content[page : page + 4_096] = random.Random(page).randbytes(4_096)
    path.write_bytes(content)


@pytest.fixture
async def damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A large file, as far as we are concerned: it is checked beside the work."""
    monkeypatch.setattr(integrity, "CHECKED_FIRST_BYTES", 0)
    house = SqliteHouse(tmp_path)
    await put(await house.open(), *orders(500))
    await house.close()
    damage(house.path)
    return house.path


async def damage_found(path: Path) -> str:
    """What the committer ends with once the large file was checked beside the work."""
    async with opened(path) as store:
        running = asyncio.create_task(store.run())
        await store.check()
        with pytest.raises(StorageBroken) as broken:
            await running
    return str(broken.value)


async def test_damage_of_a_large_file_ends_the_committer_and_refuses_the_next_start(damaged: Path) -> None:
    assert "is damaged" in await damage_found(damaged)
    assert "is damaged" in await refusal(damaged)


async def test_damage_that_a_reader_meets_ends_the_committer(damaged: Path) -> None:
    async with opened(damaged) as store:
        running = asyncio.create_task(store.run())
        with pytest.raises(sqlite3.DatabaseError):
            for seq in range(1, 501):
                await store.outbox.get(seq)
        with pytest.raises(StorageBroken):
            await running


LONG = "WITH RECURSIVE n(i) AS (SELECT begun() UNION ALL SELECT i + 1 FROM n WHERE goes_on()) SELECT max(i) FROM n"


async def test_check_of_a_large_file_stops_with_the_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The statement is interrupted: its thread would else delay the stop for as long as SQLite reads."""
    begun, let_it_end = threading.Event(), threading.Event()

    def read_for_long(db: sqlite3.Connection) -> None:
        db.create_function("begun", 0, lambda: begun.set() or 0)  # from inside: only a running statement is interrupted
        db.create_function("goes_on", 0, lambda: not let_it_end.is_set())
        db.execute(LONG).fetchone()

    monkeypatch.setattr(integrity, "CHECKED_FIRST_BYTES", 0)
    monkeypatch.setattr(sliced_check, "checks", read_for_long)
    async with opened(tmp_path / "outbox.db") as store:
        checking = asyncio.create_task(store.check())
        assert await asyncio.to_thread(begun.wait, 60)
        checking.cancel()
        await asyncio.wait([checking], timeout=60)
        stopped = checking.done()
        let_it_end.set()  # also when nothing interrupted it, so that this test ends
        await asyncio.wait([checking])
    assert stopped
    assert checking.cancelled()


# --- Indexes of a large file -----------------------------------------------------------------------------------------

CHANGES = {
    "batches_open": "INSERT INTO batches (account, rows, token, leased, due_at, created_at, sent_at) "
    "VALUES ('main', 1, 1, 0, 1, 1, 1)",
    "batches_unknown": "INSERT INTO batches (account, rows, token, leased, due_at, created_at, sent_at) "
    "VALUES ('main', 1, 1, 0, 1, 1, 1)",
    "clicks_late": "INSERT INTO clicks (visitor, visitor_id, msclkid, clicked_at, captured_at) "
    "VALUES (1, 'v', 'c', 1, 90000000000)",
    "clicks_msclkid": "INSERT INTO clicks (visitor, visitor_id, msclkid, clicked_at, captured_at) "
    "VALUES (1, 'v', 'c', 1, 1)",
    "clicks_visitor": "INSERT INTO clicks (visitor, visitor_id, msclkid, clicked_at, captured_at) "
    "VALUES (1, 'v', 'c', 1, 1)",
    "entries_age": "UPDATE entries SET time = time + 1 WHERE seq = 2345",
    "entries_awaiting": "UPDATE entries SET original = 1, reason = 'awaiting_original' WHERE seq = 2345",
    "entries_batch": "UPDATE entries SET claimed = 1, batch_id = 7 WHERE seq = 2345",
    "entries_due": "UPDATE entries SET due_at = due_at + 1 WHERE seq = 2345",
    "entries_ended": "UPDATE entries SET state = 'dead' WHERE seq = 2345",
    "entries_fixed": "UPDATE entries SET goal = 'Sidecar Purchase' WHERE seq = 2345",
    "entries_identity": "UPDATE entries SET identity = 7, sent_time = time WHERE seq = 2345",
    "entries_key": "UPDATE entries SET key_hash = 7 WHERE seq = 2345",
    "entries_original": "UPDATE entries SET original = 1 WHERE seq = 2345",
    "entries_replaced": "UPDATE entries SET replaced_at = 7 WHERE seq = 2345",
    "entries_visitor": "UPDATE entries SET visitor = 1, reason = 'no_click' WHERE seq = 2345",
    "erasures_open": "INSERT INTO erasures (subject, retract, phase, last_seq, requested_at) "
    "VALUES ('email', 0, 'rows', 1, 1)",
    "unstored_item": "INSERT INTO unstored (item, order_hash, kind, what, codes, time, first_at, times) "
    "VALUES ('a', 'b', 'conversion', 'refused', '[]', 1, 1, 1)",
    "unstored_order": "INSERT INTO unstored (item, order_hash, kind, what, codes, time, first_at, times) "
    "VALUES ('a', 'b', 'conversion', 'refused', '[]', 1, 1, 1)",
}
"""For each index something that it ought to lead to afterwards."""


@pytest.fixture
async def many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of several slices, large as far as we are concerned, and no rest between them."""
    monkeypatch.setattr(integrity, "CHECKED_FIRST_BYTES", 0)
    monkeypatch.setattr(sliced_check, "REST", 0)
    house = SqliteHouse(tmp_path)
    outbox = await house.open()
    for start in range(0, 2_500, 500):
        await put(outbox, *orders(500, start))
    await house.close()
    return house.path


def change_behind(path: Path, index: str, change: str) -> None:
    """Carry out `change` without the index, and give the index back as it was."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA writable_schema = ON")
        kept = db.execute("SELECT * FROM sqlite_schema WHERE name = ?", (index,)).fetchone()
        db.execute("DELETE FROM sqlite_schema WHERE name = ?", (index,))
        db.commit()
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute(change).rowcount == 1
        db.execute("PRAGMA writable_schema = ON")
        db.execute("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", kept)
        db.commit()


async def test_sound_indexes_of_a_large_file_say_nothing(many: Path) -> None:
    async with opened(many) as store, asyncio.timeout(60):
        running = asyncio.create_task(store.run())
        await store.check()
        assert not running.done()
        await put(store.outbox, *orders(1, 9_000))
        store.stop()
        await running


@pytest.mark.parametrize("index", CHANGES)
async def test_row_that_an_index_lacks_ends_the_committer_and_refuses_the_next_start(many: Path, index: str) -> None:
    change_behind(many, index, CHANGES[index])
    assert f"missing from index {index}" in await damage_found(many)
    assert f"missing from index {index}" in await refusal(many)


SEARCHED = """
    SELECT tbl_name, name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL
    AND tbl_name IN (SELECT name FROM pragma_table_list WHERE NOT wr)"""
"""Indexes of the tables with numbered rows. The others are small, and checked by SQLite as a whole."""


async def test_every_index_is_searched_by_itself_and_never_through_a_whole_table(many: Path) -> None:
    with contextlib.closing(sqlite3.connect(many)) as db:
        indexes = db.execute(SEARCHED)
        searched = {name: sliced_check.search(table, name, sql) for table, name, sql in indexes.fetchall()}
        assert searched.keys() == CHANGES.keys()
        starts = [starts for _, starts in sliced_check.checks(db)]
        assert [start for start in starts if len(start) > 1] == [range(0, 2_500, 1_000)], "of the entries alone"
        assert len(starts) == db.execute("SELECT count(*) FROM sqlite_schema WHERE type = 'table'").fetchone()[0]
        for name, search in searched.items():
            assert search is not None
            steps = plan(db, search)
            assert not [step for step in steps if "SCAN" in step], steps
            assert any(f"INDEX {name} " in step and "rowid=?" in step for step in steps), steps
        assert plan(db, sliced_check.read(db, "entries")) == [
            "SEARCH entries USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"
        ]
        ends = db.execute("EXPLAIN QUERY PLAN " + sliced_check._ENDS.format("entries")).fetchall()
        assert [row[3] for row in ends if "entries" in row[3]] == ["SEARCH entries", "SEARCH entries"]


def plan(db: sqlite3.Connection, statement: str) -> list[str]:
    return [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}", (0, 1_000))]


async def test_row_of_a_large_table_is_read_to_its_end(many: Path) -> None:
    """Also where it goes on in pages of its own, which no index leads to."""
    with contextlib.closing(sqlite3.connect(many)) as db:
        db.execute("UPDATE entries SET message = ? WHERE seq = 2345", ("x" * 20_000,))
        db.commit()
    content = bytearray(many.read_bytes())
    going_on = [at for at in range(0, len(content), 4_096) if content[at + 4 : at + 4_096] == b"x" * 4_092]
    content[going_on[0] : going_on[0] + 4] = b"\xff" * 4  # the number of the page after it
    many.write_bytes(content)
    assert "is damaged" in await damage_found(many)
    assert "is damaged" in await refusal(many)


async def test_what_an_operator_added_is_left_alone(many: Path) -> None:
    with contextlib.closing(sqlite3.connect(many)) as db:
        db.executescript(
            """
            CREATE INDEX mine ON entries(order_id); CREATE INDEX other ON entries (order_id DESC, coalesce(value, 1));
            CREATE TABLE "my-notes" ("a note" TEXT); ALTER TABLE entries ADD COLUMN "my own" TEXT;
            """
        )
    async with opened(many) as store:
        running = asyncio.create_task(store.run())
        await store.check()
        assert not running.done()
        store.stop()
        await running


async def test_disk_that_does_not_read_ends_the_committer_and_says_nothing_against_the_file(
    many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(sliced_check, "_slice", unreadable)
    assert "disk I/O error" in await damage_found(many)
    async with opened(many):
        pass


async def test_damage_of_a_small_table_is_reported_in_one_line(many: Path) -> None:
    with contextlib.closing(sqlite3.connect(many)) as db:
        root = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'journal'").fetchone()[0]
    content = bytearray(many.read_bytes())
    content[(root - 1) * 4_096 : root * 4_096] = b"\x0d" + b"\xff" * 4_095
    many.write_bytes(content)
    told = await damage_found(many)
    assert len(told) < 1_000
    assert "\n" not in told


# --- An index that has more than its table ---------------------------------------------------------------------------


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SqliteHouse]:
    """With a file that is large, as far as we are concerned: what an index has too many is not searched for there."""
    monkeypatch.setattr(integrity, "CHECKED_FIRST_BYTES", 0)
    house = SqliteHouse(tmp_path)
    yield house
    await house.close()


async def test_row_that_an_index_alone_keeps_in_a_batch_is_neither_sent_nor_settled(house: SqliteHouse) -> None:
    outbox = await house.open()
    await put(outbox, *orders(3))
    assert len((await claimed(outbox)).entries) == 3
    await house.close()
    change_behind(house.path, "entries_batch", "UPDATE entries SET claimed = 0, batch_id = NULL WHERE seq = 2")
    outbox = await house.open()
    again = await outbox.claim_resend("main", NOW, later(60_000))
    assert again is not None
    assert [entry.seq for entry in again.entries] == [1, 3]
    assert await outbox.settle(again, {}, TAKEN, NOW)
    assert [(await record_of(outbox, seq)).state for seq in (1, 2, 3)] == ["delivered", "pending", "delivered"]


async def test_delivered_row_that_an_index_takes_for_a_waiting_one_is_not_ended_for_its_age(house: SqliteHouse) -> None:
    await put(await house.open(), *orders(2))
    await house.close()
    change_behind(house.path, "entries_age", "UPDATE entries SET state = 'delivered', settled_at = 1 WHERE seq = 2")
    outbox = await house.open()
    at = later(100 * DAY)
    await outbox.expire(at, 100)
    assert [(await record_of(outbox, seq)).state for seq in (1, 2)] == ["dead", "delivered"]
