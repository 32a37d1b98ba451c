"""The machine's clock jumps while rows wait: Microsoft's own time, in the `Date` of its answers, decides."""

from collections.abc import AsyncIterator

import pytest
from delivery_kit import DAY, HOUR, MINUTE, SECOND, Rig

from sidecar.core.instant import UnixSeconds

YEARS = 12 * 365 * DAY


@pytest.fixture
async def steady(rig: Rig) -> AsyncIterator[Rig]:
    """A rig whose sidecar keeps its time; the emulator's answers have the true `Date`, even when the clock is wrong."""
    await rig.crash()
    await rig.start(steady=True)
    yield rig


@pytest.mark.parametrize("jump", [DAY, YEARS])
async def test_jump_that_microsoft_contradicts_ends_and_forgets_nothing(steady: Rig, jump: int) -> None:
    rig = steady
    kept = await rig.post(2)
    await rig.until_pending(0)
    rig.parts.flusher.stop()
    await rig.post(1, time=UnixSeconds(rig.clock() // 1000 - 60))
    rig.clock.offset += jump
    await rig.parts.housekeeping.watch()
    assert "clock_jumped" in rig.active_troubles()
    await rig.parts.housekeeping.expire()
    await rig.parts.housekeeping.prune()
    assert rig.count("state = 'pending'") == 1
    assert [rig.row(seq)["state"] for seq in kept] == ["delivered", "delivered"]
    rig.clock.offset -= jump
    await rig.parts.housekeeping.watch()
    assert "clock_jumped" not in rig.active_troubles()


async def test_clock_that_is_set_right_is_followed_once_microsoft_answers_and_its_pauses_stay_as_long(rig: Rig) -> None:
    await rig.crash()
    rig.clock.offset = -DAY // 2
    await rig.start(steady=True)
    rig.fault(type="status", status=429, retry_after="60", match={"account": "200000001"})
    await rig.post(1)
    await rig.until(lambda: rig.parts.gates.held("main", None) == "throttled")
    before = rig.parts.gates.closed_until("main", rig.parts.housekeeping.now())
    rig.clock.offset = 0
    await rig.parts.housekeeping.watch()  # and so the goals are read, of the accounts that may be asked
    await rig.until(lambda: rig.parts.housekeeping.clock.away == 0)
    assert abs(rig.parts.housekeeping.now() - rig.clock()) < SECOND
    after = rig.parts.gates.closed_until("main", rig.parts.housekeeping.now())
    assert abs(after - before - DAY // 2) < 2 * SECOND
    assert len(await rig.requests(account="main")) == 1


async def test_row_that_came_in_while_the_clock_was_ahead_goes_out_after_a_start_with_the_right_one(rig: Rig) -> None:
    """The new process never saw the wrong time: it looks all the same."""
    rig.clock.offset += 30 * DAY
    rig.parts.gates.pause("main", rig.clock())
    await rig.post(2, time_given=False)
    await rig.crash()
    rig.clock.offset -= 30 * DAY
    await rig.start()
    await rig.parts.housekeeping.watch()
    rig.wake_couriers()
    await rig.until_pending(0)
    await rig.balance()


async def test_row_that_a_step_of_the_clock_makes_due_goes_out_without_a_wait_for_the_next_sweep(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.delivery.holdings.SWEEP_SECONDS", 3_600.0)
    await rig.crash()
    await rig.start(steady=True)
    rig.fault(times=4, type="partial_errors", code=7777)
    (seq,) = await rig.post()
    for retries in range(1, 5):
        await rig.until(lambda retries=retries: rig.row(seq)["retries"] == retries)
        rig.clock.offset += 6 * HOUR + MINUTE
        rig.parts.housekeeping.clock.heard(rig.clock())
    await rig.until_pending(0)
    await rig.balance()
