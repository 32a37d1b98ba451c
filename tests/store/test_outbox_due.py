"""What may be claimed: which rows, of which lanes, in which shares."""

import pytest
from conversion_kit import conversion, orders
from instant_kit import DAY, HOUR, MINUTE, NOW, first_of_day, later
from msgspec.structs import replace
from outbox_kit import REFUSED, TAKEN, claim, claimed, due, put, seqs, seqs_of

from sidecar.core.entry import Entry, Requeue
from sidecar.core.instant import UnixSeconds, seconds
from sidecar.core.states_and_reasons import Reason
from sidecar.ports.outbox import Outbox


async def retried(outbox: Outbox, count: int, start: int) -> list[int]:
    """Rows that Microsoft asked for again, due at NOW."""
    rows = await seqs_of(outbox, *orders(count, start), at=later(-HOUR))
    taken = await claimed(outbox, later(-HOUR))
    steps = {seq: Requeue(NOW, Reason.RETRYING, REFUSED, retries=1) for seq in rows}
    assert await outbox.settle(taken, steps, TAKEN, later(-HOUR))
    return rows


async def test_nothing_is_due_in_an_empty_outbox(outbox: Outbox) -> None:
    assert await due(outbox) == []


async def test_nothing_is_due_when_no_lane_is_open(outbox: Outbox) -> None:
    await put(outbox, conversion())
    assert await outbox.due([], NOW, 1_000) == []


async def test_only_the_lanes_asked_for_give_rows(outbox: Outbox) -> None:
    """A goal that is held cannot stand before others."""
    await put(outbox, *orders(3))
    lead, other = await seqs_of(outbox, conversion(event="lead"), conversion(account="other"))
    lanes = {(lane.account, lane.event): lane for lane in await outbox.lanes()}
    assert seqs(await outbox.due([lanes["main", "lead"]], NOW, 1_000)) == [lead]
    assert seqs(await outbox.due([lanes["other", "purchase"]], NOW, 1_000)) == [other]


async def test_oldest_rows_of_a_lane_come_first(outbox: Outbox) -> None:
    await put(outbox, *orders(3), at=later(2))
    await put(outbox, *orders(3, start=3), at=later(1))
    assert seqs(await due(outbox, later(2), limit=4)) == [4, 5, 6, 1]


async def test_rows_that_came_after_now_are_not_due(outbox: Outbox) -> None:
    await put(outbox, *orders(3), at=later(1))
    assert await due(outbox, NOW) == []


async def test_no_more_than_the_limit_is_given(outbox: Outbox) -> None:
    await put(outbox, *orders(30))
    assert len(await due(outbox, limit=7)) == 7
    assert await due(outbox, limit=0) == []


async def test_every_lane_gets_its_share(outbox: Outbox) -> None:
    """Claims walk round robin over open lanes."""
    await put(outbox, *orders(100))
    await put(outbox, *orders(100, event="lead"), at=later(1))
    entries = await due(outbox, later(1), limit=20)
    assert [entry.lane.event for entry in entries].count("lead") == 10


async def test_what_one_lane_leaves_free_another_fills(outbox: Outbox) -> None:
    await put(outbox, *orders(100), *orders(3, event="lead"))
    entries = await due(outbox, limit=20)
    assert len(entries) == 20
    assert [entry.lane.event for entry in entries].count("lead") == 3


async def test_with_fewer_places_than_lanes_the_longest_waiting_goes_first(outbox: Outbox) -> None:
    await put(outbox, conversion("A"), at=later(5))
    (older,) = await seqs_of(outbox, conversion("B", event="lead"), at=later(1))
    assert seqs(await due(outbox, later(5), limit=1)) == [older]


async def test_claimed_rows_are_not_due(outbox: Outbox) -> None:
    await put(outbox, *orders(3))
    first, second, third = await due(outbox)
    await claim(outbox, [first, third])
    assert await due(outbox) == [second]


async def test_settled_rows_are_not_due(outbox: Outbox) -> None:
    await put(outbox, *orders(3))
    await outbox.settle(await claimed(outbox), {}, TAKEN, NOW)
    assert await due(outbox, later(DAY)) == []


async def test_retried_rows_fill_at_most_a_tenth(outbox: Outbox) -> None:
    """An unknown row error is retried, filling at most a tenth of a batch."""
    again = await retried(outbox, 50, start=0)
    await put(outbox, *orders(50, start=50))
    given = seqs(await due(outbox, limit=20))
    assert len(given) == 20
    assert [seq for seq in given if seq in again] == again[:2]
    alone = await due(outbox, limit=200)
    assert len([entry for entry in alone if entry.seq in again]) == 20


