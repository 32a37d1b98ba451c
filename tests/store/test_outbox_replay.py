"""Replay and discard: which rows move, what they keep, and what stays as it is."""

import pytest
from conversion_kit import CLICK, GOALS, conversion, orders
from instant_kit import DAY, HOUR, MINUTE, NOW, first_of_day, later
from outbox_kit import LOST, REFUSED, TAKEN, claim, claimed, due, put, record_of, retaken, seqs_of
from store_kit import House

from sidecar.core.attribution import SendConversion, with_choice
from sidecar.core.batch import with_goals
from sidecar.core.conversion import Click, Conversion
from sidecar.core.entry import Requeue, Settled
from sidecar.core.instant import UnixMillis
from sidecar.core.states_and_reasons import State
from sidecar.ports.errors import StorageUnavailable
from sidecar.ports.intake import Conflict, Replayed, Stored
from sidecar.ports.outbox import Outbox
from sidecar.ports.queries import Counts
from sidecar.ports.upkeep import Moved, ReplayQuery, ReplaySlice, Unmoved

DEAD = ReplayQuery(State.DEAD)


async def ended(
    outbox: Outbox, *given: Conversion, state: State = State.DEAD, reason: str = REFUSED.error, at: UnixMillis = NOW
) -> list[int]:
    """Rows that Microsoft read and that ended like that."""
    numbers = await seqs_of(outbox, *given, at=at)
    for account in ("main", "other"):
        if entries := await due(outbox, at, account=account):
            taken = await outbox.claim(account, entries, [entry.seq for entry in entries], at, later(MINUTE, at))
            assert taken is not None
            steps = {seq: Settled(state, reason, REFUSED) for seq in numbers}
            assert await outbox.settle(taken, steps, TAKEN, at)
    return numbers


async def walked(outbox: Outbox, query: ReplayQuery, limit: int = 1_000, *, dry_run: bool = False) -> ReplaySlice:
    """What a walk to the end did in all."""
    matched, too_old, after, accounts = 0, 0, 0, dict[str, int]()
    while True:
        done = await outbox.replay_slice(query, after, limit, later(HOUR), dry_run=dry_run)
        matched, too_old = matched + done.matched, too_old + done.too_old
        accounts = {name: accounts.get(name, 0) + done.accounts.get(name, 0) for name in accounts | done.accounts}
        if done.next_seq is None:
            return ReplaySlice(matched, too_old, accounts, None)
        after = done.next_seq


# --- one row ---------------------------------------------------------------------------------------------------------


async def test_replayed_row_keeps_id_time_and_key_and_is_due_at_once(outbox: Outbox) -> None:
    (seq,) = await ended(outbox, conversion())
    before = await record_of(outbox, seq)
    result = await outbox.replay(seq, later(HOUR))
    assert isinstance(result, Moved)
    record = result.record
    assert (record.id, record.time, record.order_id, record.attempt) == (before.id, before.time, before.order_id, 1)
    assert (record.state, record.reason, record.due_at, record.settled_at) == (State.PENDING, None, later(HOUR), None)
    assert (record.error, record.error_code, record.message, record.goal) == (None, None, None, None)
    assert await outbox.counts() == Counts(pending=1)
    assert [entry.seq for entry in await due(outbox, later(HOUR))] == [seq]
    (again,) = await put(outbox, conversion(), at=later(HOUR))
    assert isinstance(again, Replayed)
    (other,) = await put(outbox, conversion(value="1"), at=later(HOUR))
    assert isinstance(other, Conflict)


async def test_replayed_row_is_sent_with_the_mapping_of_its_replay(outbox: Outbox) -> None:
    (seq,) = await ended(outbox, conversion())
    await outbox.replay(seq, later(HOUR))
    (entry,) = await due(outbox, later(HOUR))
    assert (entry.goal, entry.sent_time, entry.retries, entry.refusals, entry.maybe_sent) == (None, None, 0, 0, False)
    taken = await claimed(outbox, later(HOUR))
    assert await outbox.settle(taken, {}, TAKEN, later(HOUR))
    assert (await record_of(outbox, seq)).state is State.DELIVERED


