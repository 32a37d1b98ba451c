"""Adjustments in the outbox: what becomes of each, decided and written in one transaction with all that it is about."""

from decimal import Decimal
from typing import Any

import pytest
from adjusting_kit import adjust, adjusted, wish
from conversion_kit import CLICK, conversion, orders
from instant_kit import HOUR, MINUTE, NOW, later
from outbox_kit import LOST, REFUSED, TAKEN, claim, claimed, due, put, record_of, retaken, seqs, seqs_of
from store_kit import House

from sidecar.core.adjustment import ById, ByOrder, Foreign
from sidecar.core.attribution import Deferral, SendConversion, Skip, with_choice
from sidecar.core.conversion import AdjustmentType, Click, Kind
from sidecar.core.difference import FieldDifference
from sidecar.core.entry import Requeue, Settled
from sidecar.core.instant import DAY_SECONDS, UnixMillis, UnixSeconds, seconds
from sidecar.core.states_and_reasons import Reason, State
from sidecar.ports.delivery import Note
from sidecar.ports.errors import StorageUnavailable
from sidecar.ports.intake import (
    AlreadyRetracted,
    Ambiguous,
    Captured,
    Conflict,
    NoOriginal,
    Replayed,
    Stored,
    Unadjustable,
)
from sidecar.ports.outbox import Outbox
from sidecar.ports.queries import Counts, Query
from sidecar.ports.upkeep import Moved, ReplayQuery, Unmoved

SETTLED = later(6 * HOUR)
"""When adjustments of what was delivered at NOW go out."""


@pytest.mark.parametrize(("value", "currency"), [("5", None), ("99.99", "EUR")])
async def test_row_that_was_restated_after_it_was_read_stays_due_and_is_claimed_next_with_its_new_value(
    outbox: Outbox, value: str, currency: str | None
) -> None:
    first, second = await seqs_of(outbox, *orders(2))
    read_before = await due(outbox)
    await adjusted(outbox, value, target=ById(second, None), currency=currency)
    taken = await claim(outbox, read_before)
    assert taken is not None
    assert [(entry.seq, entry.value, entry.attempt) for entry in taken.entries] == [(first, "99.99", 1)]
    (entry,) = (await claimed(outbox)).entries
    assert (entry.seq, entry.value, entry.currency, entry.attempt) == (second, value, currency or "USD", 1)


async def delivered(outbox: Outbox, *conversions: Any, at: UnixMillis = NOW) -> list[int]:
    numbers = await seqs_of(outbox, *(conversions or (conversion(),)), at=at)
    assert await outbox.settle(await claimed(outbox, at), {}, TAKEN, at)
    return numbers


async def state_of(outbox: Outbox, seq: int) -> tuple[State, str | None]:
    record = await record_of(outbox, seq)
    return record.state, record.reason


async def balance(outbox: Outbox) -> None:
    """The counts are those of the rows."""
    found = dict.fromkeys(State, 0)
    for seq in range(1, 100):
        if (record := await outbox.get(seq)) is not None:
            found[record.state] += 1
    counts = await outbox.counts()
    assert {state.value: rows for state, rows in found.items()} == {
        "pending": counts.pending,
        "delivered": counts.delivered,
        "skipped": counts.skipped,
        "dead": counts.dead,
        "canceled": counts.canceled,
    }


# --- Before anything was sent ----------------------------------------------------------------------------------------


async def test_restate_changes_what_was_never_sent(outbox: Outbox) -> None:
    (seq,) = await seqs_of(outbox, conversion())
    row = await adjusted(outbox, "50.5", currency="EUR")
    assert (row.state, row.reason) == (State.CANCELED, "applied_before_upload")
    assert (row.kind, row.type, row.conversion_id, row.order_id) == (
        Kind.ADJUSTMENT, AdjustmentType.RESTATE, f"conv_{seq}", "ORDER-1",
    )  # fmt: skip
    (entry,) = (await claimed(outbox)).entries
    assert (entry.seq, entry.value, entry.currency) == (seq, "50.5", "EUR")
    await balance(outbox)