async def test_retried_rows_of_many_lanes_fill_at_most_a_tenth_together(outbox: Outbox) -> None:
    again = await retried(outbox, 20, start=0)
    lead = await seqs_of(outbox, *orders(20, event="lead"), at=later(-MINUTE))
    taken = await claim(outbox, [entry for entry in await due(outbox, later(-1)) if entry.seq in lead], later(-MINUTE))
    assert taken is not None
    await outbox.settle(taken, {seq: Requeue(NOW, Reason.RETRYING, retries=1) for seq in lead}, TAKEN, later(-MINUTE))
    await put(outbox, *orders(50, start=50))
    given = seqs(await due(outbox, limit=20))
    assert len(given) == 20
    assert len(set(given) & {*again, *lead}) == 2


async def test_retried_rows_do_not_keep_a_single_place_from_fresh_ones(outbox: Outbox) -> None:
    await retried(outbox, 5, start=0)
    (fresh,) = await seqs_of(outbox, conversion("FRESH"))
    assert seqs(await due(outbox, limit=1)) == [fresh]


async def test_retried_row_has_its_turn_where_a_batch_is_smaller_than_ten(outbox: Outbox) -> None:
    again = await retried(outbox, 5, start=0)
    await put(outbox, *orders(50, start=50), at=later(1))
    assert seqs(await due(outbox, later(1), limit=1)) == again[:1]
    given_ = seqs(await due(outbox, later(1), limit=5))
    assert (len(given_), len(set(given_) & set(again))) == (5, 1)


async def test_retried_rows_go_alone_when_nothing_else_is_due(outbox: Outbox) -> None:
    again = await retried(outbox, 5, start=0)
    assert seqs(await due(outbox, limit=1)) == again[:1]
    assert await due(outbox, later(-1)) == []


async def test_rows_released_by_a_goal_are_not_counted_as_retried(outbox: Outbox) -> None:
    """The row's goal cannot take it: it costs the row nothing."""
    rows = await seqs_of(outbox, *orders(20))
    await outbox.settle(await claimed(outbox), {seq: Requeue(NOW, None, REFUSED) for seq in rows}, TAKEN, NOW)
    assert seqs(await due(outbox, limit=20)) == rows


# --- the seconds that are used up -------------------------------------------------------------------------------------


async def test_used_seconds_are_those_of_claimed_conversions_of_the_identity(outbox: Outbox) -> None:
    early, late = first_of_day(2), first_of_day(1)
    await put(outbox, conversion("A", time=early), conversion("B", time=late), conversion("C", event="lead"))
    entries = await due(outbox)
    whole = (UnixSeconds(early - 60), UnixSeconds(late + 60))
    assert await outbox.used_seconds({1: [whole], 2: [whole]}) == {}
    purchases = [entry for entry in entries if entry.lane.event == "purchase"]
    frozen = [_frozen(entry, entry.time) for entry in purchases]
    await outbox.claim("main", frozen, [1, 1], NOW, later(MINUTE))
    assert await outbox.used_seconds({1: [whole], 2: [whole]}) == {1: {early, late}}
    assert await outbox.used_seconds({1: [(early, early)]}) == {1: {early}}
    assert await outbox.used_seconds({1: [(early, early), (late, late)]}) == {1: {early, late}}
    assert await outbox.used_seconds({1: [(UnixSeconds(early + 1), UnixSeconds(late - 1))]}) == {}
    assert await outbox.used_seconds({}) == {}


def _frozen(entry: Entry, second: UnixSeconds) -> Entry:
    return replace(entry, goal="Sidecar Purchase", sent_time=second)


@pytest.mark.parametrize(("released", "used"), [(True, {}), (False, {-(2**63): {seconds(NOW)}})])
async def test_second_is_free_again_only_when_nothing_can_have_been_sent_with_it(
    outbox: Outbox, released: bool, used: dict[int, set[UnixSeconds]]
) -> None:
    identity = -(2**63)
    await put(outbox, conversion())
    (entry,) = await due(outbox)
    taken = await outbox.claim("main", [_frozen(entry, seconds(NOW))], [identity], NOW, later(MINUTE))
    assert taken is not None
    step = Requeue(later(HOUR), Reason.RETRYING, REFUSED, released=released, retries=1)
    await outbox.settle(taken, {entry.seq: step}, TAKEN, NOW)
    assert await outbox.used_seconds({identity: [(first_of_day(1), seconds(later(DAY)))]}) == used


async def test_second_of_a_delivered_conversion_stays_used(outbox: Outbox) -> None:
    await put(outbox, conversion())
    (entry,) = await due(outbox)
    taken = await outbox.claim("main", [_frozen(entry, entry.time)], [7], NOW, later(MINUTE))
    assert taken is not None
    await outbox.settle(taken, {}, TAKEN, NOW)
    assert await outbox.used_seconds({7: [(entry.time, entry.time)]}) == {7: {entry.time}}