async def test_row_that_may_have_been_sent_keeps_goal_and_second(outbox: Outbox) -> None:
    """Sending it otherwise could count it twice."""
    (seq,) = await seqs_of(outbox, conversion())
    first = await claimed(outbox)
    frozen = first.entries[0]
    assert await outbox.postpone(first, NOW, LOST, maybe_sent=True)
    second = await retaken(outbox, later(MINUTE))
    assert await outbox.settle(second, {seq: Settled(State.DEAD, REFUSED.error, REFUSED)}, TAKEN, later(MINUTE))
    assert isinstance(await outbox.replay(seq, later(HOUR)), Moved)
    (entry,) = await due(outbox, later(HOUR))
    assert (entry.goal, entry.sent_time, entry.maybe_sent) == (frozen.goal, frozen.sent_time, True)
    assert entry.goal is not None


async def test_row_that_may_have_been_sent_keeps_the_click_that_was_found_for_it(outbox: Outbox) -> None:
    """It brought none itself: what it was frozen with is all there is of what may be at Microsoft."""
    (seq,) = await seqs_of(outbox, conversion(msclkid=None, visitor_id="v-1"))
    clicked_at = first_of_day(1)
    found = Click(account="main", visitor_id="v-1", msclkid=CLICK, clicked_at=clicked_at)
    taken = await claim(outbox, [with_choice(entry, SendConversion(found), found) for entry in await due(outbox)])
    assert taken is not None
    assert await outbox.postpone(taken, NOW, LOST, maybe_sent=True)
    again = await retaken(outbox, later(MINUTE))
    assert await outbox.settle(again, {seq: Settled(State.DEAD, REFUSED.error, REFUSED)}, TAKEN, later(MINUTE))
    assert isinstance(await outbox.replay(seq, later(HOUR)), Moved)
    (entry,) = await due(outbox, later(HOUR))
    assert (entry.msclkid, entry.clicked_at, entry.maybe_sent) == (CLICK, clicked_at, True)
    assert (await record_of(outbox, seq)).msclkid == CLICK


async def test_second_of_a_replayed_row_that_may_have_been_sent_stays_taken(outbox: Outbox) -> None:
    """Another order of that person in that second would be dropped as a repeat, if the first is there."""
    (seq,) = await seqs_of(outbox, conversion())
    (candidate,) = with_goals(await due(outbox), GOALS)
    first = await claimed(outbox)
    assert await outbox.postpone(first, NOW, LOST, maybe_sent=True)
    second = await retaken(outbox, later(MINUTE))
    assert await outbox.settle(second, {seq: Settled(State.DEAD, REFUSED.error, REFUSED)}, TAKEN, later(MINUTE))
    assert isinstance(await outbox.replay(seq, later(HOUR)), Moved)
    time = candidate.entry.time
    assert await outbox.used_seconds({candidate.identity: [(time, time)]}) == {candidate.identity: {time}}


async def test_skipped_row_can_be_replayed_and_an_erased_one_cannot(outbox: Outbox) -> None:
    (first,) = await ended(outbox, conversion("A"), state=State.SKIPPED, reason="no_click")
    (second,) = await ended(outbox, conversion("B"), state=State.SKIPPED, reason="erased")
    assert isinstance(await outbox.replay(first, NOW), Moved)
    assert isinstance(await outbox.replay(second, NOW), Unmoved)
    assert await walked(outbox, ReplayQuery(State.SKIPPED)) == ReplaySlice(0, 0, {}, None)
    assert await outbox.counts() == Counts(pending=1, skipped=1)


@pytest.mark.parametrize("state", [State.DELIVERED, State.CANCELED, State.PENDING])
async def test_rows_in_another_state_are_not_replayed(outbox: Outbox, state: State) -> None:
    if state is State.PENDING:
        (seq,) = await seqs_of(outbox, conversion())
    else:
        (seq,) = await ended(outbox, conversion(), state=state)
    before = await record_of(outbox, seq)
    assert await outbox.replay(seq, later(HOUR)) == Unmoved(before)
    assert await outbox.get(seq) == before