async def test_retract_ends_what_was_never_sent(outbox: Outbox) -> None:
    (seq,) = await seqs_of(outbox, conversion())
    row = await adjusted(outbox)
    assert (row.state, row.reason) == (State.CANCELED, "retracted")
    assert await state_of(outbox, seq) == (State.CANCELED, "retracted")
    assert await due(outbox) == []
    again = await adjust(outbox, at=later(MINUTE))
    assert again == Replayed(row)
    assert isinstance(await adjust(outbox, "5"), AlreadyRetracted)
    await balance(outbox)


async def test_what_was_definitely_refused_counts_as_never_sent(outbox: Outbox) -> None:
    first, second = await seqs_of(outbox, conversion("ORDER-1"), conversion("ORDER-2"))
    claim = await claimed(outbox)
    assert await outbox.postpone(claim, later(MINUTE), Note("refused: throttled"), maybe_sent=False)
    assert (await adjusted(outbox, "5")).reason == "applied_before_upload"
    assert (await adjusted(outbox, target=ByOrder("ORDER-2", None))).reason == "retracted"
    (entry,) = (await retaken(outbox, later(MINUTE))).entries
    assert (entry.seq, entry.value) == (first, "5")
    assert await state_of(outbox, second) == (State.CANCELED, "retracted")
    await balance(outbox)


async def test_request_with_the_conversion_sent_again_is_still_the_same(outbox: Outbox) -> None:
    await put(outbox, conversion())
    await adjusted(outbox, "5")
    (again,) = await put(outbox, conversion())
    assert isinstance(again, Replayed)
    assert again.record.value == "5"


# --- While it is not known -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["5", None])
@pytest.mark.parametrize("lost", [False, True], ids=["in flight", "answer lost"])
async def test_adjustment_of_what_may_have_been_sent_waits(outbox: Outbox, value: str | None, lost: bool) -> None:
    (seq,) = await seqs_of(outbox, conversion())
    claim = await claimed(outbox)
    if lost:
        await outbox.postpone(claim, later(MINUTE), LOST, maybe_sent=True)
    row = await adjusted(outbox, value)
    assert (row.state, row.reason) == (State.PENDING, "awaiting_original")
    assert await due(outbox, later(30 * 24 * HOUR)) == []
    claim = await retaken(outbox, later(MINUTE)) if lost else claim
    assert claim.entries[0].value == "99.99"
    at = later(2 * MINUTE)
    assert await outbox.settle(claim, {}, TAKEN, at)
    assert await state_of(outbox, row.seq) == (State.PENDING, "not_yet")
    assert await due(outbox, later(6 * HOUR - 1, at)) == []
    (entry,) = await due(outbox, later(6 * HOUR, at))
    sent = claim.entries[0]
    assert (entry.seq, entry.original, entry.value) == (row.seq, seq, value)
    assert (entry.goal, entry.sent_time, entry.msclkid) == (sent.goal, sent.sent_time, sent.msclkid)
    assert (entry.adjusted_at, entry.currency) == (seconds(NOW), None if value is None else "USD")
    await balance(outbox)


@pytest.mark.parametrize("comes_first", [True, False])
async def test_restate_of_what_was_refused_for_good_changes_what_a_replay_sends(
    outbox: Outbox, comes_first: bool
) -> None:
    (seq,) = await seqs_of(outbox, conversion())
    claim = await claimed(outbox)
    early = await adjusted(outbox, "5") if comes_first else None
    await outbox.settle(claim, {seq: Settled(State.DEAD, "X", REFUSED)}, TAKEN, NOW)
    row = early or await adjusted(outbox, "5")
    assert await state_of(outbox, row.seq) == (State.CANCELED, "applied_before_upload")
    assert await state_of(outbox, seq) == (State.DEAD, "X")
    await outbox.replay(seq, later(MINUTE))
    assert [entry.value for entry in await due(outbox, later(MINUTE))] == ["5"]
    await balance(outbox)


@pytest.mark.parametrize("comes_first", [True, False])
async def test_what_was_refused_for_good_and_taken_back_is_never_sent(outbox: Outbox, comes_first: bool) -> None:
    (seq,) = await seqs_of(outbox, conversion())
    claim = await claimed(outbox)
    early = await adjusted(outbox) if comes_first else None
    await outbox.settle(claim, {seq: Settled(State.DEAD, "X", REFUSED)}, TAKEN, NOW)
    row = early or await adjusted(outbox)
    assert await state_of(outbox, seq) == await state_of(outbox, row.seq) == (State.CANCELED, "retracted")
    assert isinstance(await outbox.replay(seq, later(MINUTE)), Unmoved)
    assert (await outbox.replay_slice(ReplayQuery(State.DEAD), 0, 100, NOW, dry_run=False)).matched == 0
    assert isinstance(await adjust(outbox), Replayed)
    assert isinstance(await adjust(outbox, "5"), AlreadyRetracted)
    (again,) = await put(outbox, conversion(value="7"))
    assert isinstance(again, Conflict)
    await balance(outbox)


