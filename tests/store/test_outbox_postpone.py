"""Postponing and halving: batches that go again, whole or in parts."""

import pytest
from conversion_kit import conversion, orders
from instant_kit import DAY, HOUR, MINUTE, NOW, later
from msgspec.structs import replace
from outbox_kit import LOST, POISONED, REFUSED, TAKEN, claimed, due, put, record_of, retaken, seqs, seqs_of

from sidecar.core.entry import Requeue, Settled
from sidecar.core.states_and_reasons import Reason, State
from sidecar.ports.delivery import Claim, Note
from sidecar.ports.outbox import Outbox
from sidecar.ports.queries import Counts

# --- postpone --------------------------------------------------------------------------------------------------------


async def test_postponed_batch_keeps_the_very_same_rows_in_their_order(outbox: Outbox) -> None:
    """Transport faults and throttles belong to the account: a batch whose answer was lost is sent again whole."""
    await put(outbox, *orders(20))
    first = await claimed(outbox)
    await put(outbox, *orders(20, start=20))
    assert await outbox.postpone(first, later(HOUR), LOST, maybe_sent=False)
    assert not await outbox.has_resend("main", later(HOUR - 1))
    second = await retaken(outbox, later(HOUR))
    assert second.entries == tuple(replace(entry, attempt=2) for entry in first.entries)
    assert (second.batch_id, second.resend, second.created_at) == (first.batch_id, True, NOW)


async def test_postponed_rows_are_not_due_by_themselves(outbox: Outbox) -> None:
    await put(outbox, *orders(3))
    await outbox.postpone(await claimed(outbox), later(HOUR), LOST, maybe_sent=True)
    assert await due(outbox, later(DAY)) == []
    record = await record_of(outbox, 1)
    assert (record.state, record.due_at, record.error) == (State.PENDING, later(HOUR), LOST.error)
    assert await outbox.counts() == Counts(pending=3)


@pytest.mark.parametrize("maybe_sent", [True, False])
async def test_postponing_says_whether_the_request_may_have_been_applied(outbox: Outbox, maybe_sent: bool) -> None:
    """Whether a row was possibly sent is thereby always known."""
    await put(outbox, *orders(2))
    await outbox.postpone(await claimed(outbox), NOW, LOST, maybe_sent=maybe_sent)
    again = await retaken(outbox, NOW)
    assert [entry.maybe_sent for entry in again.entries] == [maybe_sent] * 2


async def test_row_that_may_have_been_sent_stays_so(outbox: Outbox) -> None:
    (seq,) = await seqs_of(outbox, conversion())
    await outbox.postpone(await claimed(outbox), NOW, LOST, maybe_sent=True)
    await outbox.postpone(await retaken(outbox, NOW), NOW, LOST, maybe_sent=False)
    again = await retaken(outbox, NOW)
    assert again.entries[0].maybe_sent
    await outbox.settle(again, {seq: Requeue(NOW, Reason.RETRYING, REFUSED, released=False)}, TAKEN, NOW)
    assert (await due(outbox))[0].maybe_sent


async def test_row_refused_alone_counts_its_refusals_and_its_root_once(outbox: Outbox) -> None:
    await put(outbox, conversion())
    claim = await claimed(outbox)
    seen = []
    for _ in range(3):
        await outbox.postpone(claim, NOW, POISONED, maybe_sent=False, isolated=True)
        claim = await retaken(outbox, NOW)
        seen.append((claim.entries[0].refusals, claim.root_poisoned))
    assert seen == [(1, 1), (2, 1), (3, 1)]


async def test_postponing_for_the_account_is_no_refusal_of_the_row(outbox: Outbox) -> None:
    await put(outbox, conversion())
    await outbox.postpone(await claimed(outbox), NOW, LOST, maybe_sent=False)
    again = await retaken(outbox, NOW)
    assert (again.entries[0].refusals, again.root_poisoned) == (0, 0)