async def test_row_that_is_too_old_is_not_replayed(outbox: Outbox) -> None:
    (seq,) = await ended(outbox, conversion(time=first_of_day(90)))
    assert isinstance(await outbox.replay(seq, NOW), Moved)
    (seq,) = await ended(outbox, conversion("B", time=first_of_day(90)))
    assert isinstance(await outbox.replay(seq, later(1_000)), Unmoved)


async def test_unknown_rows_are_none(outbox: Outbox) -> None:
    assert await outbox.replay(99, NOW) is None
    assert await outbox.discard(99, NOW) is None


# --- by filter -------------------------------------------------------------------------------------------------------


async def test_walk_goes_through_all_in_slices_and_each_row_once(outbox: Outbox) -> None:
    numbers = await ended(outbox, *orders(25))
    assert await walked(outbox, DEAD, 10, dry_run=True) == ReplaySlice(25, 0, {"main": 25}, None)
    assert await outbox.counts() == Counts(dead=25)
    assert await walked(outbox, DEAD, 10) == ReplaySlice(25, 0, {"main": 25}, None)
    assert await outbox.counts() == Counts(pending=25)
    assert [entry.seq for entry in await due(outbox, later(HOUR))] == numbers
    assert await walked(outbox, DEAD, 10) == ReplaySlice(0, 0, {}, None)


async def test_every_part_of_a_filter_narrows_it(outbox: Outbox) -> None:
    await ended(outbox, *orders(3))
    await ended(outbox, *orders(2, 10), reason="poison")
    await ended(outbox, conversion("L", event="lead"), conversion("O", account="other"))
    await ended(outbox, conversion("S"), state=State.SKIPPED, reason="no_click")
    await ended(outbox, *orders(4, 20), at=later(MINUTE))
    wanted = {
        DEAD: 11,
        ReplayQuery(State.DEAD, reason="poison"): 2,
        ReplayQuery(State.DEAD, event="lead"): 1,
        ReplayQuery(State.DEAD, event="gone"): 0,
        ReplayQuery(State.DEAD, account="main"): 10,
        ReplayQuery(State.DEAD, account="other"): 1,
        ReplayQuery(State.DEAD, since=later(MINUTE)): 4,
        ReplayQuery(State.DEAD, reason="poison", since=later(MINUTE)): 0,
        ReplayQuery(State.SKIPPED): 1,
        ReplayQuery(State.SKIPPED, reason="no_click"): 1,
    }
    found = {query: (await walked(outbox, query, 3, dry_run=True)).matched for query in wanted}
    assert found == wanted
    assert (await walked(outbox, DEAD)).accounts == {"main": 10, "other": 1}


async def test_rows_that_are_too_old_are_counted_apart(outbox: Outbox) -> None:
    await ended(outbox, *orders(3), *orders(2, 10, time=first_of_day(90)))
    assert await walked(outbox, DEAD, 2, dry_run=True) == ReplaySlice(3, 2, {"main": 3}, None)
    assert await walked(outbox, DEAD, 2) == ReplaySlice(3, 2, {"main": 3}, None)
    assert await outbox.counts() == Counts(pending=3, dead=2)


async def test_walk_that_broke_off_goes_on_where_it_was(outbox: Outbox) -> None:
    await ended(outbox, *orders(30))
    first = await outbox.replay_slice(DEAD, 0, 10, later(HOUR), dry_run=False)
    assert (first.matched, await outbox.counts()) == (10, Counts(pending=10, dead=20))
    assert first.next_seq is not None
    rest = await outbox.replay_slice(DEAD, first.next_seq, 1_000, later(HOUR), dry_run=False)
    assert (rest.matched, await outbox.counts()) == (20, Counts(pending=30))


async def test_full_outbox_takes_none_back(house: House) -> None:
    outbox = await house.open(max_pending=12)
    await ended(outbox, *orders(10))
    await put(outbox, *orders(5, 100))
    with pytest.raises(StorageUnavailable, match="max_pending"):
        await outbox.replay_slice(DEAD, 0, 100, NOW, dry_run=False)
    with pytest.raises(StorageUnavailable, match="max_pending"):
        await outbox.replay_slice(DEAD, 0, 8, NOW, dry_run=False)
    assert (await outbox.replay_slice(DEAD, 0, 7, NOW, dry_run=False)).matched == 7
    with pytest.raises(StorageUnavailable, match="max_pending"):
        await outbox.replay(10, NOW)
    assert await outbox.counts() == Counts(pending=12, dead=3)


