"""Age: rows that got too old, rows that are forgotten, and what waits."""

import pytest
from conversion_kit import conversion, orders
from instant_kit import DAY, HOUR, MINUTE, NOW, SECOND, first_of_day, later, when
from outbox_kit import LOST, REFUSED, TAKEN, claimed, due, put, retaken, seqs_of

from sidecar.core.conversion import Conversion
from sidecar.core.entry import Settled
from sidecar.core.instant import MAX_AGE_SECONDS, UnixMillis, UnixSeconds, seconds
from sidecar.core.states_and_reasons import State
from sidecar.ports.intake import Conflict, Replayed, Stored
from sidecar.ports.outbox import Outbox
from sidecar.ports.queries import Backlog, Counts
from sidecar.ports.upkeep import Moved, Unmoved

OLDEST = UnixSeconds(seconds(NOW) - MAX_AGE_SECONDS)
"""The oldest second that Microsoft takes at NOW; a second later it is too old."""


def old(order_id: str = "OLD", **given: object) -> Conversion:
    return conversion(order_id, time=OLDEST, **given)


# --- too old ---------------------------------------------------------------------------------------------------------


async def test_row_ends_by_age_one_second_after_ninety_days(outbox: Outbox) -> None:
    """A row ends by age (90 days after its conversion time, where Microsoft's own limit lies)."""
    (seq,) = await seqs_of(outbox, old())
    assert await outbox.expire(later(SECOND - 1), 100) == []
    (record,) = await outbox.expire(later(SECOND), 100)
    assert (record.seq, record.state, record.reason) == (seq, State.DEAD, "too_old")
    assert record.settled_at == later(SECOND)
    assert record == await outbox.get(seq)
    assert await outbox.counts() == Counts(dead=1)
    assert await outbox.expire(later(DAY), 100) == []


async def test_oldest_rows_end_first_and_no_more_than_asked_for(outbox: Outbox) -> None:
    await put(outbox, *(conversion(f"ORDER-{day}", time=first_of_day(day)) for day in (80, 90, 85, 88)))
    assert [record.order_id for record in await outbox.expire(later(6 * DAY), 2)] == ["ORDER-90", "ORDER-88"]
    assert [record.order_id for record in await outbox.expire(later(6 * DAY), 2)] == ["ORDER-85"]
    assert await outbox.counts() == Counts(pending=1, dead=3)


async def test_row_on_its_way_is_not_ended_before_its_lease_passes(outbox: Outbox) -> None:
    await put(outbox, old())
    await claimed(outbox, lease=HOUR)
    assert await outbox.expire(later(HOUR - 1), 100) == []
    assert len(await outbox.expire(later(HOUR), 100)) == 1


async def test_row_of_a_postponed_batch_ends_and_the_others_of_the_batch_go_on(outbox: Outbox) -> None:
    await put(outbox, old(), *orders(2))
    await outbox.postpone(await claimed(outbox), later(HOUR), LOST, maybe_sent=True)
    (record,) = await outbox.expire(later(MINUTE), 100)
    assert (record.order_id, record.claimed, record.error) == ("OLD", False, LOST.error)
    again = await retaken(outbox, later(HOUR))
    assert [entry.time for entry in again.entries] == [conversion().time] * 2
    await outbox.settle(again, {}, TAKEN, later(HOUR))
    assert await outbox.counts() == Counts(delivered=2, dead=1)


@pytest.mark.parametrize(("passed", "is_possibly_sent"), [(True, True), (False, False)])
async def test_row_that_ends_after_its_lease_passed_may_have_been_sent(
    outbox: Outbox, passed: bool, is_possibly_sent: bool
) -> None:
    (seq,) = await seqs_of(outbox, old())
    taken = await claimed(outbox)
    if not passed:
        await outbox.postpone(taken, later(MINUTE), LOST, maybe_sent=False)
    await outbox.expire(later(MINUTE), 100)
    assert isinstance(await outbox.discard(seq, later(MINUTE)), Unmoved if is_possibly_sent else Moved)