async def test_error_of_the_last_answer_takes_number_and_words_of_an_older_one_with_it(outbox: Outbox) -> None:
    (seq,) = await seqs_of(outbox, conversion())
    await outbox.settle(await claimed(outbox), {seq: Requeue(NOW, Reason.RETRYING, REFUSED)}, TAKEN, NOW)
    await outbox.postpone(await claimed(outbox), NOW, LOST, maybe_sent=True)
    lost = await outbox.get(seq)
    throttled = Note("refused: throttled", None, "CallRateExceeded", 117, "Too many calls.")
    await outbox.postpone(await retaken(outbox, NOW), NOW, throttled, maybe_sent=False)
    refused = await outbox.get(seq)
    assert lost is not None and refused is not None
    assert (lost.error, lost.error_code, lost.message) == (LOST.error, None, None)
    assert (refused.error, refused.error_code, refused.message) == ("CallRateExceeded", 117, "Too many calls.")


# --- halve -----------------------------------------------------------------------------------------------------------


async def halves(outbox: Outbox, claim: Claim) -> list[Claim]:
    """Both halves of a claim, taken again."""
    assert await outbox.halve(claim, POISONED, later(MINUTE))
    return [await retaken(outbox, later(MINUTE), lease=HOUR) for _ in range(2)]


async def test_halves_hold_each_row_once_and_in_order(outbox: Outbox) -> None:
    await put(outbox, *orders(5))
    whole = await claimed(outbox)
    first, second = await halves(outbox, whole)
    assert (seqs(first), seqs(second)) == ([1, 2], [3, 4, 5])
    assert [*first.entries, *second.entries] == [replace(entry, attempt=2) for entry in whole.entries]
    assert not await outbox.has_resend("main", later(MINUTE))
    assert await outbox.counts() == Counts(pending=5)


async def test_halves_know_the_batch_they_come_from(outbox: Outbox) -> None:
    await put(outbox, *orders(8))
    whole = await claimed(outbox)
    half, _ = await halves(outbox, whole)
    quarter, _ = await halves(outbox, half)
    assert len({whole.batch_id, half.batch_id, quarter.batch_id}) == 3
    assert [(each.root, each.root_rows) for each in (whole, half, quarter)] == [(whole.batch_id, 8)] * 3


async def test_rows_refused_alone_are_counted_at_the_root_of_their_halves(outbox: Outbox) -> None:
    """If more than half of an original batch ends poison, stop and call it a configuration trouble."""
    await put(outbox, *orders(4))
    first, second = await halves(outbox, await claimed(outbox))
    for half in (first, second):
        for lone in await halves(outbox, half):
            await outbox.postpone(lone, later(HOUR), POISONED, maybe_sent=False, isolated=True)
    assert (await retaken(outbox, later(HOUR))).root_poisoned == 4


async def test_each_half_settles_for_itself(outbox: Outbox) -> None:
    await put(outbox, *orders(4))
    first, second = await halves(outbox, await claimed(outbox))
    assert await outbox.settle(second, {}, TAKEN, later(MINUTE))
    assert await outbox.counts() == Counts(pending=2, delivered=2)
    assert await outbox.settle(first, {1: Settled(State.DEAD, "poison", REFUSED)}, POISONED, later(MINUTE))
    assert await outbox.counts() == Counts(delivered=3, dead=1)
    assert (await record_of(outbox, 1)).tracking_id == "tracking-2"


async def test_halves_were_not_sent_by_being_halved(outbox: Outbox) -> None:
    await put(outbox, *orders(2))
    first, second = await halves(outbox, await claimed(outbox))
    assert not any(entry.maybe_sent for entry in (*first.entries, *second.entries))


async def test_halves_of_a_request_that_may_have_been_applied_may_have_been_sent(outbox: Outbox) -> None:
    await put(outbox, *orders(2))
    assert await outbox.halve(await claimed(outbox), POISONED, NOW, maybe_sent=True)
    assert [(await retaken(outbox, NOW)).entries[0].maybe_sent for _ in range(2)] == [True, True]
