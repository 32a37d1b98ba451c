"""Claiming: what a claim freezes, whose it is, and what becomes of it when its holder is gone."""

import asyncio
from typing import Any

import pytest
from conversion_kit import CLICK, LANES, conversion, orders
from instant_kit import DAY, HOUR, MINUTE, NOW, first_of_day, later
from msgspec.structs import replace
from outbox_kit import LOST, REFUSED, TAKEN, claim, claimed, due, put, retaken, seqs, seqs_of
from store_kit import House

from sidecar.core.conversion import Click
from sidecar.core.entry import Requeue, Settled
from sidecar.core.instant import UnixSeconds, seconds
from sidecar.core.states_and_reasons import State
from sidecar.ports.delivery import Claim
from sidecar.ports.intake import Arrival, Captured
from sidecar.ports.outbox import Outbox
from sidecar.ports.queries import Counts, Query


def wire(claim: Claim) -> list[tuple[object, ...]]:
    """Everything of each row that goes to Microsoft."""
    return [
        (e.goal, e.sent_time, e.value, e.currency, e.msclkid, e.email_sha256, e.phone_sha256, e.external_credit)
        for e in claim.entries
    ]


# --- what it freezes -------------------------------------------------------------------------------------------------


async def test_claim_freezes_goal_and_second_and_counts_the_attempt(outbox: Outbox) -> None:
    await put(outbox, conversion())
    (entry,) = await due(outbox)
    moved = UnixSeconds(entry.time + 1)
    taken = await outbox.claim(
        "main", [replace(entry, goal="Sidecar Purchase", sent_time=moved)], [1], NOW, later(MINUTE)
    )
    assert taken is not None
    assert taken.entries == (replace(entry, goal="Sidecar Purchase", sent_time=moved, attempt=1),)
    assert (taken.account, taken.resend, taken.created_at) == ("main", False, NOW)
    assert (taken.root, taken.root_rows, taken.root_poisoned) == (taken.batch_id, 1, 0)
    record = await outbox.get(entry.seq)
    assert record is not None
    assert (record.goal, record.attempt, record.batch_id) == ("Sidecar Purchase", 1, taken.batch_id)
    assert record.claimed
    assert (record.state, record.sent_at, record.due_at) == (State.PENDING, NOW, later(MINUTE))
    assert record.time == entry.time


async def test_claim_takes_the_waiting_reason_off(outbox: Outbox) -> None:
    (seq,) = await seqs_of(outbox, conversion(time=seconds(later(MINUTE))))
    await claimed(outbox, later(MINUTE))
    record = await outbox.get(seq)
    assert record is not None
    assert record.reason is None


async def test_claimed_rows_still_count_as_pending(outbox: Outbox) -> None:
    """`pending` counts conversions, in flight included."""
    await put(outbox, *orders(3))
    await claimed(outbox)
    assert await outbox.counts() == Counts(pending=3)


async def test_claim_lists_its_rows_by_number(outbox: Outbox) -> None:
    await put(outbox, *orders(5))
    taken = await claim(outbox, list(reversed(await due(outbox))))
    assert taken is not None
    assert seqs(taken) == [1, 2, 3, 4, 5]


# --- whose it is -----------------------------------------------------------------------------------------------------


async def test_rows_that_another_claim_has_stay_out(outbox: Outbox) -> None:
    await put(outbox, *orders(5))
    entries = await due(outbox)
    await claim(outbox, entries[:2])
    taken = await claim(outbox, entries)
    assert taken is not None
    assert (seqs(taken), taken.root_rows) == ([3, 4, 5], 3)


async def test_claim_of_rows_that_are_all_gone_is_none_and_leaves_no_batch(outbox: Outbox) -> None:
    await put(outbox, *orders(2))
    entries = await due(outbox)
    await outbox.settle(await claimed(outbox), {}, TAKEN, NOW)
    assert await claim(outbox, entries) is None
    assert not await outbox.has_resend("main", later(DAY))


async def test_claim_of_nothing_is_none(outbox: Outbox) -> None:
    assert await claim(outbox, []) is None


