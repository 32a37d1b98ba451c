"""Rows whose goal is fixed: which goals open batches are for, who may leave them, what waits for which goal."""

import pytest
from adjusting_kit import adjusted
from conversion_kit import GOALS, conversion
from instant_kit import HOUR, MINUTE, NOW, later
from msgspec.structs import replace
from outbox_kit import LOST, TAKEN, claim, claimed, due, put, record_of, retaken
from store_kit import House

from sidecar.core.adaptive_rate import HalvedRate
from sidecar.core.batch import with_goals
from sidecar.core.entry import Requeue
from sidecar.core.states_and_reasons import Reason
from sidecar.core.waiting_summary import Waiting
from sidecar.ports.delivery import Claim, Note, OpenBatches
from sidecar.ports.outbox import Outbox
from sidecar.ports.upkeep import Moved, Unmoved

THROTTLED = Note("refused: throttled", None, "CallRateExceeded")
ELSEWHERE = {**GOALS, "purchase": "Newsletter"}
PURCHASE = GOALS["purchase"]


async def refused(outbox: Outbox, *orders: str, note: Note = THROTTLED, maybe_sent: bool = False) -> Claim:
    """These orders in a batch that was refused and goes again in an hour."""
    await put(outbox, *[conversion(order) for order in orders])
    taken = await claimed(outbox)
    await outbox.postpone(taken, later(HOUR), note, maybe_sent=maybe_sent)
    return taken


async def test_batch_whose_every_request_was_refused_is_let_go_when_its_event_is_mapped_elsewhere(
    outbox: Outbox,
) -> None:
    taken = await refused(outbox, "A", "B")
    assert await outbox.open_batches("main", GOALS) == OpenBatches(frozenset([PURCHASE]), False)
    assert await outbox.open_batches("main", ELSEWHERE) == OpenBatches(frozenset([PURCHASE]), True)
    assert await outbox.release_astray("main", ELSEWHERE, NOW) == 2
    assert await outbox.open_batches("main", ELSEWHERE) == OpenBatches(frozenset(), False)
    assert not await outbox.has_resend("main", later(HOUR))
    assert [(entry.goal, entry.sent_time, entry.attempt) for entry in await due(outbox)] == [(None, None, 1)] * 2
    assert not await outbox.settle(taken, {}, LOST, NOW)


@pytest.mark.parametrize("goals", [{"lead": GOALS["lead"]}, {}])
async def test_batch_of_an_event_that_left_is_let_go(outbox: Outbox, goals: dict[str, str]) -> None:
    await refused(outbox, "A")
    assert await outbox.release_astray("main", goals, NOW) == 1


async def test_batch_that_may_have_been_sent_keeps_its_goal(outbox: Outbox) -> None:
    await refused(outbox, "A", note=LOST, maybe_sent=True)
    assert await outbox.open_batches("main", ELSEWHERE) == OpenBatches(frozenset([PURCHASE]), False)
    assert await outbox.release_astray("main", ELSEWHERE, NOW) == 0
    assert (await retaken(outbox, later(HOUR))).entries[0].goal == PURCHASE


async def test_batch_that_is_on_its_way_keeps_its_rows(outbox: Outbox) -> None:
    await put(outbox, conversion("A"))
    await claimed(outbox)
    assert await outbox.open_batches("main", ELSEWHERE) == OpenBatches(frozenset([PURCHASE]), False)
    assert await outbox.release_astray("main", ELSEWHERE, NOW) == 0


async def test_batch_of_another_account_keeps_its_rows(outbox: Outbox) -> None:
    await refused(outbox, "A")
    assert await outbox.release_astray("other", ELSEWHERE, NOW) == 0
    assert await outbox.open_batches("other", ELSEWHERE) == OpenBatches(frozenset(), False)