async def dead_and_possibly_sent(outbox: Outbox) -> int:
    """A conversion of which a request was lost, and that was refused for good afterwards."""
    (seq,) = await seqs_of(outbox, conversion())
    await outbox.postpone(await claimed(outbox), NOW, LOST, maybe_sent=True)
    again = await retaken(outbox, NOW)
    await outbox.settle(again, {seq: Settled(State.DEAD, "X", REFUSED)}, TAKEN, NOW)
    return seq


@pytest.mark.parametrize("value", ["5", None])
async def test_adjustment_of_what_died_but_may_be_at_microsoft_goes_out(outbox: Outbox, value: str | None) -> None:
    seq = await dead_and_possibly_sent(outbox)
    row = await adjusted(outbox, value)
    assert await state_of(outbox, seq) == (State.DEAD, "X")
    (entry,) = await due(outbox, SETTLED)
    assert (entry.seq, entry.original, entry.goal) == (row.seq, seq, "Sidecar Purchase")
    await balance(outbox)


async def test_what_is_taken_back_at_microsoft_is_not_replayed(outbox: Outbox) -> None:
    """The order was refunded: it must not get there again, by itself or among others."""
    seq = await dead_and_possibly_sent(outbox)
    refund = await adjusted(outbox)
    query = ReplayQuery(State.DEAD)
    for at in (later(MINUTE), SETTLED):
        assert isinstance(await outbox.replay(seq, at), Unmoved)
        for dry_run in (True, False):
            assert (await outbox.replay_slice(query, 0, 100, at, dry_run=dry_run)).matched == 0
    await outbox.settle(await claimed(outbox, SETTLED), {}, TAKEN, SETTLED)
    assert await state_of(outbox, refund.seq) == (State.DELIVERED, None)
    assert isinstance(await outbox.replay(seq, SETTLED), Unmoved)


async def test_refund_of_what_was_replaced_since_says_nothing_of_the_new_content(outbox: Outbox) -> None:
    """The order was sent again after its refund: it is replayed and adjusted as any other."""
    seq = await dead_and_possibly_sent(outbox)
    await adjusted(outbox)
    await outbox.settle(await claimed(outbox, SETTLED), {}, TAKEN, SETTLED)
    at = later(HOUR, SETTLED)
    assert await seqs_of(outbox, conversion(value="7"), at=at) == [seq]
    await outbox.settle(await claimed(outbox, at), {seq: Settled(State.DEAD, "X", REFUSED)}, TAKEN, at)
    assert isinstance(await outbox.replay(seq, at), Moved)
    await outbox.settle(await claimed(outbox, at), {}, TAKEN, at)
    assert isinstance(await adjust(outbox, "5", at), Stored)
    await balance(outbox)


async def test_adjustment_names_no_click_where_its_conversion_was_sent_without_the_one_it_brought(
    outbox: Outbox,
) -> None:
    person = {"visitor_id": "v-1", "email_sha256": "a" * 64}
    await put(outbox, conversion(**person))
    bare = [with_choice(entry, SendConversion(without_msclkid=True)) for entry in await due(outbox)]
    taken = await claim(outbox, bare)
    assert taken is not None
    await outbox.settle(taken, {}, TAKEN, NOW)
    await adjusted(outbox, "5")
    (entry,) = await due(outbox, SETTLED)
    assert (entry.msclkid, entry.email_sha256) == (None, person["email_sha256"])


async def test_what_microsoft_refused_to_take_back_may_be_replayed(outbox: Outbox) -> None:
    seq = await dead_and_possibly_sent(outbox)
    refund = await adjusted(outbox)
    taken = await claimed(outbox, SETTLED)
    await outbox.settle(taken, {refund.seq: Settled(State.DEAD, "Y", REFUSED)}, TAKEN, SETTLED)
    assert isinstance(await outbox.replay(seq, SETTLED), Moved)


