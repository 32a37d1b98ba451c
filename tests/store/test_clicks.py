"""Clicks of visitors: what is kept, which one is found, whom it wakes, and when it is forgotten."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from conversion_kit import CLICK, captured, conversion, orders
from instant_kit import DAY, HOUR, MINUTE, NOW, first_of_day, later
from msgspec.structs import replace
from outbox_kit import TAKEN, claim, claimed, due, put, record_of, seqs, seqs_of
from store_kit import House

from sidecar.core.attribution import Deferral, Skip, WaitForClick
from sidecar.core.conversion import Click, Conversion
from sidecar.core.instant import MAX_AGE_SECONDS, UnixMillis, UnixSeconds, seconds
from sidecar.core.states_and_reasons import Reason, State
from sidecar.ports.intake import Captured, Clicks, Replayed, Stored
from sidecar.ports.outbox import Outbox
from sidecar.ports.queries import Counts

OTHER = "0" * 32
MOMENT = UnixSeconds(seconds(NOW) - 3_600)
"""When the conversions of these tests happened."""


@pytest.fixture
async def clicks(house: House, outbox: Outbox) -> AsyncIterator[Clicks]:
    yield house.clicks


def visit(order_id: str = "ORDER-1", **given: object):  # type: ignore[no-untyped-def]
    return conversion(order_id, **{"msclkid": None, "visitor_id": "v-1", **given})


async def seen_of(outbox: Outbox, clicks: Clicks) -> list[str | None]:
    """The click that is found for each due entry."""
    entries = await due(outbox)
    found = await clicks.seen(entries)
    return [found[entry.seq].msclkid if entry.seq in found else None for entry in entries]


# --- what is found ---------------------------------------------------------------------------------------------------


async def test_last_click_at_or_before_the_conversion_is_found(outbox: Outbox, clicks: Clicks) -> None:
    await clicks.capture([captured("1" * 32, 9_000), captured("2" * 32, 3_600), captured("3" * 32, 3_599)])
    await put(outbox, visit())
    assert await seen_of(outbox, clicks) == ["2" * 32]


async def test_of_two_clicks_in_one_second_the_later_received_is_found(outbox: Outbox, clicks: Clicks) -> None:
    await clicks.capture([captured("1" * 32), captured("2" * 32)])
    await put(outbox, visit())
    assert await seen_of(outbox, clicks) == ["2" * 32]


async def test_clicks_of_other_visitors_and_accounts_are_not_found(outbox: Outbox, clicks: Clicks) -> None:
    await clicks.capture([captured(visitor_id="v-2"), captured(account="other"), captured("1" * 32, 3_000)])
    await put(outbox, visit())
    assert await seen_of(outbox, clicks) == [None]


async def test_conversion_with_a_click_id_of_its_own_finds_that_click_only(outbox: Outbox, clicks: Clicks) -> None:
    await clicks.capture([captured(CLICK, 9_000), captured(OTHER, 7_200)])
    await put(outbox, visit(msclkid=CLICK), visit("ORDER-2", msclkid="5" * 32))
    (first, _) = await due(outbox)
    found = await clicks.seen(await due(outbox))
    assert {seq: (click.msclkid, click.clicked_at) for seq, click in found.items()} == {
        first.seq: (CLICK, seconds(NOW) - 9_000)
    }


async def test_own_click_that_was_received_with_a_later_time_is_not_found(outbox: Outbox, clicks: Clicks) -> None:
    await clicks.capture([captured(CLICK, 3_000)])
    await put(outbox, visit(msclkid=CLICK))
    assert await clicks.seen(await due(outbox)) == {}


async def test_same_click_of_a_visitor_keeps_its_earliest_time(outbox: Outbox, clicks: Clicks) -> None:
    for ago in (7_200, 9_000, 8_000):
        await clicks.capture([captured(ago=ago)])
    await put(outbox, visit())
    (click,) = (await clicks.seen(await due(outbox))).values()
    assert click.clicked_at == seconds(NOW) - 9_000


async def test_clicks_and_conversions_of_many_callers_share_a_group(outbox: Outbox, clicks: Clicks) -> None:
    results = await asyncio.gather(
        *(clicks.capture([captured(visitor_id=f"v-{number}")]) for number in range(20)),
        *(put(outbox, visit(f"ORDER-{number}", visitor_id=f"v-{number}")) for number in range(20)),
    )
    assert [result[0].record.visitor_id for result in results[20:]] == [f"v-{number}" for number in range(20)]
    assert await seen_of(outbox, clicks) == [CLICK] * 20


async def test_clicks_survive_a_crash(house: House) -> None:
    await house.open()
    await house.clicks.capture([captured()])
    await house.crash()
    outbox = await house.open()
    await put(outbox, visit())
    assert await seen_of(outbox, house.clicks) == [CLICK]


# --- what is set aside, and what wakes it ----------------------------------------------------------------------------


def waiting(seq: int) -> Deferral:
    return Deferral(seq, WaitForClick(Reason.AWAITING_CLICK, later(HOUR)))


def skipped(seq: int, reason: Reason = Reason.NO_CLICK, clicked_at: UnixSeconds | None = None) -> Deferral:
    return Deferral(seq, Skip(reason), clicked_at)


async def test_row_set_aside_waits_until_its_time(outbox: Outbox, clicks: Clicks) -> None:
    (seq,) = await seqs_of(outbox, visit())
    assert await outbox.defer([waiting(seq)], NOW) == {seq: State.PENDING}
    record = await record_of(outbox, seq)
    assert (record.state, record.reason, record.due_at) == (State.PENDING, "awaiting_click", later(HOUR))
    assert await due(outbox, later(HOUR - 1)) == []
    assert seqs(await due(outbox, later(HOUR))) == [seq]


async def test_row_that_can_no_longer_count_ends_skipped(outbox: Outbox, clicks: Clicks) -> None:
    (seq,) = await seqs_of(outbox, visit())
    assert await outbox.defer([skipped(seq, Reason.OUTSIDE_WINDOW, first_of_day(9))], NOW) == {seq: State.SKIPPED}
    record = await record_of(outbox, seq)
    assert (record.state, record.reason, record.settled_at) == (State.SKIPPED, "outside_window", NOW)
    assert await outbox.counts() == Counts(skipped=1)


async def test_claimed_row_is_not_set_aside(outbox: Outbox, clicks: Clicks) -> None:
    (seq,) = await seqs_of(outbox, visit())
    await claimed(outbox)
    assert await outbox.defer([skipped(seq)], NOW) == {}
    assert await outbox.counts() == Counts(pending=1)


async def test_row_whose_visitor_clicked_meanwhile_is_not_set_aside(outbox: Outbox, clicks: Clicks) -> None:
    """The click was stored after the row was decided: it would wake no row, and this one would wait in vain."""
    first, second = await seqs_of(outbox, visit(), visit("ORDER-2"))
    await clicks.capture([captured()])
    assert await outbox.defer([waiting(first), skipped(second)], NOW) == {}
    assert seqs(await due(outbox)) == [first, second]


async def test_row_is_set_aside_for_the_click_that_was_looked_at(outbox: Outbox, clicks: Clicks) -> None:
    await clicks.capture([captured()])
    (seq,) = await seqs_of(outbox, visit())
    settling = Deferral(seq, WaitForClick(Reason.CLICK_SETTLING, later(MINUTE)), UnixSeconds(seconds(NOW) - 7_200))
    assert await outbox.defer([settling], NOW) == {seq: State.PENDING}


async def test_click_wakes_the_rows_that_waited_for_it(outbox: Outbox, clicks: Clicks) -> None:
    rows = await seqs_of(outbox, visit(), visit("ORDER-2"), visit("ORDER-3", visitor_id="v-2"))
    await outbox.defer([waiting(seq) for seq in rows], NOW)
    assert await clicks.capture([captured(at=later(MINUTE))]) == {"main": 2}
    assert seqs(await due(outbox, later(MINUTE))) == rows[:2]
    assert (await record_of(outbox, rows[0])).reason is None


async def test_click_after_the_conversion_wakes_nothing(outbox: Outbox, clicks: Clicks) -> None:
    rows = await seqs_of(outbox, visit())
    await outbox.defer([waiting(seq) for seq in rows], NOW)
    assert await clicks.capture([captured(ago=3_599)]) == {}
    assert await due(outbox) == []


@pytest.mark.parametrize("reason", [Reason.NO_CLICK, Reason.OUTSIDE_WINDOW])
async def test_late_click_revives_rows_that_ended_for_want_of_it(
    outbox: Outbox, clicks: Clicks, reason: Reason
) -> None:
    (seq,) = await seqs_of(outbox, visit())
    before = await record_of(outbox, seq)
    await outbox.defer([skipped(seq, reason)], later(HOUR))
    assert await clicks.capture([captured(at=later(DAY))]) == {"main": 1}
    assert await outbox.counts() == Counts(pending=1)
    revived = await record_of(outbox, seq)
    assert revived == replace(before, due_at=later(DAY))
    assert seqs(await due(outbox, later(DAY))) == [seq]


async def test_late_click_revives_no_row_that_is_too_old_to_count(outbox: Outbox, clicks: Clicks) -> None:
    (seq,) = await seqs_of(outbox, visit())
    await outbox.defer([skipped(seq)], NOW)
    too_late = UnixMillis((MOMENT + MAX_AGE_SECONDS + 1) * 1_000)
    assert await clicks.capture([captured(at=too_late)]) == {}
    assert await clicks.capture([captured(OTHER, at=UnixMillis(too_late - 1_000))]) == {"main": 1}


async def test_late_click_revives_nothing_that_went_out_or_ended_otherwise(outbox: Outbox, clicks: Clicks) -> None:
    rows = await seqs_of(outbox, visit(), visit("ORDER-2"), visit("ORDER-3"))
    await outbox.defer([skipped(rows[2], Reason.GOAL_NOT_ENHANCED)], NOW)
    taken = await claim(outbox, (await due(outbox))[:1])
    assert taken is not None
    await outbox.settle(taken, {}, TAKEN, NOW)
    assert await clicks.capture([captured()]) == {}
    assert await outbox.counts() == Counts(pending=1, delivered=1, skipped=1)


async def test_click_that_was_known_already_wakes_nothing(outbox: Outbox, clicks: Clicks) -> None:
    """Else a row outside the window would be looked at again with every repeat of an old click."""
    await clicks.capture([captured(ago=9 * 86_400)])
    (seq,) = await seqs_of(outbox, visit())
    await outbox.defer([skipped(seq, Reason.OUTSIDE_WINDOW, first_of_day(9))], NOW)
    assert await clicks.capture([captured(ago=9 * 86_400)]) == {}
    assert await clicks.capture([captured("1" * 32, ago=10 * 86_400)]) == {}, "an older one changes nothing either"
    assert await clicks.capture([captured("2" * 32, ago=8 * 86_400)]) == {"main": 1}


async def test_waking_is_reported_to_one_caller_of_a_group(outbox: Outbox, clicks: Clicks) -> None:
    rows = await seqs_of(outbox, visit(), visit("ORDER-2"))
    await outbox.defer([waiting(seq) for seq in rows], NOW)
    told = await asyncio.gather(*(clicks.capture([captured(f"{number:032}")]) for number in range(4)))
    assert sum(sum(one.values()) for one in told) == 2


async def test_thousands_of_rows_of_one_visitor_are_all_woken(outbox: Outbox, clicks: Clicks) -> None:
    rows = await seqs_of(outbox, *[visit(f"ORDER-{number}") for number in range(2_500)])
    await outbox.defer([skipped(seq) for seq in rows], NOW)
    assert await clicks.capture([captured()]) == {"main": 2_500}
    assert await outbox.counts() == Counts(pending=2_500)


async def test_row_that_waited_for_a_click_is_known_by_its_visitor(outbox: Outbox, clicks: Clicks) -> None:
    await put(outbox, visit())
    (same,) = await put(outbox, visit())
    assert isinstance(same, Replayed)
    (other,) = await put(outbox, visit(visitor_id="v-2"))
    assert not isinstance(other, Replayed)


# --- forgotten -------------------------------------------------------------------------------------------------------


async def pruned(clicks: Clicks, before: UnixSeconds, limit: int = 500) -> None:
    after: int | None = 0
    while after is not None:
        after = await clicks.prune(before, after, limit)


async def test_clicks_are_forgotten_by_the_time_they_happened(outbox: Outbox, clicks: Clicks) -> None:
    ages = (9_000, 8_000, 7_000)
    await clicks.capture([captured(f"{ago:032}", ago, at=later(-ago * 1_000)) for ago in ages])
    await pruned(clicks, UnixSeconds(seconds(NOW) - 8_000), limit=1)
    await put(outbox, visit())
    assert await seen_of(outbox, clicks) == [f"{7_000:032}"]
    await pruned(clicks, UnixSeconds(seconds(NOW) - 6_999))
    assert await seen_of(outbox, clicks) == [None]


async def test_click_that_was_received_weeks_late_is_forgotten_with_those_of_its_age(
    outbox: Outbox, clicks: Clicks
) -> None:
    await clicks.capture([captured("1" * 32, 89 * 86_400), captured("2" * 32, 7_200)])
    await put(outbox, visit(time=UnixSeconds(seconds(NOW) - 80 * 86_400)), visit("ORDER-2"))
    assert await seen_of(outbox, clicks) == ["1" * 32, "2" * 32]
    await pruned(clicks, first_of_day(88))
    assert await seen_of(outbox, clicks) == [None, "2" * 32]


async def test_all_clicks_that_were_received_late_are_forgotten_in_one_walk(outbox: Outbox, clicks: Clicks) -> None:
    await clicks.capture([captured(f"{number:032}", 89 * 86_400) for number in range(20)])
    steps, after = 0, 0
    while (after_next := await clicks.prune(first_of_day(88), after, 5)) is not None:
        steps, after = steps + 1, after_next
    assert steps == 4
    await put(outbox, visit(time=first_of_day(80)))
    assert await seen_of(outbox, clicks) == [None]


async def test_young_clicks_end_the_walk(outbox: Outbox, clicks: Clicks) -> None:
    await clicks.capture([captured(f"{number:032}") for number in range(10)])
    assert await clicks.prune(first_of_day(1), 0, 5) is None
    assert await clicks.prune(UnixSeconds(seconds(NOW) + 1), 0, 5) == 5


async def test_orders_without_visitors_know_nothing_of_clicks(outbox: Outbox, clicks: Clicks) -> None:
    await clicks.capture([captured()])
    await put(outbox, *orders(2))
    assert await clicks.seen(await due(outbox)) == {}


# --- A conversion before its click ------------------------------------------------------------------------------------


BEFORE = {
    "own click": (visit(msclkid=CLICK), MOMENT + 1),
    "own click at the same second": (visit(msclkid=CLICK, time=UnixSeconds(MOMENT + 1)), None),
    "own click before": (visit(msclkid=CLICK, time=UnixSeconds(MOMENT + 2)), None),
    "another click of its own": (visit(msclkid="1" * 32), None),
    "first click of the visitor": (visit(), MOMENT + 1),
    "a click of the visitor before": (visit(visitor_id="v-2"), None),
    "unknown visitor": (visit(visitor_id="v-3", msclkid=CLICK), None),
    "no visitor": (conversion(), None),
    "no time of its own": (visit(msclkid=CLICK, time_given=False), None),
    "another account": (visit(msclkid=CLICK, account="other"), None),
}


@pytest.mark.parametrize(("given", "late"), BEFORE.values(), ids=BEFORE)
async def test_conversion_before_its_own_click_is_reported_when_it_is_stored(
    outbox: Outbox, clicks: Clicks, given: Conversion, late: int | None
) -> None:
    earlier, after = captured(OTHER, ago=7_200, visitor_id="v-2"), 3_599
    both = [captured(ago=after), captured(OTHER, ago=after - 60), earlier, captured(ago=after, visitor_id="v-2")]
    await clicks.capture(both)
    results = await put(outbox, conversion("FIRST"), given, conversion("LAST"))
    assert [isinstance(result, Stored) and result.late_click for result in results] == [None, late, None]


async def test_repeat_of_a_conversion_before_its_click_is_answered_as_any_other(outbox: Outbox, clicks: Clicks) -> None:
    await clicks.capture([captured(ago=0)])
    await put(outbox, visit())
    (again,) = await put(outbox, visit())
    assert isinstance(again, Replayed)


async def pages(clicks: Clicks, limit: int, *accounts: str) -> list[list[tuple[str, str]]]:
    """Account and click id of each click of the visitor v-1, page by page."""
    found, before = [], None
    while True:
        page = await clicks.of_visitor("v-1", accounts, before, limit)
        found.append([(one.click.account, one.click.msclkid) for one in page.clicks])
        before = page.next_seq
        if before is None:
            return found


async def test_clicks_of_a_visitor_are_shown_the_last_click_first_and_page_by_page(clicks: Clicks) -> None:
    first, second, third, fourth = (f"{number:032x}" for number in range(4))
    await clicks.capture([captured(first, ago=100), captured(second, ago=300), captured(third, ago=200, account="us")])
    await clicks.capture([captured(fourth, ago=200), captured(OTHER, visitor_id="v-2"), captured(CLICK, account="eu")])
    of_main = [("main", first), ("main", fourth), ("main", second)]
    assert await pages(clicks, 10, "main") == [of_main]
    assert await pages(clicks, 1, "main") == [[one] for one in of_main]
    both = [("main", first), ("main", fourth), ("us", third), ("main", second)]
    assert await pages(clicks, 3, "main", "us") == [both[:3], both[3:]]
    assert await pages(clicks, 4, "main", "us") == [both]
    assert await pages(clicks, 4, "nobody") == [[]]


async def test_click_that_was_captured_at_the_very_limit_is_the_first_that_is_too_young(clicks: Clicks) -> None:
    await clicks.capture([captured(ago=10, at=NOW)])
    assert await clicks.prune(seconds(NOW), 0, 10) is None
    assert await pages(clicks, 10, "main") == [[("main", CLICK)]]


async def test_page_that_starts_at_a_forgotten_click_is_the_end(clicks: Clicks) -> None:
    await clicks.capture([captured(CLICK, ago=100), captured(OTHER, ago=200)])
    page = await clicks.of_visitor("v-1", ("main",), None, 1)
    assert page.next_seq is not None
    await clicks.prune(UnixSeconds(seconds(NOW) + 1), 0, 10)
    assert (await clicks.of_visitor("v-1", ("main",), page.next_seq, 1)).clicks == ()


async def test_visitors_with_one_hash_keep_no_row_of_each_other_waiting(
    house: House, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The id itself is compared wherever a visitor's click is looked for."""
    house.give_all_visitors_one_hash(monkeypatch)
    visitor = {"msclkid": None, "email_sha256": "a" * 64}
    first, second = await seqs_of(
        outbox, conversion("A", visitor_id="v-1", **visitor), conversion("B", visitor_id="v-1", **visitor)
    )
    theirs = Click(account="main", visitor_id="v-2", msclkid=CLICK, clicked_at=UnixSeconds(seconds(NOW) - 3_700))
    await house.clicks.capture([Captured(theirs, NOW)])
    entries = await due(outbox)
    assert await house.clicks.seen(entries) == {}
    assert set(await outbox.defer([Deferral(first, Skip(Reason.NO_CLICK))], NOW)) == {first}
    taken = await claim(outbox, [entry for entry in entries if entry.seq == second])
    assert taken is not None


async def test_visitor_whose_hash_another_shares_finds_and_is_woken_by_clicks_of_its_own(
    house: House, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.give_all_visitors_one_hash(monkeypatch)
    (seq,) = await seqs_of(outbox, visit())
    await outbox.defer([waiting(seq)], NOW)
    assert await house.clicks.capture([captured(OTHER, 3_700, "v-2")]) == {}
    assert await house.clicks.capture([captured(CLICK, 7_200)]) == {"main": 1}
    assert await seen_of(outbox, house.clicks) == [CLICK]


async def test_row_with_its_own_click_is_deferred_even_if_its_visitor_clicked_since(
    outbox: Outbox, clicks: Clicks
) -> None:
    """It goes with its own one: a later one changes nothing."""
    await clicks.capture([captured(CLICK, 7_200), captured(OTHER, 5_000)])
    (seq,) = await seqs_of(outbox, visit(msclkid=CLICK))
    settling = Deferral(seq, WaitForClick(Reason.CLICK_SETTLING, later(MINUTE)), UnixSeconds(seconds(NOW) - 7_200))
    assert await outbox.defer([settling], NOW) == {seq: State.PENDING}
