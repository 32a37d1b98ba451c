"""What was written while the clock was ahead waits no longer than anything legitimately may."""

import pytest
from adjusting_kit import adjusted
from conversion_kit import conversion
from instant_kit import DAY, HOUR, MINUTE, NOW, later
from outbox_kit import LOST, REFUSED, TAKEN, claimed, due, put, record_of, retaken, seqs_of
from store_kit import House

from sidecar.core.attribution import Deferral, WaitForClick
from sidecar.core.entry import LongestWaits, Requeue
from sidecar.core.instant import UnixSeconds, seconds
from sidecar.core.states_and_reasons import Reason
from sidecar.ports.delivery import Note
from sidecar.ports.outbox import Outbox

AHEAD = later(30 * DAY)
"""What the clock showed while it was wrong."""
THROTTLED = Note("refused: throttled", None, "CallRateExceeded")


async def test_row_that_came_in_while_the_clock_was_ahead_is_due_at_once(outbox: Outbox) -> None:
    given = conversion("A", time=seconds(AHEAD), time_given=False)
    (seq,) = await seqs_of(outbox, given, at=AHEAD)
    assert await outbox.clock_stepped_back(NOW, 100)
    (entry,) = await due(outbox)
    assert (entry.seq, entry.time, entry.received_at) == (seq, seconds(NOW), NOW)
    assert (await record_of(outbox, seq)).reason is None


async def test_time_of_its_callers_is_waited_for(outbox: Outbox) -> None:
    at = UnixSeconds(seconds(NOW) + 200)
    (seq,) = await seqs_of(outbox, conversion("A", time=at))
    await outbox.clock_stepped_back(NOW, 100)
    record = await record_of(outbox, seq)
    assert (record.reason, record.time, record.due_at) == ("not_yet", at, at * 1_000)


async def test_row_that_was_put_off_while_the_clock_was_ahead_goes_again_at_once(outbox: Outbox) -> None:
    (seq,) = await seqs_of(outbox, conversion("A"))
    again = Requeue(later(MINUTE, AHEAD), Reason.RETRYING, REFUSED, released=True, retries=1)
    await outbox.settle(await claimed(outbox), {seq: again}, TAKEN, NOW)
    assert await outbox.clock_stepped_back(NOW, 100)
    assert [entry.seq for entry in await due(outbox)] == [seq]


@pytest.mark.parametrize(("reason", "most"), [(Reason.AWAITING_CLICK, HOUR), (Reason.CLICK_SETTLING, 2 * HOUR)])
@pytest.mark.parametrize(("more", "is_due"), [(0, False), (1, True), (30 * DAY, True)])
async def test_row_waits_for_its_click_as_long_as_is_configured_and_no_longer(
    outbox: Outbox, reason: Reason, most: int, more: int, is_due: bool
) -> None:
    (seq,) = await seqs_of(outbox, conversion("A", msclkid=None, visitor_id="v-1"))
    await outbox.defer([Deferral(seq, WaitForClick(reason, later(most + more)))], NOW)
    await outbox.clock_stepped_back(NOW, 100, LongestWaits(HOUR, 2 * HOUR))
    assert bool(await due(outbox)) == is_due


@pytest.mark.parametrize(("wait", "is_due"), [(6 * HOUR, False), (6 * HOUR + 1, True)])
async def test_retried_row_waits_six_hours_at_most(outbox: Outbox, wait: int, is_due: bool) -> None:
    (seq,) = await seqs_of(outbox, conversion("A"))
    again = Requeue(later(wait), Reason.RETRYING, REFUSED, released=True, retries=1)
    await outbox.settle(await claimed(outbox), {seq: again}, TAKEN, NOW)
    await outbox.clock_stepped_back(NOW, 100)
    assert bool(await due(outbox)) == is_due


async def test_refund_of_what_was_settled_while_the_clock_was_ahead_goes_out_in_time(outbox: Outbox) -> None:
    await put(outbox, conversion())
    await outbox.settle(await claimed(outbox), {}, TAKEN, AHEAD)
    row = await adjusted(outbox, "5", at=later(HOUR))
    assert [entry.seq for entry in await due(outbox, later(7 * HOUR))] == [row.seq]