# --- discarded -------------------------------------------------------------------------------------------------------


async def test_pending_row_that_was_never_sent_is_discarded(outbox: Outbox) -> None:
    (seq,) = await seqs_of(outbox, conversion())
    result = await outbox.discard(seq, later(HOUR))
    assert isinstance(result, Moved)
    record = result.record
    assert (record.state, record.reason, record.settled_at) == (State.CANCELED, "discarded", later(HOUR))
    assert await outbox.counts() == Counts(canceled=1)
    assert await due(outbox, later(HOUR)) == []
    (again,) = await put(outbox, conversion(), at=later(HOUR))
    assert isinstance(again, Replayed)


async def test_dead_row_is_discarded_and_can_no_longer_be_replayed(outbox: Outbox) -> None:
    (seq,) = await ended(outbox, conversion())
    assert isinstance(await outbox.discard(seq, NOW), Moved)
    assert (await record_of(outbox, seq)).error == REFUSED.error
    assert isinstance(await outbox.replay(seq, NOW), Unmoved)
    assert isinstance(await outbox.discard(seq, NOW), Unmoved)
    assert await outbox.counts() == Counts(canceled=1)


async def test_row_on_its_way_or_possibly_sent_is_not_discarded(outbox: Outbox) -> None:
    (seq,) = await seqs_of(outbox, conversion())
    taken = await claimed(outbox)
    assert isinstance(await outbox.discard(seq, NOW), Unmoved)
    assert isinstance(await outbox.discard(seq, later(2 * MINUTE)), Unmoved)  # a lease that passed says nothing
    assert await outbox.postpone(taken, NOW, LOST, maybe_sent=True)
    assert isinstance(await outbox.discard(seq, NOW), Unmoved)
    again = await retaken(outbox, NOW)
    assert await outbox.settle(again, {seq: Settled(State.DEAD, REFUSED.error, REFUSED)}, TAKEN, NOW)
    assert isinstance(await outbox.discard(seq, NOW), Unmoved)
    assert await outbox.counts() == Counts(dead=1)


async def test_row_of_a_batch_that_was_definitely_refused_is_discarded_and_leaves_it(outbox: Outbox) -> None:
    first, second = await seqs_of(outbox, *orders(2))
    taken = await claimed(outbox)
    assert await outbox.postpone(taken, NOW, LOST, maybe_sent=False)
    assert isinstance(await outbox.discard(first, NOW), Moved)
    again = await retaken(outbox, NOW)
    assert [entry.seq for entry in again.entries] == [second]
    assert await outbox.settle(again, {}, TAKEN, NOW)
    assert await outbox.counts() == Counts(delivered=1, canceled=1)


async def test_late_answer_changes_nothing_of_a_discarded_row(outbox: Outbox) -> None:
    (seq,) = await seqs_of(outbox, conversion())
    taken = await claimed(outbox)
    assert await outbox.postpone(taken, NOW, LOST, maybe_sent=False)
    assert isinstance(await outbox.discard(seq, NOW), Moved)
    assert await outbox.settle(taken, {seq: Requeue(NOW, None, REFUSED)}, TAKEN, NOW)
    assert await outbox.counts() == Counts(canceled=1)


@pytest.mark.parametrize("state", [State.DELIVERED, State.SKIPPED, State.CANCELED])
async def test_rows_that_ended_otherwise_are_not_discarded(outbox: Outbox, state: State) -> None:
    (seq,) = await ended(outbox, conversion(), state=state)
    before = await record_of(outbox, seq)
    assert await outbox.discard(seq, later(DAY)) == Unmoved(before)
    assert await outbox.get(seq) == before


async def test_other_content_replaces_no_discarded_row(outbox: Outbox) -> None:
    (seq,) = await seqs_of(outbox, conversion())
    await outbox.discard(seq, NOW)
    results = await put(outbox, conversion(value="1"), conversion("NEW"))
    assert [type(result) for result in results] == [Conflict, Stored]