@pytest.mark.parametrize("other", [{"value": "1"}, {"value": None}, {"currency": "EUR"}, {"adjusted_at": 7}])
async def test_claim_takes_only_what_is_stored_as_it_was_read(outbox: Outbox, other: dict[str, Any]) -> None:
    """A retry, also after a crash, sends the very same bytes."""
    await put(outbox, conversion())
    (entry,) = await due(outbox)
    assert await claim(outbox, [replace(entry, **other)]) is None
    taken = await claimed(outbox)
    assert (taken.entries[0].value, taken.entries[0].email_sha256) == ("99.99", None)
    assert wire(await retaken(outbox, later(MINUTE))) == wire(taken)


async def test_row_that_was_replaced_since_it_was_looked_at_is_not_claimed(outbox: Outbox) -> None:
    """It died and was sent again with equal value in between. Its click may differ now, so it is decided again."""
    await put(outbox, conversion())
    (entry,) = await due(outbox)
    await outbox.settle(await claimed(outbox), {entry.seq: Settled(State.DEAD, "poison", REFUSED)}, TAKEN, NOW)
    person = "b" * 64
    assert await seqs_of(outbox, conversion(msclkid=None, email_sha256=person), at=later(1)) == [entry.seq]
    assert await claim(outbox, [entry], later(1)) is None
    taken = await claimed(outbox, later(1))
    assert (taken.entries[0].msclkid, taken.entries[0].email_sha256) == (None, person)


async def test_claim_freezes_the_click_that_was_chosen_until_the_row_is_released(outbox: Outbox) -> None:
    (seq,) = await seqs_of(outbox, conversion(msclkid=None, visitor_id="v-1"))
    (entry,) = await due(outbox)
    taken = await claim(outbox, [replace(entry, msclkid=CLICK, clicked_at=first_of_day(1))])
    assert taken is not None
    assert (taken.entries[0].msclkid, taken.entries[0].clicked_at) == (CLICK, first_of_day(1))
    assert wire(await retaken(outbox, later(MINUTE))) == wire(taken)
    assert (await outbox.get(seq)).msclkid == CLICK  # type: ignore[union-attr]


async def test_click_is_open_again_once_a_row_was_released(outbox: Outbox) -> None:
    (seq,) = await seqs_of(outbox, conversion(msclkid=None, visitor_id="v-1"))
    (entry,) = await due(outbox)
    taken = await claim(outbox, [replace(entry, msclkid=CLICK)])
    assert taken is not None
    await outbox.settle(taken, {seq: Requeue(NOW, None, REFUSED)}, TAKEN, NOW)
    assert [(one.msclkid, one.visitor_id) for one in await due(outbox)] == [(None, "v-1")]


@pytest.mark.parametrize(("evaluated", "taken"), [(None, False), (7_201, False), (7_200, True)])
async def test_row_whose_visitor_clicked_since_it_was_decided_is_not_claimed(
    house: House, outbox: Outbox, evaluated: int | None, taken: bool
) -> None:
    """The later click is the right one: the row stays due, and is decided again."""
    await put(outbox, conversion(msclkid=None, visitor_id="v-1", email_sha256="a" * 64))
    (entry,) = await due(outbox)
    clicked_at = UnixSeconds(seconds(NOW) - 7_200)
    click = Click(account="main", visitor_id="v-1", msclkid=CLICK, clicked_at=clicked_at)
    await house.clicks.capture([Captured(click, NOW)])
    seen = None if evaluated is None else UnixSeconds(seconds(NOW) - evaluated)
    claim_ = await claim(outbox, [replace(entry, evaluated=seen)])
    assert (claim_ is not None) is taken
    assert len(await due(outbox)) == (not taken)


async def test_click_after_the_conversion_holds_up_no_claim(house: House, outbox: Outbox) -> None:
    """It can never be the one that led to it, so there is nothing to decide again."""
    await put(outbox, conversion(msclkid=None, visitor_id="v-1", email_sha256="a" * 64))
    (entry,) = await due(outbox)
    click = Click(account="main", visitor_id="v-1", msclkid=CLICK, clicked_at=UnixSeconds(entry.time + 1))
    await house.clicks.capture([Captured(click, NOW)])
    assert await claim(outbox, [entry]) is not None


