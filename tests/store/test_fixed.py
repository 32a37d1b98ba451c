"""Rows whose goal is fixed: which goals open batches are for, who may leave them, what waits for which goal."""

import pytest
from outbox_building import (
    GOALS,
    HOUR,
    LOST,
    MINUTE,
    NOW,
    claim,
    claimed,
    conversion,
    due,
    later,
    put,
    record_of,
    retaken,
)

from sidecar.core.entry import Again, Reason
from sidecar.ports import Claim, Note, OpenBatches, Outbox, Waiting

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
    assert not await outbox.has_open("main", later(HOUR))
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
    entries = [entry._replace(goal=PURCHASE, sent_time=entry.time) for entry in await due(outbox)]
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
    again = Again(NOW, Reason.RETRYING, None, released=False, retries=1)
    assert await outbox.settle(first, {kept.seq: again}, LOST, NOW)
    second = await refused(outbox, "B")
    assert len(second.entries) == 2
    assert await outbox.release_astray("main", ELSEWHERE, NOW) == 1
    assert [entry.seq for entry in (await retaken(outbox, later(HOUR))).entries] == [kept.seq]


async def test_refusals_of_a_row_that_stood_alone_say_nothing_of_another_goal(outbox: Outbox) -> None:
    taken = await refused(outbox, "A")
    again = await retaken(outbox, later(HOUR))
    await outbox.postpone(again, later(HOUR), LOST, maybe_sent=False, alone=True)
    await outbox.release_astray("main", ELSEWHERE, NOW)
    (entry,) = await due(outbox)
    assert (entry.seq, entry.refusals) == (taken.entries[0].seq, 0)


@pytest.mark.parametrize(("note", "wait"), [(THROTTLED, HOUR), (LOST, None)])
async def test_wait_that_the_batch_had_noted_is_kept(outbox: Outbox, note: Note, wait: int | None) -> None:
    await refused(outbox, "A", note=note)
    await outbox.release_astray("main", ELSEWHERE, NOW)
    assert await outbox.throttled(NOW) == ({} if wait is None else {"main": later(wait)})


async def test_longer_wait_that_is_known_already_is_kept(outbox: Outbox) -> None:
    await outbox.keep_waiting("main", later(2 * HOUR))
    await refused(outbox, "A")
    await outbox.release_astray("main", ELSEWHERE, NOW)
    assert await outbox.throttled(NOW) == {"main": later(2 * HOUR)}


async def test_rows_that_keep_a_held_goal_are_not_due_and_leave_room_for_others(outbox: Outbox) -> None:
    await put(outbox, *[conversion(f"A{number}") for number in range(5)])
    taken = await claimed(outbox)
    await outbox.postpone(taken, NOW, LOST, maybe_sent=True)
    taken = await retaken(outbox, NOW)
    again = Again(NOW, None, None, released=False)
    await outbox.settle(taken, dict.fromkeys([entry.seq for entry in taken.entries], again), LOST, NOW)
    await put(outbox, conversion("B"))
    lanes = [lane for lane in outbox.lanes if lane.account == "main"]
    assert [entry.order_id for entry in await outbox.due(lanes, NOW, 3, [PURCHASE])] == ["B"]
    assert len(await outbox.due(lanes, NOW, 10, ["Another"])) == 6


async def test_what_waits_is_told_by_the_goal_that_it_keeps(outbox: Outbox) -> None:
    taken = await refused(outbox, "A", "B")
    await put(outbox, conversion("C"))
    first = taken.entries[0].time
    assert await outbox.waiting_by_goal("main") == {PURCHASE: Waiting(2, False, first)}
    assert await outbox.waiting_by_goal("other") == {}
    again = await retaken(outbox, later(HOUR))
    kept = Again(NOW, None, None, released=False)
    await outbox.settle(again, {again.entries[0].seq: kept}, LOST, NOW)
    assert await outbox.waiting_by_goal("main") == {PURCHASE: Waiting(1, False, first)}


async def test_released_rows_are_shown_as_waiting_without_a_goal(outbox: Outbox) -> None:
    taken = await refused(outbox, "A")
    await outbox.release_astray("main", {}, NOW)
    record = await record_of(outbox, taken.entries[0].seq)
    assert (record.goal, record.claimed, record.due_at) == (None, False, NOW)
    assert await claim(outbox, await due(outbox)) is not None