async def test_postponed_batch_whose_rows_all_ended_is_not_claimed_again(outbox: Outbox) -> None:
    await put(outbox, old())
    await outbox.postpone(await claimed(outbox), later(MINUTE), LOST, maybe_sent=False)
    await outbox.expire(later(MINUTE), 100)
    assert await outbox.claim_resend("main", later(MINUTE), later(HOUR)) is None
    assert not await outbox.has_resend("main", later(HOUR))


async def test_empty_batch_does_not_delay_a_full_one(outbox: Outbox) -> None:
    await put(outbox, old(), *orders(1))
    for wait in (MINUTE, HOUR):
        await outbox.postpone(await claimed(outbox, limit=1), later(wait), LOST, maybe_sent=False)
    await outbox.expire(later(MINUTE), 100)
    assert (await retaken(outbox, later(HOUR))).entries[0].seq == 2


async def test_late_answer_does_not_wake_a_row_that_ended_meanwhile(outbox: Outbox) -> None:
    await put(outbox, old())
    taken = await claimed(outbox)
    await outbox.expire(later(MINUTE), 100)
    await outbox.settle(taken, {}, TAKEN, later(MINUTE))
    assert await outbox.counts() == Counts(dead=1)


async def test_settled_rows_do_not_end_by_age(outbox: Outbox) -> None:
    await put(outbox, old())
    await outbox.settle(await claimed(outbox), {}, TAKEN, NOW)
    assert await outbox.expire(later(100 * DAY), 100) == []


async def test_order_that_died_of_age_is_replaced_by_a_younger_report_of_it(outbox: Outbox) -> None:
    await put(outbox, old("ORDER-1"))
    await outbox.expire(later(SECOND), 100)
    (result,) = await put(outbox, conversion("ORDER-1"), at=later(SECOND))
    assert isinstance(result, Stored)
    assert await outbox.counts() == Counts(pending=1)
    assert len(await due(outbox, later(SECOND))) == 1


# --- what waits ------------------------------------------------------------------------------------------------------


async def test_nothing_waits_in_an_empty_outbox(outbox: Outbox) -> None:
    assert await outbox.backlog() == Backlog(None, None)


async def test_backlog_tells_the_oldest_due_moment_and_the_first_expiry(outbox: Outbox) -> None:
    await put(outbox, conversion("A", time=first_of_day(2)), at=later(5))
    await put(outbox, conversion("B", time=first_of_day(3), event="lead"), at=later(7))
    await put(outbox, conversion("C", time=first_of_day(1), account="other"), at=later(3))
    expiry = when(UnixSeconds(first_of_day(3) + MAX_AGE_SECONDS))
    assert await outbox.backlog() == Backlog(later(3), expiry)


async def test_postponed_and_retried_rows_belong_to_the_backlog(outbox: Outbox) -> None:
    await put(outbox, conversion())
    await outbox.postpone(await claimed(outbox, later(MINUTE)), later(HOUR), LOST, maybe_sent=False)
    assert (await outbox.backlog()).oldest_due_at == later(MINUTE)  # since then it tries, whenever it tries again


async def test_settled_rows_do_not_wait(outbox: Outbox) -> None:
    await put(outbox, conversion())
    await outbox.settle(await claimed(outbox), {}, TAKEN, NOW)
    assert await outbox.backlog() == Backlog(None, None)


# --- forgotten -------------------------------------------------------------------------------------------------------


async def pruned(outbox: Outbox, before: UnixMillis, limit: int = 500) -> int:
    """Walk through the outbox the way housekeeping does; how many steps it took."""
    steps, after = 0, 0
    while (after_next := await outbox.prune(before, after, limit)) is not None:
        assert after_next > after
        steps, after = steps + 1, after_next
    return steps


async def test_rows_settled_long_ago_are_forgotten(outbox: Outbox) -> None:
    await put(outbox, *orders(3))
    steps = {1: Settled(State.DEAD, "poison", REFUSED), 2: Settled(State.SKIPPED, "no_click")}
    await outbox.settle(await claimed(outbox), steps, TAKEN, NOW)
    await pruned(outbox, NOW)
    assert await outbox.counts() == Counts(delivered=1, skipped=1, dead=1)
    await pruned(outbox, later(1))
    assert await outbox.counts() == Counts()
    assert [await outbox.get(seq) for seq in (1, 2, 3)] == [None] * 3