async def test_batch_of_a_goal_that_is_held_is_left_alone_and_others_go(outbox: Outbox) -> None:
    await put(outbox, conversion("A"), conversion("B", event="lead"))
    for event in ("purchase", "lead"):
        lane = [lane for lane in await outbox.lanes() if (lane.account, lane.event) == ("main", event)]
        taken = await claim(outbox, await outbox.due(lane, NOW, 10))
        assert taken is not None
        await outbox.postpone(taken, NOW, LOST, maybe_sent=True)
    held = ["Sidecar Purchase"]
    assert await outbox.has_resend("main", NOW, held)
    claim_ = await outbox.claim_resend("main", NOW, later(MINUTE), held)
    assert claim_ is not None
    assert claim_.entries[0].goal == "Sidecar Lead"
    assert not await outbox.has_resend("main", NOW, held)
    assert await outbox.claim_resend("main", NOW, later(MINUTE), held) is None
    assert await outbox.has_resend("main", NOW)


async def test_row_can_be_sent_without_the_click_id_it_came_with(outbox: Outbox) -> None:
    (seq,) = await seqs_of(outbox, conversion(email_sha256="a" * 64))
    (entry,) = await due(outbox)
    taken = await claim(outbox, [replace(entry, msclkid=None)])
    assert taken is not None
    assert taken.entries[0].msclkid is None
    assert (await outbox.get(seq)).msclkid is None  # type: ignore[union-attr]


# --- leases ----------------------------------------------------------------------------------------------------------


async def test_leased_batch_is_claimed_again_only_after_its_lease_ends(outbox: Outbox) -> None:
    await put(outbox, *orders(3))
    first = await claimed(outbox)
    assert not await outbox.has_resend("main", later(MINUTE - 1))
    assert await outbox.claim_resend("main", later(MINUTE - 1), later(DAY)) is None
    assert await outbox.has_resend("main", later(MINUTE))
    second = await retaken(outbox, later(MINUTE))
    assert (second.batch_id, second.resend, second.created_at) == (first.batch_id, True, NOW)
    assert second.token != first.token


async def test_batch_whose_lease_passed_goes_again_as_it_was_and_may_have_been_sent(outbox: Outbox) -> None:
    """A crashed holder's lease passes and the batch is sent again as it was."""
    await put(outbox, *orders(3))
    first = await claimed(outbox)
    second = await retaken(outbox, later(MINUTE))
    assert wire(second) == wire(first)
    assert second.entries == tuple(replace(entry, attempt=2, maybe_sent=True) for entry in first.entries)
    record = await outbox.get(1)
    assert record is not None
    assert (record.sent_at, record.due_at, record.attempt) == (later(MINUTE), later(2 * MINUTE), 2)


async def test_lease_of_a_second_claim_is_a_lease_of_its_own(outbox: Outbox) -> None:
    await put(outbox, conversion())
    await claimed(outbox)
    await retaken(outbox, later(MINUTE), lease=HOUR)
    assert not await outbox.has_resend("main", later(HOUR))
    third = await retaken(outbox, later(HOUR + MINUTE))
    assert third.entries[0].attempt == 3


async def test_batch_that_was_due_longest_is_taken_first(outbox: Outbox) -> None:
    await put(outbox, *orders(3))
    claims = [await claimed(outbox, limit=1, lease=lease) for lease in (3 * MINUTE, MINUTE, 2 * MINUTE)]
    again = [(await retaken(outbox, later(HOUR), lease=HOUR)).batch_id for _ in claims]
    assert again == [claims[1].batch_id, claims[2].batch_id, claims[0].batch_id]


async def test_open_batches_belong_to_their_account(outbox: Outbox) -> None:
    await put(outbox, conversion(account="other"))
    taken = await claim(outbox, await due(outbox, account="other"), account="other")
    assert taken is not None
    assert not await outbox.has_resend("main", later(HOUR))
    assert await outbox.claim_resend("main", later(HOUR), later(DAY)) is None
    assert await outbox.has_resend("other", later(HOUR))


async def test_settled_batch_is_not_open(outbox: Outbox) -> None:
    await put(outbox, conversion())
    await outbox.settle(await claimed(outbox), {}, TAKEN, NOW)
    assert not await outbox.has_resend("main", later(DAY))
    assert await outbox.claim_resend("main", later(DAY), later(DAY)) is None


RESTART = 10 * MINUTE


# --- after a crash ---------------------------------------------------------------------------------------------------