@pytest.mark.parametrize("value", ["5", None])
async def test_adjustment_is_applied_when_the_request_on_its_way_was_refused(outbox: Outbox, value: str | None) -> None:
    (seq,) = await seqs_of(outbox, conversion())
    claim = await claimed(outbox)
    row = await adjusted(outbox, value)
    await outbox.settle(claim, {seq: Requeue(NOW, None, REFUSED, released=True)}, TAKEN, NOW)
    if value is None:
        assert await state_of(outbox, seq) == await state_of(outbox, row.seq) == (State.CANCELED, "retracted")
    else:
        assert await state_of(outbox, row.seq) == (State.CANCELED, "applied_before_upload")
        assert (await due(outbox))[0].value == "5"
    await balance(outbox)


async def test_adjustment_is_applied_before_a_refused_request_goes_again(outbox: Outbox) -> None:
    """It came in while the request was on its way, which was then throttled: nothing of it is at Microsoft."""
    kept, gone = await seqs_of(outbox, conversion("ORDER-1"), conversion("ORDER-2"))
    claim = await claimed(outbox)
    restate, retract = await adjusted(outbox, "5"), await adjusted(outbox, target=ByOrder("ORDER-2", None))
    await outbox.postpone(claim, later(MINUTE), Note("refused: throttled"), maybe_sent=False)
    (entry,) = (await retaken(outbox, later(MINUTE))).entries
    assert (entry.seq, entry.value) == (kept, "5")
    assert await state_of(outbox, restate.seq) == (State.CANCELED, "applied_before_upload")
    assert await state_of(outbox, retract.seq) == await state_of(outbox, gone) == (State.CANCELED, "retracted")
    await balance(outbox)


async def test_adjustment_goes_on_waiting_while_a_retry_may_have_been_applied(outbox: Outbox) -> None:
    (seq,) = await seqs_of(outbox, conversion())
    claim = await claimed(outbox)
    await outbox.postpone(claim, later(MINUTE), LOST, maybe_sent=True)
    row = await adjusted(outbox, "5")
    claim = await retaken(outbox, later(MINUTE))
    await outbox.settle(claim, {seq: Requeue(later(HOUR), Reason.RETRYING, REFUSED, released=False)}, TAKEN, NOW)
    assert await state_of(outbox, row.seq) == (State.PENDING, "awaiting_original")
    again = await claimed(outbox, later(HOUR))
    assert seqs(again) == [seq]
    await outbox.settle(again, {}, TAKEN, later(HOUR))
    assert await state_of(outbox, row.seq) == (State.PENDING, "not_yet")


async def test_waiting_outlives_a_crash(house: House) -> None:
    outbox = await house.open()
    await put(outbox, conversion())
    await claimed(outbox)
    row = await adjusted(outbox, "5")
    await house.crash()
    outbox = await house.open()
    assert await state_of(outbox, row.seq) == (State.PENDING, "awaiting_original")
    await outbox.settle(await retaken(outbox, later(MINUTE)), {}, TAKEN, later(MINUTE))
    assert seqs(await due(outbox, later(7 * HOUR))) == [row.seq]


async def test_waiting_ends_by_age_with_its_conversion(outbox: Outbox) -> None:
    await put(outbox, conversion())
    claim = await claimed(outbox)
    await outbox.postpone(claim, later(MINUTE), LOST, maybe_sent=True)
    row = await adjusted(outbox, "5")
    old = later(90 * DAY_SECONDS * 1000)
    assert len(await outbox.expire(old, 1)) == 1
    await outbox.expire(old, 10)
    assert (await state_of(outbox, row.seq))[0] in (State.DEAD, State.SKIPPED)
    assert (await outbox.counts()).pending == 0
    await balance(outbox)