async def test_pending_rows_are_never_forgotten(outbox: Outbox) -> None:
    await put(outbox, *orders(4))
    await outbox.settle(await claimed(outbox, limit=2), {}, TAKEN, NOW)
    await outbox.postpone(await claimed(outbox, limit=1), later(HOUR), LOST, maybe_sent=True)
    await pruned(outbox, later(1_000 * DAY))
    assert await outbox.counts() == Counts(pending=2)
    assert (await retaken(outbox, later(HOUR))).entries[0].seq == 3
    assert [entry.seq for entry in await due(outbox)] == [4]


async def test_forgetting_goes_in_slices_through_everything_that_is_old(outbox: Outbox) -> None:
    await put(outbox, *orders(10))
    await outbox.settle(await claimed(outbox, limit=9), {}, TAKEN, NOW)
    await put(outbox, *orders(10, start=10), at=later(DAY))
    assert await pruned(outbox, later(HOUR), limit=3) == 4
    assert await outbox.counts() == Counts(pending=11)


async def test_orders_that_were_sent_again_do_not_delay_those_behind_them(outbox: Outbox) -> None:
    """Numbers follow the first receipt: a thousand dead rows that were sent again must not end the walk."""
    await put(outbox, *orders(5))
    dead = {seq: Settled(State.DEAD, "poison", REFUSED) for seq in range(1, 6)}
    await outbox.settle(await claimed(outbox), dead, TAKEN, NOW)
    await put(outbox, *orders(5, start=5))
    await outbox.settle(await claimed(outbox), {}, TAKEN, NOW)
    await put(outbox, *orders(5, value="1"), at=later(DAY))
    assert await outbox.counts() == Counts(pending=5, delivered=5)
    await pruned(outbox, later(HOUR), limit=2)
    assert await outbox.counts() == Counts(pending=5)


async def test_keys_are_remembered_until_ninety_days_after_the_time_of_the_conversion(outbox: Outbox) -> None:
    """Keys are remembered until 90 days after the conversion's time, however short the retention."""
    soon = UnixSeconds(seconds(NOW) + 300)
    await put(outbox, conversion(time=soon))
    canceled = {1: Settled(State.CANCELED, "discarded")}
    await outbox.settle(await claimed(outbox, later(5 * MINUTE)), canceled, TAKEN, NOW)
    ninety_days = MAX_AGE_SECONDS * 1_000
    await pruned(outbox, UnixMillis(when(soon) + ninety_days - 1 - ninety_days))
    (result,) = await put(outbox, conversion(time=soon), at=later(DAY))
    assert isinstance(result, Replayed)


async def test_forgotten_key_is_free_and_numbers_are_never_used_again(outbox: Outbox) -> None:
    await put(outbox, *orders(3))
    await outbox.settle(await claimed(outbox), {}, TAKEN, NOW)
    await pruned(outbox, later(1))
    (result,) = await put(outbox, *orders(1), at=later(DAY))
    assert isinstance(result, Stored)
    assert result.record.seq == 4


async def test_half_of_a_forgotten_batch_still_goes_out(outbox: Outbox) -> None:
    await put(outbox, *orders(2))
    await outbox.halve(await claimed(outbox), LOST, NOW)
    await pruned(outbox, later(DAY))
    half = await retaken(outbox, later(DAY))
    assert (len(half.entries), half.root_rows, half.root_poisoned) == (1, 1, 0)
    assert await outbox.settle(half, {}, TAKEN, later(DAY))
    assert await outbox.counts() == Counts(pending=1, delivered=1)


async def test_kept_row_conflicts_as_long_as_it_is_kept(outbox: Outbox) -> None:
    await put(outbox, conversion())
    await outbox.settle(await claimed(outbox), {}, TAKEN, NOW)
    await pruned(outbox, NOW)
    (result,) = await put(outbox, conversion(value="1"), at=later(DAY))
    assert isinstance(result, Conflict)
