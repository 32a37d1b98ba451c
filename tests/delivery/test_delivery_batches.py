"""Rows become batches: how full, how soon, whose, and what each row of an answer leads to."""

import random
from typing import Any

import pytest
from delivery_kit import HOUR, MINUTE, SECOND, Rig


async def test_row_is_delivered(rig: Rig) -> None:
    (seq,) = await rig.post(email_sha256="a" * 64, phone_sha256="b" * 64, value="99.99")
    await rig.until_pending(0)
    assert (rig.row(seq)["state"], rig.row(seq)["attempt"]) == ("delivered", 1)
    assert [entry.count for entry in await rig.journal("batch_settled")] == [1]
    await rig.balance()


async def test_backlog_goes_in_full_batches_of_at_most_a_thousand(rig: Rig) -> None:
    rig.configure(linger=1.0)
    await rig.post(2_500)
    await rig.until_pending(0)
    assert sorted(request["rows"] for request in await rig.requests()) == [500, 1000, 1000]
    await rig.balance()


async def test_batch_size_is_respected(rig: Rig) -> None:
    rig.configure(batch_size=7)
    await rig.post(30)
    await rig.until_pending(0)
    sizes = [request["rows"] for request in await rig.requests()]
    assert sum(sizes) == 30
    assert max(sizes) == 7
    await rig.balance()


async def test_lone_row_goes_after_linger_and_not_before(rig: Rig) -> None:
    rig.configure(linger=300)
    rig.clock.stop()
    (seq,) = await rig.post()
    rig.pass_time(300 * SECOND - 1)
    await rig.give_time(0.1)
    assert await rig.requests() == []
    rig.pass_time(1)
    await rig.until_pending(0)
    (request,) = await rig.requests()
    assert request["at"] - rig.row(seq)["received_at"] == 300 * SECOND


async def test_full_batch_goes_at_once(rig: Rig) -> None:
    rig.configure(linger=300, batch_size=10)
    await rig.post(4)
    await rig.post(6)
    await rig.until_pending(0)
    assert [request["rows"] for request in await rig.requests()] == [10]


async def test_rows_that_arrive_one_by_one_wait_for_a_full_batch_and_fill_it(rig: Rig) -> None:
    rig.configure(linger=300, batch_size=10)
    for _ in range(10):
        await rig.post(1)
    await rig.until_pending(0)
    assert [request["rows"] for request in await rig.requests()] == [10]


async def test_full_batch_of_one_goal_does_not_wait_for_the_linger_of_another(rig: Rig) -> None:
    rig.configure(linger=300, batch_size=10)
    await rig.post(1)
    await rig.post(10, event="lead")
    await rig.until_pending(1)
    assert [request["rows"] for request in await rig.requests()] == [10]
    rig.pass_time(300_000)
    await rig.until_pending(0)
    await rig.balance()


async def test_batch_holds_rows_of_one_goal(rig: Rig) -> None:
    """Where a goal is in trouble, only its own rows are in that request."""
    await rig.post(5)
    await rig.post(5, event="lead")
    await rig.until_pending(0)
    by_batch: dict[int, set[str]] = {}
    for row in rig.rows():
        by_batch.setdefault(row["batch_id"], set()).add(row["goal"])
    assert all(len(goals) == 1 for goals in by_batch.values())
    await rig.balance()


# --- partial errors --------------------------------------------------------------------------------------------------


async def test_refused_rows_die_and_the_others_are_delivered(rig: Rig) -> None:
    rig.fault(type="partial_errors", indexes=[1, 3], code=5604)
    seqs = await rig.post(5)
    await rig.until_pending(0)
    dead = [seqs[1], seqs[3]]
    assert [row["seq"] for row in rig.rows("state = 'dead'")] == dead
    assert {row["reason"] for row in rig.rows("state = 'dead'")} == {"OfflineConversionMicrosoftClickIdInvalid"}
    told = await rig.journal("row_died")
    assert [entry.conversion_id for entry in told] == [f"conv_{seq}" for seq in dead]
    assert all(entry.fix for entry in told)
    await rig.balance()


async def test_row_with_several_errors_is_judged_once_by_the_gravest(rig: Rig) -> None:
    rig.fault(type="partial_errors", indexes=[2], code=5610, repeat=3, order="descending")
    seqs = await rig.post(4)
    await rig.until_pending(0)
    assert [row["seq"] for row in rig.rows("state = 'dead'")] == [seqs[2]]
    await rig.balance()


async def test_row_with_an_unknown_code_is_retried_and_reported(rig: Rig) -> None:
    """An unknown row error is retried with doubling delay, and raises a trouble."""
    rig.stop_clock()
    rig.fault(times=2, type="partial_errors", indexes=[0], code=7777, symbol="SomethingNew")
    first, *_ = await rig.post(3)
    for waited in (MINUTE, 2 * MINUTE):
        await rig.until(lambda: rig.row(first)["retries"] > 0 and rig.row(first)["claimed"] == 0)
        row = rig.row(first)
        assert (row["state"], row["reason"], row["error"]) == ("pending", "retrying", "SomethingNew")
        assert 0.75 * waited <= row["due_at"] - rig.clock() <= waited
        retries = row["retries"]
        rig.pass_time(waited)
        if waited == MINUTE:
            await rig.until(lambda retries=retries: rig.row(first)["retries"] > retries)
    await rig.until_pending(0)
    assert "row_retried" in await rig.troubles()
    await rig.balance()


async def test_retried_rows_fill_at_most_a_tenth_of_a_batch(rig: Rig) -> None:
    rig.fault(type="partial_errors", code=7777)
    await rig.post(100)
    await rig.until(lambda: len(rig.rows("retries > 0")) == 100)
    before, last = len(await rig.requests()), max(row["batch_id"] for row in rig.rows())
    rig.configure(batch_size=1_000, max_in_flight=1, linger=300)  # the new rows wait until the others are due
    await rig.post(180)
    rig.configure(batch_size=100, linger=2)
    rig.pass_time(HOUR)
    await rig.until_requests(before + 2)
    again = {row["seq"] for row in rig.rows("retries > 0 OR attempt > 1")}
    first_two = sorted({row["batch_id"] for row in rig.rows(f"batch_id > {last}")})[:2]
    assert len(first_two) == 2
    for batch in first_two:
        rows = {row["seq"] for row in rig.rows(f"batch_id = {batch}")}
        assert len(rows) == 100
        assert len(rows & again) <= 10
    await rig.until_pending(0)
    await rig.balance()


@pytest.mark.parametrize("seed", range(3))
async def test_random_partial_errors_over_random_batches_balance(rig: Rig, seed: int) -> None:
    """Every row that is not named is delivered, each that is named gets its own outcome."""
    chance = random.Random(seed)
    rig.configure(batch_size=chance.randint(20, 200))
    for code, symbol in ((5604, None), (5610, None), (9998, "Unheard")):
        picked = sorted(chance.sample(range(200), chance.randint(1, 60)))
        action: dict[str, Any] = {"type": "partial_errors", "indexes": picked, "code": code, "symbol": symbol}
        rig.fault(times=chance.randint(1, 2), **action)
    await rig.post(400)
    await rig.until(lambda: not rig.rows("state = 'pending' AND retries = 0"))
    rig.pass_time(HOUR)
    await rig.until_pending(0)
    assert {row["reason"] for row in rig.rows("state = 'dead'")} <= {
        "OfflineConversionMicrosoftClickIdInvalid",
        "OfflineConversionValueInvalid",
    }
    await rig.balance()