async def test_of_a_batch_of_two_events_those_that_are_mapped_elsewhere_leave(outbox: Outbox) -> None:
    await put(outbox, conversion("A"), conversion("B", event="lead"))
    entries = [replace(entry, goal=PURCHASE, sent_time=entry.time) for entry in await due(outbox)]
    taken = await outbox.claim("main", entries, [1, 2], NOW, later(MINUTE))
    assert taken is not None
    await outbox.postpone(taken, later(MINUTE), THROTTLED, maybe_sent=False)
    assert await outbox.release_astray("main", GOALS, NOW) == 1
    again = await retaken(outbox, later(MINUTE))
    assert [entry.lane.event for entry in again.entries] == ["purchase"]
    assert again.root_rows == 1
    assert [entry.lane.event for entry in await due(outbox)] == ["lead"]


async def test_of_a_batch_the_row_that_may_have_been_sent_before_stays(outbox: Outbox) -> None:
    await put(outbox, conversion("A"))
    first = await claimed(outbox)
    await outbox.postpone(first, NOW, LOST, maybe_sent=True)
    first = await retaken(outbox, NOW)
    kept = first.entries[0]
    again = Requeue(NOW, Reason.RETRYING, None, released=False, retries=1)
    assert await outbox.settle(first, {kept.seq: again}, LOST, NOW)
    second = await refused(outbox, "B")
    assert len(second.entries) == 2
    assert await outbox.release_astray("main", ELSEWHERE, NOW) == 1
    assert [entry.seq for entry in (await retaken(outbox, later(HOUR))).entries] == [kept.seq]


async def test_refusals_of_a_lone_row_do_not_count_for_another_goal(outbox: Outbox) -> None:
    taken = await refused(outbox, "A")
    again = await retaken(outbox, later(HOUR))
    await outbox.postpone(again, later(HOUR), LOST, maybe_sent=False, isolated=True)
    await outbox.release_astray("main", ELSEWHERE, NOW)
    (entry,) = await due(outbox)
    assert (entry.seq, entry.refusals) == (taken.entries[0].seq, 0)


@pytest.mark.parametrize(("note", "wait"), [(THROTTLED, HOUR), (LOST, None)])
async def test_wait_that_the_batch_had_noted_is_kept(outbox: Outbox, note: Note, wait: int | None) -> None:
    await refused(outbox, "A", note=note)
    await outbox.release_astray("main", ELSEWHERE, NOW)
    assert await outbox.throttled(NOW) == ({} if wait is None else {"main": later(wait)})


async def test_longer_wait_that_is_known_already_is_kept(outbox: Outbox) -> None:
    await outbox.record_throttle("main", later(2 * HOUR))
    await refused(outbox, "A")
    await outbox.release_astray("main", ELSEWHERE, NOW)
    assert await outbox.throttled(NOW) == {"main": later(2 * HOUR)}


async def test_rates_that_were_halved_last_are_there_after_a_crash(house: House) -> None:
    await house.open()
    await house.outbox.record_rates({"main": HalvedRate(0.5, NOW), "other": HalvedRate(0.25, NOW)})
    await house.outbox.record_rates({"main": HalvedRate(0.35, later(5))})
    await house.crash()
    await house.open()
    assert await house.outbox.halved_rates() == {"main": HalvedRate(0.35, later(5)), "other": HalvedRate(0.25, NOW)}


async def test_rows_that_keep_a_held_goal_are_not_due_and_leave_room_for_others(outbox: Outbox) -> None:
    await put(outbox, *[conversion(f"A{number}") for number in range(5)])
    taken = await claimed(outbox)
    await outbox.postpone(taken, NOW, LOST, maybe_sent=True)
    taken = await retaken(outbox, NOW)
    again = Requeue(NOW, None, None, released=False)
    await outbox.settle(taken, dict.fromkeys([entry.seq for entry in taken.entries], again), LOST, NOW)
    await put(outbox, conversion("B"))
    lanes = [lane for lane in await outbox.lanes() if lane.account == "main"]
    assert [entry.order_id for entry in await outbox.due(lanes, NOW, 3, [PURCHASE])] == ["B"]
    assert len(await outbox.due(lanes, NOW, 10, ["Another"])) == 6


