"""What the one task that writes does when there is no room, when the file breaks, and at the end."""

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest
from committer_kit import ODD, Rows, gathered, numbered, running, waiting

from sidecar.ports.errors import StorageBroken, StorageUnavailable
from sidecar.store.committer import MAX_WAITING_ROWS
from sidecar.store.sqlite.database import writer

# --- storage ---------------------------------------------------------------------------------------------------------


async def test_full_disk_is_unavailable_and_works_again_once_there_is_room(rows: Rows) -> None:
    async with running(rows):
        (pages,) = await rows.database.call(lambda db: db.execute("PRAGMA page_count").fetchone())
        await rows.database.call(lambda db: db.execute(f"PRAGMA max_page_count = {pages + 2}").fetchone())
        refused = await gathered(waiting(rows, [["x" * 50_000], ["y"]]))
        assert refused == ["disk_nearly_full"] * 2
        assert not await rows.in_transaction()
        with pytest.raises(StorageUnavailable, match="full") as failure:
            await rows.committer.write(lambda db: db.execute("INSERT INTO texts VALUES (NULL, zeroblob(90000))") and 0)
        assert failure.value.code == "disk_nearly_full"
        assert await rows.texts() == []
        await rows.database.call(lambda db: db.execute("PRAGMA max_page_count = 100000").fetchone())
        assert await gathered(waiting(rows, [["x" * 50_000], ["y"]])) == [[1], [2]]


async def test_disk_reserve_refuses_intake_but_not_settlements(tmp_path: Path) -> None:
    """A reserve, so that settling and pruning still work when intake no longer may write."""
    async with writer(tmp_path / "outbox.db", "emulator") as database:
        rows = Rows(database, tmp_path / "outbox.db", min_free_bytes=2**62)
        await rows.prepare()
        async with running(rows):
            assert await gathered(waiting(rows, numbered(3))) == ["disk_nearly_full"] * 3
            assert await rows.committer.write(lambda db: "settled") == "settled"
        assert await rows.texts() == []


async def test_waiting_queue_is_bounded_and_beyond_it_the_answer_is_at_once(rows: Rows) -> None:
    """The waiting queue is bounded; beyond it 503 at once."""
    tasks = waiting(rows, [[f"{caller}/{row}" for row in range(1_000)] for caller in range(MAX_WAITING_ROWS // 1_000)])
    await asyncio.sleep(0)
    with pytest.raises(StorageUnavailable) as refused:
        await rows.committer.put(["one more"])
    assert refused.value.code == "outbox_growing"
    async with running(rows):
        await gathered(tasks)
        assert await rows.committer.put(["one more"]) == [MAX_WAITING_ROWS + 1]


async def test_queue_has_its_full_room_and_no_more_after_odd_callers(rows: Rows) -> None:
    full = [[f"{caller}/{row}" for row in range(1_000)] for caller in range(MAX_WAITING_ROWS // 1_000)]
    async with running(rows):
        for _ in range(3):
            await gathered(waiting(rows, [[ODD] * 5_000, [ODD] * 5_000]))
        results = await gathered(waiting(rows, [*full, ["one more"]]))
    assert results[-1] == "outbox_growing"
    assert sum(len(result) for result in results[:-1]) == MAX_WAITING_ROWS  # type: ignore[arg-type,misc]


async def test_corrupt_file_ends_the_writer_and_refuses_everybody(tmp_path: Path) -> None:
    """Only a failed committer ends the process."""
    path = tmp_path / "outbox.db"
    async with writer(path, "emulator") as database:
        rows = Rows(database, path)
        await rows.prepare()
        root = await database.call(
            lambda db: db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'texts'").fetchone()[0]
        )
        page = await database.call(lambda db: db.execute("PRAGMA page_size").fetchone()[0])
    with path.open("r+b") as file:
        file.seek((root - 1) * page)
        file.write(b"\xff" * page)
    async with writer(path, "emulator") as database:
        rows = Rows(database, path)
        tasks = waiting(rows, numbered(2))
        with pytest.raises(StorageBroken, match="malformed"):
            await rows.committer.run()
        assert await gathered(tasks) == ["storage_failed"] * 2
        assert await gathered(waiting(rows, numbered(1))) == ["stopping"]


def _failed_fsync(db: sqlite3.Connection) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
    raise error


async def test_failed_fsync_ends_the_writer(rows: Rows) -> None:
    """After a failed fsync the process stops taking events and exits for its supervisor."""
    task = asyncio.create_task(rows.committer.write(_failed_fsync))
    late = waiting(rows, numbered(1))
    with pytest.raises(StorageBroken):
        await rows.committer.run()
    with pytest.raises(StorageUnavailable, match="disk I/O error"):
        await task
    assert await gathered(late) == [[1]]
    assert await gathered(waiting(rows, numbered(1, start=1))) == ["stopping"]


# --- the end ---------------------------------------------------------------------------------------------------------


async def test_stop_writes_what_waits_and_takes_no_more_intake(rows: Rows) -> None:
    tasks = waiting(rows, [[f"{caller}/{row}" for row in range(1_000)] for caller in range(5)])
    journal = asyncio.create_task(rows.committer.write(lambda db: "kept", can_wait=True))
    await asyncio.sleep(0)
    rows.committer.stop()
    assert await gathered(waiting(rows, numbered(1))) == ["stopping"]
    await rows.committer.run()
    assert [len(answer) for answer in await asyncio.gather(*tasks)] == [1_000] * 5
    assert await journal == "kept"


async def test_settlements_are_taken_while_it_stops_and_refused_once_it_has_ended(rows: Rows) -> None:
    rows.committer.stop()
    settle = asyncio.create_task(rows.committer.write(lambda db: "settled"))
    await asyncio.sleep(0)
    await rows.committer.run()
    assert await settle == "settled"
    with pytest.raises(StorageUnavailable) as refused:
        await rows.committer.write(lambda db: "too late")
    assert refused.value.code == "stopping"


@pytest.mark.parametrize("kind", ["intake", "settlement"])
async def test_no_caller_waits_for_ever_when_the_writer_is_cancelled(rows: Rows, kind: str) -> None:
    started = asyncio.Event()
    loop = asyncio.get_running_loop()
    rows.while_writing = lambda: loop.call_soon_threadsafe(started.set)
    calls: dict[str, Callable[[], Coroutine[None, None, object]]] = {
        "intake": lambda: rows.committer.put(["a"]),
        "settlement": lambda: rows.committer.write(lambda db: rows.while_writing()),
    }
    run = asyncio.create_task(rows.committer.run())
    in_hand = asyncio.create_task(calls[kind]())
    await started.wait()
    behind = [asyncio.create_task(call()) for call in calls.values()]
    run.cancel()
    answers = await asyncio.wait_for(asyncio.gather(in_hand, *behind, return_exceptions=True), 60)
    assert [getattr(answer, "code", None) for answer in answers] == ["stopping"] * 3
