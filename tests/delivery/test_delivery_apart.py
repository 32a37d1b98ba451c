"""An account that gets no answers at all: another one is delivered as if it were alone."""

import time
from statistics import quantiles

import pytest
from delivery_kit import Rig
from promises import Show


async def _seconds(rig: Rig, count: int) -> list[float]:
    """How long each of `count` conversions of the other account took, one after another, from intake to delivery."""
    took: list[float] = []
    for _ in range(count):
        began = time.perf_counter()
        delivered = (await rig.parts.store.outbox.counts()).delivered
        await rig.post(account="other")
        await rig.until_counts(lambda counts, delivered=delivered: counts.delivered > delivered)
        took.append(time.perf_counter() - began)
    return took


def _p99(took: list[float]) -> float:
    return quantiles(took, n=100)[98] * 1000


async def _compare(rig: Rig, count: int) -> tuple[float, float]:
    """The p99 of the other account in milliseconds: alone, and beside one that hangs with a backlog."""
    rig.configure(batch_size=1, linger=0, request_timeout=60.0, max_in_flight=4)
    await _seconds(rig, 10)
    alone = _p99(await _seconds(rig, count))
    hanging = rig.fault(times=None, match={"account": "200000001"}, type="hang")
    await rig.post(2_000)
    await rig.until(lambda: hanging.fired >= 1)
    beside = _p99(await _seconds(rig, count))
    assert {row["account"] for row in rig.rows("state = 'pending'")} == {"main"}
    assert rig.count("state = 'pending'") == 2_000
    rig.emulator.script.clear()
    rig.configure(batch_size=1_000, request_timeout=5.0)
    return alone, beside


async def test_account_that_hangs_keeps_no_other_waiting(rig: Rig) -> None:
    _, beside = await _compare(rig, count=20)
    assert beside < 30_000, "one that waits for the other waits for its 60 s"


@pytest.mark.faults
@pytest.mark.promise("B7")
async def test_account_that_hangs_delays_no_other(rig: Rig, shown: Show) -> None:
    alone, beside = await _compare(rig, count=400)
    assert beside <= 2 * alone + 20
    shown("400 conversions beside an account that hangs", lost=0, figure=f"p99 {alone:.0f} ms, then {beside:.0f} ms")