async def test_waiting_rows_are_counted_by_the_goal_that_is_frozen_in_them(outbox: Outbox) -> None:
    taken = await refused(outbox, "A", "B")
    await put(outbox, conversion("C"))
    first = taken.entries[0].time
    assert await outbox.waiting_by_goal("main") == {PURCHASE: Waiting(2, False, first)}
    assert await outbox.waiting_by_goal("other") == {}
    again = await retaken(outbox, later(HOUR))
    kept = Requeue(NOW, None, None, released=False)
    await outbox.settle(again, {again.entries[0].seq: kept}, LOST, NOW)
    assert await outbox.waiting_by_goal("main") == {PURCHASE: Waiting(1, False, first)}
    assert await outbox.waiting_by_goal("other") == {}


async def test_second_of_a_released_row_is_free_again(outbox: Outbox) -> None:
    """Nothing of it is at the old goal, so it keeps no other order of its person from that second."""
    await put(outbox, conversion("A"))
    (candidate,) = with_goals(await due(outbox), GOALS)
    await refused(outbox)
    wanted = {candidate.identity: [(candidate.entry.time, candidate.entry.time)]}
    assert await outbox.used_seconds(wanted) == {candidate.identity: {candidate.entry.time}}
    await outbox.release_astray("main", ELSEWHERE, NOW)
    assert await outbox.used_seconds(wanted) == {}


async def test_adjustment_in_a_refused_batch_keeps_the_goal_of_its_conversion(outbox: Outbox) -> None:
    """Microsoft knows the conversion by its goal, even if the event is now mapped to another one."""
    await put(outbox, conversion())
    await outbox.settle(await claimed(outbox), {}, TAKEN, NOW)
    row = await adjusted(outbox, "5")
    at = later(6 * HOUR)
    await outbox.postpone(await claimed(outbox, at), at, THROTTLED, maybe_sent=False)
    assert not (await outbox.open_batches("main", ELSEWHERE)).has_astray
    assert await outbox.release_astray("main", ELSEWHERE, at) == 0
    assert [(entry.seq, entry.goal) for entry in (await retaken(outbox, at)).entries] == [(row.seq, PURCHASE)]


async def test_released_rows_are_shown_as_waiting_without_a_goal(outbox: Outbox) -> None:
    taken = await refused(outbox, "A")
    await outbox.release_astray("main", {}, NOW)
    record = await record_of(outbox, taken.entries[0].seq)
    assert (record.goal, record.claimed, record.due_at) == (None, False, NOW)
    assert await claim(outbox, await due(outbox)) is not None


# --- Which account at Microsoft --------------------------------------------------------------------------------------

HERE, THERE = "111/222", "111/333"


async def sent_here(outbox: Outbox, *, maybe_sent: bool) -> Claim:
    """An order in a batch for one account at Microsoft, that goes again at once."""
    await put(outbox, conversion("A"))
    entries = [replace(entry, goal=PURCHASE, sent_time=entry.time) for entry in await due(outbox)]
    taken = await outbox.claim("main", entries, [1], NOW, later(MINUTE), HERE)
    assert taken is not None and taken.sent_to == HERE
    await outbox.postpone(taken, NOW, LOST, maybe_sent=maybe_sent)
    return taken


async def test_batch_that_may_have_been_sent_goes_again_to_its_own_account_alone(outbox: Outbox) -> None:
    seq = (await sent_here(outbox, maybe_sent=True)).entries[0].seq
    assert not (await outbox.open_batches("main", GOALS, THERE)).has_astray
    for held in ((), ("Another",)):
        assert not await outbox.has_resend("main", NOW, held, THERE)
        assert await outbox.claim_resend("main", NOW, later(MINUTE), held, THERE) is None
        assert await outbox.has_resend("main", NOW, held, HERE)
    assert (await record_of(outbox, seq)).bound_to == HERE
    assert await outbox.keeping_accounts() == {"main"}
    assert await outbox.waiting_elsewhere("main", HERE) == {}
    assert {ids: one.rows for ids, one in (await outbox.waiting_elsewhere("main", THERE)).items()} == {HERE: 1}
    again = await outbox.claim_resend("main", NOW, later(MINUTE), (), HERE)
    assert again is not None and again.sent_to == HERE


