"""Turns on the loop, and room for what work becomes: dear requests wait for each other, cheap ones do not."""

import asyncio

import pytest
from aiohttp.test_utils import make_mocked_request

from sidecar.api.request.turns import CHEAP_BYTES, Lanes, TurnQueue, Weights


async def test_lane_lets_a_few_begin_in_each_round_in_the_order_of_their_arrival() -> None:
    lane, order, rounds = TurnQueue(seconds=0.0), list[int](), list[int]()
    number = 0

    async def count() -> None:
        nonlocal number
        while len(order) < 5:
            number += 1
            await asyncio.sleep(0)

    async def work(name: int) -> None:
        await lane.turn()
        order.append(name)
        rounds.append(number)

    await asyncio.gather(count(), *(work(name) for name in range(5)))
    assert order == [0, 1, 2, 3, 4]
    assert len(set(rounds)) == 5, "each used up the time of its round"


async def test_lane_lets_all_begin_at_once_while_there_is_time() -> None:
    lane, rounds = TurnQueue(seconds=3_600), list[int]()
    number = 0

    async def work() -> None:
        nonlocal number
        await lane.turn()
        rounds.append(number)

    await asyncio.gather(*(work() for _ in range(5)))
    assert rounds == [0] * 5


async def test_work_begins_as_long_as_it_weighs_no_more_together_and_the_heaviest_goes_alone() -> None:
    weights = Weights(limit=10)
    begun: list[int] = []

    async def work(weight: int) -> None:
        await weights.take(weight)
        begun.append(weight)

    tasks = [asyncio.create_task(work(weight)) for weight in (6, 4, 5, 20, 1)]
    await asyncio.sleep(0)
    assert begun == [6, 4]
    weights.give(6)
    await asyncio.sleep(0)
    assert begun == [6, 4, 5]
    weights.give(4)
    weights.give(5)
    await asyncio.sleep(0)
    assert begun == [6, 4, 5, 20]
    weights.give(20)
    await asyncio.gather(*tasks)
    assert begun == [6, 4, 5, 20, 1]


async def test_work_that_is_given_up_while_it_waits_keeps_no_room() -> None:
    weights = Weights(limit=10)
    await weights.take(10)
    waiting, given_up_late = (asyncio.create_task(weights.take(weight)) for weight in (10, 10))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    weights.give(10)
    given_up_late.cancel()  # its turn has come already
    await asyncio.gather(given_up_late, return_exceptions=True)
    await weights.take(10)


@pytest.mark.parametrize(
    ("length", "is_cheap"), [(None, False), (CHEAP_BYTES + 1, False), (CHEAP_BYTES, True), (1, True)]
)
async def test_only_a_small_body_that_says_how_large_it_is_goes_before_the_dear_ones(
    length: int | None, is_cheap: bool
) -> None:
    """One of an unknown length may hold thousands of conversions."""
    lanes = Lanes()
    headers = {} if length is None else {"Content-Length": str(length)}
    await lanes.turn(make_mocked_request("POST", "/v1/conversions", headers=headers))
    assert (lanes.cheap._began is not None, lanes.dear._began is not None) == (is_cheap, not is_cheap)