async def test_everything_stored_is_there_after_a_crash(house: House) -> None:
    outbox = await house.open()
    stored = [result.record for result in await put(outbox, *orders(50))]
    await house.crash()
    outbox = await house.open(later(RESTART))
    assert list((await outbox.find(Query(limit=100))).records) == stored[::-1]
    assert await outbox.counts() == Counts(pending=50)
    assert tuple((lane.account, lane.event) for lane in await outbox.lanes()) == LANES
    assert len(await due(outbox)) == 50


async def test_batch_that_was_on_its_way_at_a_crash_goes_again_at_once_as_it_was(house: House) -> None:
    outbox = await house.open()
    await put(outbox, *orders(3))
    before = await claimed(outbox, lease=DAY)
    await house.crash()
    outbox = await house.open(later(RESTART))
    assert await due(outbox, later(RESTART)) == []
    again = await retaken(outbox, later(RESTART))
    assert (again.batch_id, again.resend, wire(again)) == (before.batch_id, True, wire(before))
    assert all(entry.maybe_sent for entry in again.entries)
    assert await outbox.settle(again, {}, TAKEN, later(RESTART))
    assert await outbox.counts() == Counts(delivered=3)


async def test_batch_that_was_on_its_way_for_the_second_time_at_a_crash_may_have_been_sent(house: House) -> None:
    """Its first request never left; what became of its second is unknown."""
    outbox = await house.open()
    await put(outbox, *orders(3))
    await outbox.postpone(await claimed(outbox), NOW, LOST, maybe_sent=False)
    assert not any(entry.maybe_sent for entry in (await retaken(outbox, NOW, lease=DAY)).entries)
    await house.crash()
    again = await retaken(await house.open(later(RESTART)), later(RESTART))
    assert all(entry.maybe_sent for entry in again.entries)


async def test_postponed_batch_waits_on_after_a_crash_and_was_not_sent_for_that(house: House) -> None:
    outbox = await house.open()
    await put(outbox, *orders(3))
    await outbox.postpone(await claimed(outbox), later(HOUR), LOST, maybe_sent=False)
    await house.crash()
    outbox = await house.open(later(RESTART))
    assert not await outbox.has_resend("main", later(HOUR - 1))
    again = await retaken(outbox, later(HOUR))
    assert not any(entry.maybe_sent for entry in again.entries)


async def test_settled_rows_stay_settled_after_a_crash(house: House) -> None:
    outbox = await house.open()
    await put(outbox, *orders(3))
    await outbox.settle(await claimed(outbox), {2: Requeue(later(HOUR), None)}, TAKEN, NOW)
    await house.crash()
    outbox = await house.open(later(RESTART))
    assert await outbox.counts() == Counts(delivered=2, pending=1)
    assert await due(outbox, later(HOUR - 1)) == []
    assert seqs(await due(outbox, later(HOUR))) == [2]


async def test_keys_are_known_after_a_crash_and_numbers_go_on(house: House) -> None:
    outbox = await house.open()
    await put(outbox, *orders(3))
    await house.crash()
    outbox = await house.open(later(RESTART))
    again = await put(outbox, *orders(4), at=later(RESTART))
    assert [type(result).__name__ for result in again] == ["Replayed"] * 3 + ["Stored"]
    assert again[3].record.seq == 4


async def test_lane_opened_later_takes_rows_and_a_known_one_changes_nothing(outbox: Outbox) -> None:
    lanes = await outbox.lanes()
    await outbox.open_lanes([("main", "purchase"), ("third", "signup")])
    assert list(await outbox.lanes())[: len(lanes)] == list(lanes)
    (new,) = list(await outbox.lanes())[len(lanes) :]
    assert (new.account, new.event) == ("third", "signup")
    arrival = Arrival(replace(conversion(), account="third", event="signup"), NOW, "request-1")
    await outbox.put([arrival])
    assert len(await outbox.due([new], NOW, 10)) == 1


async def test_claims_at_the_same_time_share_no_row(outbox: Outbox) -> None:
    await put(outbox, *orders(200))
    entries = await due(outbox)
    taken = await asyncio.gather(*(claim(outbox, entries[start : start + 100]) for start in range(0, 200, 20)))
    rows = [seq for held in taken if held is not None for seq in seqs(held)]
    assert sorted(rows) == seqs(entries)
