"""Settling: how an answer is written down, and by whose claim."""

import pytest
from conversion_kit import CLICK, conversion, orders
from instant_kit import DAY, HOUR, MINUTE, NOW, first_of_day, later
from msgspec.structs import replace
from outbox_kit import LOST, POISONED, REFUSED, TAKEN, claim, claimed, due, put, record_of, retaken, seqs, seqs_of

from sidecar.core.attribution import SendConversion, with_choice
from sidecar.core.conversion import Click
from sidecar.core.entry import Requeue, Settled, Step
from sidecar.core.states_and_reasons import Reason, State
from sidecar.ports.outbox import Outbox
from sidecar.ports.queries import Counts

# --- settle ----------------------------------------------------------------------------------------------------------


async def test_rows_without_exception_are_delivered(outbox: Outbox) -> None:
    await put(outbox, *orders(3))
    taken = await claimed(outbox)
    assert await outbox.settle(taken, {}, TAKEN, later(MINUTE))
    record = await record_of(outbox, 2)
    assert (record.state, record.settled_at, record.tracking_id) == (State.DELIVERED, later(MINUTE), "tracking-1")
    assert (record.batch_id, record.sent_at, record.claimed) == (taken.batch_id, NOW, False)
    assert await outbox.counts() == Counts(delivered=3)


async def test_row_that_may_have_been_sent_stays_frozen_even_if_its_claim_does_not_know(outbox: Outbox) -> None:
    """The answer to a first try was lost; a late claim says "again" without knowing of the loss."""
    (seq,) = await seqs_of(outbox, conversion(msclkid=None, visitor_id="v-1"))
    click = Click(account="main", visitor_id="v-1", msclkid=CLICK, clicked_at=first_of_day(1))
    taken = await claim(outbox, [with_choice(entry, SendConversion(click), click) for entry in await due(outbox)])
    assert taken is not None
    assert await outbox.postpone(taken, later(HOUR), LOST, maybe_sent=True)
    assert not taken.entries[0].maybe_sent
    assert await outbox.settle(taken, {seq: Requeue(NOW, None, REFUSED, released=True)}, TAKEN, NOW)
    (entry,) = await due(outbox)
    assert (entry.goal, entry.sent_time, entry.maybe_sent) == ("Sidecar Purchase", taken.entries[0].sent_time, True)
    assert (entry.msclkid, entry.clicked_at) == (CLICK, first_of_day(1))


ENDS = {
    "dead": Settled(State.DEAD, REFUSED.error, REFUSED),
    "too old": Settled(State.DEAD, Reason.TOO_OLD),
    "skipped": Settled(State.SKIPPED, "goal_not_enhanced"),
    "canceled": Settled(State.CANCELED, "discarded"),
}


@pytest.mark.parametrize("step", ENDS.values(), ids=ENDS)
async def test_exception_that_ends_a_row_is_kept_with_its_reason(outbox: Outbox, step: Settled) -> None:
    await put(outbox, *orders(3))
    assert await outbox.settle(await claimed(outbox), {2: step}, TAKEN, later(MINUTE))
    record = await record_of(outbox, 2)
    assert (record.state, record.reason, record.settled_at) == (step.state, step.reason, later(MINUTE))
    fault = step.fault
    told = (fault.error, fault.error_code, fault.message) if fault else (None, None, None)
    assert (record.error, record.error_code, record.message) == told
    assert await outbox.counts() == Counts(delivered=2, **{step.state.value: 1})
    assert (await record_of(outbox, 1)).state is State.DELIVERED


async def test_retried_row_is_due_again_later_with_microsofts_message(outbox: Outbox) -> None:
    (seq,) = await seqs_of(outbox, conversion())
    taken = await claimed(outbox)
    step = Requeue(later(HOUR), Reason.RETRYING, REFUSED, released=False, retries=3)
    assert await outbox.settle(taken, {seq: step}, TAKEN, later(MINUTE))
    record = await record_of(outbox, seq)
    assert (record.state, record.reason, record.due_at) == (State.PENDING, "retrying", later(HOUR))
    assert (record.error_code, record.settled_at, record.attempt) == (5600, None, 1)
    assert await due(outbox, later(HOUR - 1)) == []
    (entry,) = await due(outbox, later(HOUR))
    assert (entry.retries, entry.goal, entry.sent_time) == (3, "Sidecar Purchase", entry.time)
    assert await outbox.counts() == Counts(pending=1)


async def test_released_row_may_be_frozen_again(outbox: Outbox) -> None:
    """A goal's name comes from the current mapping until the row is first sent."""
    (seq,) = await seqs_of(outbox, conversion())
    before = (await due(outbox))[0]
    step = Requeue(later(HOUR), None, REFUSED, released=True)
    await outbox.settle(await claimed(outbox), {seq: step}, TAKEN, later(MINUTE))
    assert await due(outbox, later(HOUR)) == [replace(before, attempt=1, due_at=later(HOUR))]
    record = await record_of(outbox, seq)
    assert (record.reason, record.goal, record.error) == (None, None, REFUSED.error)