async def test_refund_that_came_in_while_the_clock_was_ahead_goes_out_in_time(outbox: Outbox) -> None:
    await put(outbox, conversion())
    await outbox.settle(await claimed(outbox), {}, TAKEN, AHEAD)
    row = await adjusted(outbox, "5", at=AHEAD)
    assert await outbox.clock_stepped_back(later(HOUR), 100)
    (entry,) = await due(outbox, later(7 * HOUR))
    assert (entry.seq, entry.adjusted_at) == (row.seq, seconds(later(HOUR)))


async def test_wait_that_was_noted_while_the_clock_was_ahead_is_no_longer_than_microsoft_asks_for(house: House) -> None:
    outbox = await house.open()
    await put(outbox, conversion("A"))
    await outbox.record_throttle("other", later(MINUTE, AHEAD))
    await outbox.postpone(await claimed(outbox), later(MINUTE, AHEAD), THROTTLED, maybe_sent=False)
    await house.crash()
    outbox = await house.open(later(MINUTE))
    most = later(16 * MINUTE)
    assert await outbox.throttled(later(MINUTE)) == {"main": most, "other": most}
    assert len((await retaken(outbox, most)).entries) == 1


async def test_lease_that_began_while_the_clock_was_ahead_is_as_long_as_it_was(outbox: Outbox) -> None:
    await put(outbox, conversion("A"))
    await claimed(outbox, AHEAD)
    await outbox.clock_stepped_back(NOW, 100)
    assert not await outbox.has_resend("main", later(MINUTE - 1))
    assert await outbox.has_resend("main", later(MINUTE))


async def test_batch_that_was_put_off_for_longer_than_anything_goes_again_within_six_hours(outbox: Outbox) -> None:
    await put(outbox, conversion("A"))
    await outbox.postpone(await claimed(outbox), AHEAD, LOST, maybe_sent=True)
    await outbox.clock_stepped_back(NOW, 100)
    assert await outbox.has_resend("main", later(6 * HOUR))


async def test_many_rows_are_brought_back_a_few_at_a_time(outbox: Outbox) -> None:
    for number in range(5):
        await put(outbox, conversion(f"A{number}", time_given=False), at=AHEAD)
    assert not await outbox.clock_stepped_back(NOW, 2)
    assert len(await due(outbox)) == 2
    assert not await outbox.clock_stepped_back(NOW, 2)
    assert await outbox.clock_stepped_back(NOW, 2)
    assert len(await due(outbox)) == 5


async def test_wait_that_is_shorter_than_the_longest_one_stays_as_short(house: House) -> None:
    """Each start looks at them: none may get longer by that."""
    outbox = await house.open()
    await outbox.record_throttle("other", later(2 * MINUTE))
    await house.crash()
    outbox = await house.open(later(MINUTE))
    assert await outbox.throttled(later(MINUTE)) == {"other": later(2 * MINUTE)}


async def test_retried_row_with_a_future_time_of_its_caller_is_brought_back_to_that_time(outbox: Outbox) -> None:
    at = UnixSeconds(seconds(NOW) + 200)
    (seq,) = await seqs_of(outbox, conversion("A", time=at))
    again = Requeue(later(HOUR, AHEAD), Reason.RETRYING, REFUSED, released=True, retries=1)
    await outbox.settle(await claimed(outbox, AHEAD), {seq: again}, TAKEN, AHEAD)
    assert await outbox.clock_stepped_back(NOW, 100)
    assert (await record_of(outbox, seq)).due_at == at * 1_000


async def test_adjustment_that_waits_for_its_conversion_is_left_alone(outbox: Outbox) -> None:
    """It waits for no time: to look at it again and again would never end."""
    await put(outbox, conversion())
    await outbox.postpone(await claimed(outbox), NOW, LOST, maybe_sent=True)
    row = await adjusted(outbox, "5")
    assert row.reason == "awaiting_original"
    assert await outbox.clock_stepped_back(NOW, 1)
    assert await record_of(outbox, row.seq) == row


async def test_adjustment_settles_as_long_as_is_configured(house: House) -> None:
    outbox = await house.open(adjustment_delay_millis=30 * HOUR)
    await put(outbox, conversion())
    await outbox.settle(await claimed(outbox), {}, TAKEN, NOW)
    row = await adjusted(outbox, "5", at=later(HOUR))
    assert row.due_at == later(30 * HOUR)
    assert await outbox.clock_stepped_back(later(HOUR), 100)
    assert await record_of(outbox, row.seq) == row