async def test_clock_that_is_set_back_wakes_nothing_that_waits_for_its_conversion(outbox: Outbox) -> None:
    await put(outbox, conversion())
    await claimed(outbox)
    await adjusted(outbox, "5")
    before = later(-HOUR // 2)
    assert await outbox.clock_stepped_back(before, 100)
    assert await due(outbox, before) == []


# --- Once it was delivered -------------------------------------------------------------------------------------------


async def test_newer_restate_takes_over_from_one_that_waits(outbox: Outbox) -> None:
    (seq,) = await delivered(outbox)
    first, second = await adjusted(outbox, "50"), await adjusted(outbox, "40", at=later(MINUTE))
    assert await state_of(outbox, first.seq) == (State.CANCELED, "superseded")
    (entry,) = await due(outbox, SETTLED)
    assert (entry.seq, entry.value, entry.original) == (second.seq, "40", seq)
    await balance(outbox)


async def test_newer_one_waits_for_one_that_is_on_its_way(outbox: Outbox) -> None:
    await delivered(outbox)
    first = await adjusted(outbox, "50")
    claim = await claimed(outbox, SETTLED)
    assert seqs(claim) == [first.seq]
    second = await adjusted(outbox, "40", at=SETTLED)
    third = await adjusted(outbox, at=later(1, SETTLED))
    assert await state_of(outbox, second.seq) == (State.CANCELED, "superseded")
    assert await state_of(outbox, third.seq) == (State.PENDING, "awaiting_original")
    await outbox.settle(claim, {}, TAKEN, later(MINUTE, SETTLED))
    (entry,) = await due(outbox, later(MINUTE, SETTLED))
    assert (entry.seq, entry.type) == (third.seq, AdjustmentType.RETRACT)
    await balance(outbox)


async def test_newer_one_takes_over_from_one_that_was_definitely_refused(outbox: Outbox) -> None:
    await delivered(outbox)
    first = await adjusted(outbox, "50")
    claim = await claimed(outbox, SETTLED)
    second = await adjusted(outbox, "40", at=SETTLED)
    await outbox.settle(claim, {first.seq: Requeue(SETTLED, None, REFUSED, released=False)}, TAKEN, SETTLED)
    assert await state_of(outbox, first.seq) == (State.CANCELED, "superseded")
    assert seqs(await due(outbox, later(MINUTE, SETTLED))) == [second.seq]
    await balance(outbox)


async def test_times_of_adjustments_strictly_increase(outbox: Outbox) -> None:
    await delivered(outbox)
    times = []
    for value in ("50", "40", "30"):
        await adjusted(outbox, value, at=SETTLED)
        (entry,) = (await claimed(outbox, later(10 * 1_000, SETTLED))).entries
        times.append(entry.adjusted_at)
        claim = await retaken(outbox, later(2 * MINUTE, SETTLED))
        await outbox.settle(claim, {}, TAKEN, SETTLED)
    assert times == [seconds(SETTLED), seconds(SETTLED) + 1, seconds(SETTLED) + 2]


async def test_adjustment_keeps_what_was_sent_when_the_row_is_refused_and_comes_again(outbox: Outbox) -> None:
    await delivered(outbox)
    row = await adjusted(outbox, "50")
    (entry,) = (claim := await claimed(outbox, SETTLED)).entries
    assert entry.keeps_frozen
    await outbox.settle(claim, {row.seq: Requeue(SETTLED, None, REFUSED, released=False)}, TAKEN, SETTLED)
    (again,) = await due(outbox, SETTLED)
    assert (again.goal, again.sent_time, again.msclkid) == (entry.goal, entry.sent_time, entry.msclkid)


async def test_adjustment_uses_up_no_second_of_its_person(outbox: Outbox) -> None:
    """The next order of that person in that second would have to make way for nothing."""
    await delivered(outbox)
    await adjusted(outbox, "50")
    entries = await due(outbox, SETTLED)
    claim = await outbox.claim("main", entries, [None], SETTLED, later(MINUTE, SETTLED))
    assert claim is not None
    assert claim.kind is Kind.ADJUSTMENT
    sent_at = entries[0].sent_time or UnixSeconds(0)
    assert await outbox.used_seconds({0: [(UnixSeconds(sent_at - 3_600), UnixSeconds(sent_at + 3_600))]}) == {}


# --- Which conversion ------------------------------------------------------------------------------------------------


async def test_conversion_that_is_not_known_has_no_adjustments(outbox: Outbox) -> None:
    await put(outbox, conversion())
    for target in (ByOrder("ORDER-2", None), ByOrder("ORDER-1", "lead"), ById(2, None), ById(1, "lead")):
        assert await adjust(outbox, "5", target=target) == NoOriginal()
    row = await adjusted(outbox, "5", target=ById(1, "purchase"))
    assert await adjust(outbox, "5", target=ById(row.seq, None)) == NoOriginal()


async def test_order_with_several_events_needs_one_named(outbox: Outbox) -> None:
    await put(outbox, conversion(), conversion(event="lead"))
    result = await adjust(outbox, "5")
    assert isinstance(result, Ambiguous)
    assert {record.event for record in result.originals} == {"purchase", "lead"}
    row = await adjusted(outbox, "5", target=ByOrder("ORDER-1", "lead"))
    assert (row.event, row.conversion_id) == ("lead", "conv_2")


async def test_conversion_of_more_than_90_days_ago_is_too_old(outbox: Outbox) -> None:
    await delivered(outbox)
    result = await adjust(outbox, "5", at=later(90 * DAY_SECONDS * 1000))
    assert isinstance(result, Unadjustable)
    assert result.problem.code == "too_old"


FOREIGN = Foreign(
    account="main",
    event="purchase",
    time=UnixSeconds(seconds(NOW) - 3_600),
    msclkid=CLICK,
    email_sha256=None,
    phone_sha256=None,
    currency="USD",
)


async def test_conversion_that_was_uploaded_elsewhere_is_adjusted_six_hours_after_its_time(outbox: Outbox) -> None:
    row = await adjusted(outbox, "5", target=FOREIGN)
    assert (row.state, row.reason, row.conversion_id, row.goal) == (State.PENDING, "not_yet", None, None)
    assert row.due_at == later(5 * HOUR)
    (entry,) = await due(outbox, later(5 * HOUR))
    assert (entry.time, entry.msclkid, entry.goal, entry.value, entry.currency) == (
        FOREIGN.time, CLICK, None, "5", "USD",
    )  # fmt: skip
    assert not entry.keeps_frozen
    newer = await adjusted(outbox, target=FOREIGN)
    assert await state_of(outbox, row.seq) == (State.CANCELED, "superseded")
    assert await adjust(outbox, target=FOREIGN) == Replayed(newer)
    assert isinstance(await adjust(outbox, "4", target=FOREIGN), AlreadyRetracted)
    await balance(outbox)


# --- Repeats ---------------------------------------------------------------------------------------------------------


async def test_same_content_again_is_the_same_adjustment(outbox: Outbox) -> None:
    await delivered(outbox)
    row = await adjusted(outbox, "50")
    assert await adjust(outbox, "50.00", currency="USD", at=later(MINUTE)) == Replayed(row)
    other = await adjusted(outbox, "40")
    again = await adjust(outbox, "50")
    assert isinstance(again, Replayed)
    assert again.overtaken
    assert again.record.state is State.CANCELED
    assert seqs(await due(outbox, SETTLED)) == [other.seq]


async def test_key_decides_where_there_is_one(outbox: Outbox) -> None:
    await delivered(outbox)
    first = await adjusted(outbox, "50", key="a")
    await adjusted(outbox, "40", key="b")
    back = await adjusted(outbox, "50", key="c")
    assert back.seq not in (first.seq,)
    again = await adjust(outbox, "50", key="c")
    assert again == Replayed(back)
    conflict = await adjust(outbox, "40", key="c")
    assert conflict == Conflict(back, (FieldDifference("value", Decimal(50), Decimal(40)),))


async def test_key_of_a_conversion_is_another(outbox: Outbox) -> None:
    await delivered(outbox, conversion("ORDER-1"), conversion(None, idempotency_key="a"))
    await adjusted(outbox, "50", key="a")


async def test_of_equal_ones_in_one_request_the_first_stores(outbox: Outbox) -> None:
    await delivered(outbox)
    first, second, third = await outbox.adjust([wish("50"), wish("50"), wish()])
    assert isinstance(first, Stored)
    assert isinstance(second, Replayed)
    assert isinstance(third, Stored)
    assert await state_of(outbox, first.record.seq) == (State.CANCELED, "superseded")
    await balance(outbox)


async def test_adjustment_that_microsoft_refused_may_be_sent_again(outbox: Outbox) -> None:
    await delivered(outbox)
    row = await adjusted(outbox, "50")
    claim = await claimed(outbox, SETTLED)
    await outbox.settle(claim, {row.seq: Settled(State.DEAD, "X", REFUSED)}, TAKEN, SETTLED)
    assert (await adjusted(outbox, "50", at=SETTLED)).seq != row.seq


# --- Reading ---------------------------------------------------------------------------------------------------------


async def test_conversion_lists_its_adjustments_and_lists_hold_conversions_only(outbox: Outbox) -> None:
    first, other = await delivered(outbox, conversion("ORDER-1"), conversion("ORDER-2"))
    rows = [await adjusted(outbox, value) for value in ("50", "40")]
    assert [row.seq for row in await outbox.adjustments(first)] == [row.seq for row in rows]
    assert await outbox.adjustments(other) == []
    for query in (Query(), Query(event="purchase"), Query(state=State.CANCELED), Query(order_id="ORDER-1")):
        assert {record.kind for record in (await outbox.find(query)).records} <= {Kind.CONVERSION}
    assert [record.seq for record in (await outbox.find(Query(state=State.PENDING))).records] == []


async def test_full_outbox_takes_no_adjustments(house: House) -> None:
    outbox = await house.open(max_pending=1)
    await put(outbox, conversion())
    with pytest.raises(StorageUnavailable):
        await adjust(outbox, "5")


# --- of what ended for want of a click -------------------------------------------------------------------------------


async def ended_without_a_click(outbox: Outbox) -> int:
    (seq,) = await seqs_of(outbox, conversion(msclkid=None, visitor_id="v-1"))
    await outbox.defer([Deferral(seq, Skip(Reason.NO_CLICK))], NOW)
    return seq


async def late_click(house: House) -> dict[str, int]:
    clicked_at = UnixSeconds(seconds(NOW) - 7_200)
    click = Click(account="main", visitor_id="v-1", msclkid=CLICK, clicked_at=clicked_at)
    return dict(await house.clicks.capture([Captured(click, later(HOUR))]))


async def test_sale_that_was_taken_back_is_not_revived_by_a_late_click(house: House, outbox: Outbox) -> None:
    seq = await ended_without_a_click(outbox)
    assert isinstance(await adjust(outbox), Stored)
    assert await state_of(outbox, seq) == (State.CANCELED, "retracted")
    assert await late_click(house) == {}
    await balance(outbox)


async def test_sale_that_was_restated_is_revived_with_its_new_value(house: House, outbox: Outbox) -> None:
    seq = await ended_without_a_click(outbox)
    assert isinstance(await adjust(outbox, "50"), Stored)
    assert await late_click(house) == {"main": 1}
    assert (await record_of(outbox, seq)).value == "50"


# --- what no longer stands -------------------------------------------------------------------------------------------


async def test_value_that_went_into_a_conversion_which_was_replaced_since_is_new_again(outbox: Outbox) -> None:
    (seq,) = await seqs_of(outbox, conversion(value="10"))
    assert isinstance(await adjust(outbox, "5"), Stored)
    await outbox.settle(await claimed(outbox), {seq: Settled(State.DEAD, "poison", REFUSED)}, TAKEN, NOW)
    await put(outbox, conversion(value="100"), at=later(MINUTE))
    assert isinstance(await adjust(outbox, "5", at=later(2 * MINUTE)), Stored)
    assert (await record_of(outbox, seq)).value == "5"


async def test_value_whose_successor_was_refused_is_new_again(outbox: Outbox) -> None:
    await put(outbox, conversion())
    await outbox.settle(await claimed(outbox), {}, TAKEN, NOW)
    await adjusted(outbox, "5")
    newer = await adjusted(outbox, "8")
    assert isinstance(await adjust(outbox, "5"), Replayed), "overtaken, and what overtook it stands"
    taken = await claimed(outbox, SETTLED)
    await outbox.settle(taken, {newer.seq: Settled(State.DEAD, "poison", REFUSED)}, TAKEN, SETTLED)
    assert isinstance(await adjust(outbox, "5", at=SETTLED), Stored)


async def test_restate_of_what_was_refused_meanwhile_counts_when_that_is_replayed(outbox: Outbox) -> None:
    (seq,) = await seqs_of(outbox, conversion())
    taken = await claimed(outbox)
    await adjusted(outbox, "5")
    await outbox.settle(taken, {seq: Settled(State.DEAD, "poison", REFUSED)}, TAKEN, NOW)
    await outbox.replay(seq, later(MINUTE))
    assert [entry.value for entry in await due(outbox, later(MINUTE))] == ["5"]
    assert await outbox.counts() == Counts(pending=1, canceled=1)
