"""The one task that writes: who waits together, who goes first, and whose failure is whose."""

import asyncio
import sqlite3
import threading

import pytest
from committer_kit import ODD, Rows, gathered, numbered, running, waiting

from sidecar.store.committer import MAX_GROUP_ROWS, PATIENCE, URGENT_IN_TURN

# --- together --------------------------------------------------------------------------------------------------------


async def test_all_who_wait_share_one_transaction_and_get_their_own_results(rows: Rows) -> None:
    """It takes everything that is waiting, writes it in one transaction, then answers all the waiters."""
    tasks = waiting(rows, [["a", "b"], [], ["c"], *numbered(200)])
    await asyncio.sleep(0)
    async with running(rows):
        results = await gathered(tasks)
    assert results == [[1, 2], [], [3], *([number] for number in range(4, 204))]
    assert (rows.commits, rows.groups) == (1, [203])


async def test_callers_gather_while_a_transaction_is_on_its_way_to_disk(rows: Rows) -> None:
    """The fsync itself is the batching window, no timer."""

    async def caller(name: int) -> None:
        for turn in range(20):
            await rows.committer.put([f"{name}/{turn}"])

    async with running(rows):
        await asyncio.gather(*(caller(name) for name in range(64)))
    assert len(await rows.texts()) == 64 * 20
    assert rows.commits <= 64 * 20 // 8


async def test_callers_who_were_just_answered_join_those_who_wait(rows: Rows) -> None:
    loop = asyncio.get_running_loop()
    others: list[asyncio.Task[list[int]]] = []
    arrived = threading.Event()

    def others_come() -> None:
        others.extend(waiting(rows, numbered(4, start=100)))
        loop.call_soon(arrived.set)

    def while_writing() -> None:
        rows.while_writing = lambda: None
        loop.call_soon_threadsafe(others_come)
        assert arrived.wait(60)

    async def caller(name: int) -> None:
        for turn in range(2):
            await rows.committer.put([f"{name}/{turn}"])

    rows.while_writing = while_writing
    callers = [asyncio.create_task(caller(name)) for name in range(4)]
    await asyncio.sleep(0)
    async with running(rows):
        await asyncio.gather(*callers)
        await gathered(others)
    assert rows.groups == [4, 8]


async def test_one_transaction_takes_a_bounded_number_of_rows(rows: Rows) -> None:
    call = MAX_GROUP_ROWS // 2
    tasks = waiting(rows, [[f"{caller}/{row}" for row in range(call)] for caller in range(5)])
    await asyncio.sleep(0)
    async with running(rows):
        await gathered(tasks)
    assert rows.groups == [2 * call, 2 * call, call]


async def test_rows_of_one_call_stay_together_however_many(rows: Rows) -> None:
    async with running(rows):
        await rows.committer.put([str(row) for row in range(MAX_GROUP_ROWS + 1)])
    assert (rows.commits, rows.groups) == (1, [MAX_GROUP_ROWS + 1])


async def test_answer_comes_after_the_commit(rows: Rows) -> None:
    async with running(rows):
        await rows.committer.put(["a"])
        assert rows.commits == 1
        await rows.committer.write(lambda db: db.execute("DELETE FROM texts") and None)
        assert rows.commits == 2


# --- order -----------------------------------------------------------------------------------------------------------


async def test_intake_goes_before_settlements_and_those_before_what_can_wait(rows: Rows) -> None:
    order: list[str] = []
    rows.committer.on_group = lambda count, seconds: order.append("intake")
    tasks = [
        asyncio.create_task(rows.committer.write(lambda db: order.append("prune"), can_wait=True)),
        asyncio.create_task(rows.committer.write(lambda db: order.append("settle"))),
        asyncio.create_task(rows.committer.write(lambda db: order.append("settle"))),
        *waiting(rows, [["a"]]),
    ]
    await asyncio.sleep(0)
    async with running(rows):
        await asyncio.gather(*tasks)
    assert order == ["intake", "settle", "settle", "prune"]