async def test_refusals_are_counted_on(outbox: Outbox) -> None:
    (seq,) = await seqs_of(outbox, conversion())
    step = Requeue(NOW, Reason.RETRYING, REFUSED, retries=1, refusals=2)
    await outbox.settle(await claimed(outbox), {seq: step}, TAKEN, NOW)
    assert (await due(outbox))[0].refusals == 2


async def test_delivery_wipes_the_errors_of_earlier_attempts(outbox: Outbox) -> None:
    (seq,) = await seqs_of(outbox, conversion())
    await outbox.settle(await claimed(outbox), {seq: Requeue(NOW, Reason.RETRYING, REFUSED)}, TAKEN, NOW)
    await outbox.settle(await claimed(outbox), {}, TAKEN, NOW)
    record = await record_of(outbox, seq)
    assert (record.state, record.error, record.error_code, record.message) == (State.DELIVERED, None, None, None)
    assert record.attempt == 2


async def test_every_kind_of_outcome_in_one_batch_counts_exactly(outbox: Outbox) -> None:
    """accepted = delivered + pending + dead + skipped + canceled."""
    await put(outbox, *orders(10))
    steps: dict[int, Step] = dict(enumerate(ENDS.values(), start=1))
    steps |= {5: Requeue(later(HOUR), Reason.RETRYING, REFUSED, retries=1), 6: Requeue(NOW, None, REFUSED)}
    assert await outbox.settle(await claimed(outbox), steps, TAKEN, NOW)
    assert await outbox.counts() == Counts(pending=2, delivered=4, skipped=1, dead=2, canceled=1)


async def test_thousand_rows_settle_each_with_its_own_outcome(outbox: Outbox) -> None:
    await put(outbox, *orders(1_000))
    dead = Settled(State.DEAD, REFUSED.error, REFUSED)
    await outbox.settle(await claimed(outbox), dict.fromkeys(range(1, 1001, 3), dead), TAKEN, NOW)
    assert await outbox.counts() == Counts(delivered=666, dead=334)
    assert {seq: (await record_of(outbox, seq)).state for seq in (1, 2, 1_000)} == {
        1: State.DEAD,
        2: State.DELIVERED,
        1_000: State.DEAD,
    }


# --- the fence -------------------------------------------------------------------------------------------------------

LATE = {
    "settle": lambda outbox, claim: outbox.settle(
        claim, {1: Settled(State.DEAD, "poison", REFUSED)}, POISONED, later(HOUR)
    ),
    "deliver": lambda outbox, claim: outbox.settle(claim, {}, POISONED, later(HOUR)),
    "postpone": lambda outbox, claim: outbox.postpone(claim, later(DAY), POISONED, maybe_sent=True, isolated=True),
    "halve": lambda outbox, claim: outbox.halve(claim, POISONED, later(HOUR)),
}


@pytest.mark.parametrize("late", LATE.values(), ids=LATE)
async def test_late_answer_cannot_overwrite_a_newer_claim(outbox: Outbox, late) -> None:  # type: ignore[no-untyped-def]
    """Every settlement names its claim."""
    await put(outbox, *orders(2))
    passed = await claimed(outbox)
    await retaken(outbox, later(MINUTE), lease=HOUR)
    before = [await outbox.get(seq) for seq in (1, 2)]
    assert not await late(outbox, passed)
    assert [await outbox.get(seq) for seq in (1, 2)] == before
    assert await outbox.counts() == Counts(pending=2)
    assert not await outbox.has_resend("main", later(HOUR))


@pytest.mark.parametrize("late", LATE.values(), ids=LATE)
async def test_second_answer_to_one_claim_changes_nothing(outbox: Outbox, late) -> None:  # type: ignore[no-untyped-def]
    await put(outbox, *orders(2))
    taken = await claimed(outbox)
    await outbox.settle(taken, {}, TAKEN, later(MINUTE))
    before = [await outbox.get(seq) for seq in (1, 2)]
    assert not await late(outbox, taken)
    assert [await outbox.get(seq) for seq in (1, 2)] == before
    assert await outbox.counts() == Counts(delivered=2)


async def test_answer_after_the_lease_counts_until_another_claim(outbox: Outbox) -> None:
    await put(outbox, *orders(2))
    taken = await claimed(outbox)
    assert await outbox.settle(taken, {}, TAKEN, later(HOUR))
    assert await outbox.counts() == Counts(delivered=2)


async def test_exception_for_a_row_of_another_batch_changes_nothing_there(outbox: Outbox) -> None:
    await put(outbox, *orders(2))
    first, second = await claimed(outbox, limit=1), await claimed(outbox)
    stranger = seqs(second)[0]
    assert await outbox.settle(first, {stranger: Settled(State.DEAD, "poison")}, TAKEN, NOW)
    assert (await record_of(outbox, stranger)).state is State.PENDING
    assert await outbox.counts() == Counts(pending=1, delivered=1)