async def test_batch_that_was_refused_each_time_is_let_go_to_another_account(outbox: Outbox) -> None:
    assert await outbox.keeping_accounts() == set()
    seq = (await sent_here(outbox, maybe_sent=False)).entries[0].seq
    assert (await record_of(outbox, seq)).bound_to is None
    assert not (await outbox.open_batches("main", GOALS, HERE)).has_astray
    assert (await outbox.open_batches("main", GOALS, THERE)).has_astray
    assert await outbox.release_astray("main", GOALS, NOW, THERE) == 1
    assert [entry.goal for entry in await due(outbox)] == [None]


async def test_empty_batch_for_another_account_is_closed(outbox: Outbox) -> None:
    seq = (await sent_here(outbox, maybe_sent=False)).entries[0].seq
    await outbox.discard(seq, NOW)
    assert await outbox.has_resend("main", NOW, (), THERE)
    assert await outbox.claim_resend("main", NOW, later(MINUTE), (), THERE) is None
    assert not await outbox.has_resend("main", NOW, (), THERE)


async def test_halves_go_where_their_whole_went(outbox: Outbox) -> None:
    await put(outbox, conversion("A"), conversion("B"))
    entries = [replace(entry, goal=PURCHASE, sent_time=entry.time) for entry in await due(outbox)]
    whole = await outbox.claim("main", entries, [1, 2], NOW, later(MINUTE), HERE)
    assert whole is not None
    await outbox.halve(whole, LOST, NOW, maybe_sent=True)
    assert not await outbox.has_resend("main", NOW, (), THERE)
    half = await outbox.claim_resend("main", NOW, later(MINUTE), (), HERE)
    assert half is not None and half.sent_to == HERE


async def test_row_that_waits_by_itself_is_due_for_its_own_account_alone(outbox: Outbox) -> None:
    await sent_here(outbox, maybe_sent=True)
    again = await outbox.claim_resend("main", NOW, later(MINUTE), (), HERE)
    assert again is not None
    seq = again.entries[0].seq
    await outbox.settle(again, {seq: Requeue(NOW, None, None, released=False)}, LOST, NOW)
    assert await outbox.keeping_accounts() == {"main"}
    lanes = [lane for lane in await outbox.lanes() if lane.account == "main"]
    assert [entry.seq for entry in await outbox.due(lanes, NOW, 10, (), HERE)] == [seq]
    assert await outbox.due(lanes, NOW, 10, (), THERE) == []
    assert {ids: one.rows for ids, one in (await outbox.waiting_elsewhere("main", THERE)).items()} == {HERE: 1}
    assert await outbox.waiting_elsewhere("other", THERE) == {}
    assert (await record_of(outbox, seq)).bound_to == HERE


@pytest.mark.parametrize(("ids", "is_given_up"), [(HERE, False), (THERE, True), (None, False)])
async def test_only_what_waits_for_another_account_is_given_up_though_it_may_have_been_sent(
    outbox: Outbox, ids: str | None, is_given_up: bool
) -> None:
    seq = (await sent_here(outbox, maybe_sent=True)).entries[0].seq
    assert isinstance(await outbox.discard(seq, NOW, ids), Moved if is_given_up else Unmoved)


async def test_row_on_its_way_is_not_given_up(outbox: Outbox) -> None:
    await sent_here(outbox, maybe_sent=True)
    again = await outbox.claim_resend("main", NOW, later(MINUTE), (), HERE)
    assert again is not None
    assert isinstance(await outbox.discard(again.entries[0].seq, NOW, THERE), Unmoved)


async def test_batches_from_before_went_to_the_account_as_it_is_when_it_is_next_served(outbox: Outbox) -> None:
    await put(outbox, conversion("A"))
    entries = [replace(entry, goal=PURCHASE, sent_time=entry.time) for entry in await due(outbox)]
    taken = await outbox.claim("main", entries, [1], NOW, later(MINUTE))
    assert taken is not None
    await outbox.postpone(taken, NOW, LOST, maybe_sent=True)
    assert await outbox.has_resend("main", NOW, (), THERE), "nothing is known: it goes on"
    await outbox.know_ids({"other": THERE})
    await outbox.know_ids({"main": HERE})
    await outbox.know_ids({"main": THERE})
    assert not await outbox.has_resend("main", NOW, (), THERE)
    assert await outbox.has_resend("main", NOW, (), HERE)
    assert (await record_of(outbox, taken.entries[0].seq)).bound_to == HERE