async def test_several_settlements_go_between_two_groups_of_intake_and_no_more_than_that(rows: Rows) -> None:
    """With one settlement between two groups, delivery would go only as fast as groups do."""
    loop, order, more = asyncio.get_running_loop(), list[str](), list[asyncio.Task[object]]()
    rows.committer.on_group = lambda count, seconds: order.append("intake")
    all_came = threading.Event()

    def others_come() -> None:
        settlements = [rows.committer.write(lambda db: order.append("settle")) for _ in range(URGENT_IN_TURN + 2)]
        more.extend([*map(asyncio.create_task, settlements), *waiting(rows, [["b"]])])
        loop.call_soon(all_came.set)

    def while_writing() -> None:
        rows.while_writing = lambda: None
        loop.call_soon_threadsafe(others_come)
        assert all_came.wait(5)

    rows.while_writing = while_writing
    async with running(rows):
        await rows.committer.put(["a"])
        await asyncio.gather(*more)
    assert order == ["intake", *["settle"] * URGENT_IN_TURN, "intake", "settle", "settle"]


async def test_what_can_wait_is_done_all_the_same_in_a_busy_hour(rows: Rows) -> None:
    """A busy hour must neither keep the journal nor pruning from going on."""
    loop = asyncio.get_running_loop()
    callers: list[asyncio.Task[list[int]]] = []

    def one_more_comes() -> None:
        if len(callers) < 10 * PATIENCE:
            callers.extend(waiting(rows, [[f"caller {len(callers)}"]]))

    rows.while_writing = lambda: loop.call_soon_threadsafe(one_more_comes)
    one_more_comes()
    async with running(rows):
        await rows.committer.write(lambda db: None, can_wait=True)
        done_after = len(rows.groups)
        await rows.committer.write(lambda db: None)
        while len(callers) < 10 * PATIENCE:
            await callers[-1]
        await callers[-1]
    assert PATIENCE - 2 <= done_after <= PATIENCE + 2
    assert len(rows.groups) == 10 * PATIENCE


# --- whose failure ---------------------------------------------------------------------------------------------------


async def test_caller_who_hangs_up_does_not_stop_the_write(rows: Rows) -> None:
    """A handler cancelled between BEGIN and COMMIT leaves a shared connection in a transaction: not here."""
    tasks = waiting(rows, numbered(3))
    await asyncio.sleep(0)
    tasks[1].cancel()
    async with running(rows):
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(results[1], asyncio.CancelledError)
        assert await rows.texts() == ["text 0", "text 1", "text 2"]
        assert not await rows.in_transaction()


async def test_caller_who_hangs_up_while_it_is_written_changes_nothing_for_the_next(rows: Rows) -> None:
    async with running(rows):
        for turn in range(50):
            (task,) = waiting(rows, [[str(turn)]])
            for _ in range(turn % 5):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert await rows.committer.put(["last"]) != []
        assert not await rows.in_transaction()
    assert (await rows.texts())[-1] == "last"


ODD_CALLS = {
    "our own mistake": ([["a"], ["b", ODD], ["c"]], ValueError),
    "what SQLite will not take": ([["a"], ["b", "b"], ["c"]], sqlite3.IntegrityError),
}


@pytest.mark.parametrize(("calls", "error"), ODD_CALLS.values(), ids=ODD_CALLS)
async def test_odd_item_fails_only_its_own_caller(rows: Rows, calls: list[list[str]], error: type[Exception]) -> None:
    tasks = waiting(rows, calls)
    await asyncio.sleep(0)
    async with running(rows):
        first, second, third = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(second, error)
        assert (first, third) == ([1], [2])
        assert await rows.texts() == ["a", "c"]
        await rows.committer.put(["d"])
    assert rows.groups == [1, 1, 1]


async def test_callers_wait_together_again_after_an_odd_one(rows: Rows) -> None:
    tasks = waiting(rows, [["a"], [ODD], ["c"]])
    await asyncio.sleep(0)
    async with running(rows):
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*waiting(rows, numbered(10)))
    assert rows.groups == [1, 1, 10]


async def test_odd_work_is_undone_and_fails_only_its_own_caller(rows: Rows) -> None:
    def odd(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO texts VALUES (NULL, 'half done')")
        raise ValueError("no")

    async with running(rows):
        with pytest.raises(ValueError, match="no"):
            await rows.committer.write(odd)
        assert await rows.committer.write(lambda db: "done") == "done"
    assert await rows.texts() == []
