"""Conversions find their clicks on the way: the last one before them, the one that comes late, the one that settles."""

from dataclasses import replace
from typing import Any

import pytest
from delivery_kit import DAY, HOUR, MINUTE, SECOND, Rig
from visitor_kit import capture, click_id, clicks_sent, visit

from sidecar.core.instant import UnixSeconds
from sidecar.emulator.goals import all_goals, replace_goal

EMAIL = "ec81f3ac7b2b19675bab9d54cf416f9f18cff87c97da5cca82c0f0891bc40602"


async def change_goal(rig: Rig, **members: Any) -> None:
    """Someone changes the goal of purchases at Microsoft, and it is read again."""
    state = rig.emulator._state()
    (goal,) = [one for one in await state.transact(all_goals) if one.body["Name"] == "Sidecar Purchase"]
    await state.transact(lambda db: replace_goal(db, replace(goal, body=goal.body | members)))
    await rig.parts.catalogue.reader.read("main")


async def reason(rig: Rig, seq: int, wanted: str) -> None:
    await rig.until(lambda: rig.row(seq)["reason"] == wanted)


async def test_conversion_goes_out_with_the_last_click_before_it(rig: Rig) -> None:
    await capture(rig, 1, 3 * DAY)
    await capture(rig, 2, 2 * DAY)
    await capture(rig, 3, 2 * HOUR)
    await visit(rig, ago=DAY)
    await rig.until_pending(0)
    assert await clicks_sent(rig) == [click_id(2)]
    await rig.balance()


async def test_click_of_the_same_visitor_in_another_account_does_not_count(rig: Rig) -> None:
    await capture(rig, 1, 3 * DAY, account="other")
    seq = await visit(rig)
    await reason(rig, seq, "awaiting_click")
    await rig.give_time(0.1)
    assert await rig.requests() == []


async def test_row_waits_for_a_click_and_goes_out_when_it_comes(rig: Rig) -> None:
    seq = await visit(rig, ago=90 * MINUTE)
    await reason(rig, seq, "awaiting_click")
    await capture(rig, 1, 2 * HOUR)
    await rig.until_pending(0)
    assert await clicks_sent(rig) == [click_id(1)]
    await rig.balance()


async def test_row_without_a_click_ends_after_its_wait_and_a_late_click_revives_it(rig: Rig) -> None:
    seq = await visit(rig)
    await reason(rig, seq, "awaiting_click")
    rig.pass_time(HOUR - MINUTE)
    await rig.give_time(0.1)
    assert rig.row(seq)["state"] == "pending"
    rig.pass_time(MINUTE)
    await rig.until_pending(0)
    assert (rig.row(seq)["state"], rig.row(seq)["reason"]) == ("skipped", "no_click")
    await rig.balance()
    await capture(rig, 1, 3 * HOUR)
    await rig.until(lambda: rig.row(seq)["state"] == "delivered")
    assert await clicks_sent(rig) == [click_id(1)]
    await rig.balance()


async def test_row_with_hashes_goes_out_on_them_after_its_wait(rig: Rig) -> None:
    seq = await visit(rig, email_sha256=EMAIL)
    await reason(rig, seq, "awaiting_click")
    rig.pass_time(HOUR)
    await rig.until_pending(0)
    assert await clicks_sent(rig) == [None]
    await capture(rig, 1, 3 * HOUR)
    await rig.give_time(0.1)
    assert await clicks_sent(rig) == [None], "what went out is never sent again"
    await rig.balance()


async def test_hashes_are_of_no_use_where_the_goal_is_not_enhanced(rig: Rig) -> None:
    await change_goal(rig, IsEnhancedConversionsEnabled=False)
    alone = await visit(rig, visitor_id=None, email_sha256=EMAIL)
    await rig.until(lambda: rig.row(alone)["state"] == "skipped")
    assert rig.row(alone)["reason"] == "goal_not_enhanced"
    await rig.balance()


async def test_click_outside_the_window_is_not_sent(rig: Rig) -> None:
    await change_goal(rig, ConversionWindowInMinutes=7 * 24 * 60)
    await capture(rig, 1, 8 * DAY)
    ended = await visit(rig)
    hashed = await visit(rig, email_sha256=EMAIL)
    await rig.until_pending(0)
    assert (rig.row(ended)["state"], rig.row(ended)["reason"]) == ("skipped", "outside_window")
    assert rig.row(hashed)["state"] == "delivered"
    assert await clicks_sent(rig) == [None]
    await capture(rig, 2, 2 * HOUR)
    await rig.give_time(0.1)
    await visit(rig)
    await rig.until_pending(0)
    assert rig.row(ended)["state"] == "delivered", "a later click inside the window revives the row"


async def test_click_settles_for_an_hour_before_its_conversion_goes_out(rig: Rig) -> None:
    await capture(rig, 1, 30 * MINUTE)
    seq = await visit(rig)
    await reason(rig, seq, "click_settling")
    rig.pass_time(29 * MINUTE)
    await rig.give_time(0.1)
    assert await rig.requests() == []
    rig.pass_time(MINUTE)
    await rig.until_pending(0)
    assert await clicks_sent(rig) == [click_id(1)]
    await rig.balance()


async def test_what_was_sent_keeps_its_click_when_a_better_one_comes_in(rig: Rig) -> None:
    """Decided when the row is claimed, then frozen: the same bytes go again."""
    await capture(rig, 1, 3 * DAY)
    rig.fault(type="reset_after")
    await visit(rig)
    await rig.until(lambda: rig.count("maybe_sent = 1") == 1)
    await capture(rig, 2, 2 * HOUR)
    await rig.hurry()
    assert await clicks_sent(rig) == [click_id(1)]
    assert len({request["body_sha256"] for request in await rig.requests()}) == 1
    await rig.balance()


async def test_row_that_microsoft_did_not_take_may_find_a_better_click(rig: Rig) -> None:
    await capture(rig, 1, 3 * DAY)
    rig.fault(type="partial_errors", symbol="SomethingNew", code=5699, indexes=[0])
    seq = await visit(rig)
    await rig.until(lambda: rig.row(seq)["retries"] == 1)
    await capture(rig, 2, 2 * HOUR)
    rig.pass_time(MINUTE)
    await rig.until_pending(0)
    assert await clicks_sent(rig) == [click_id(2)]
    await rig.balance()


async def test_rows_that_wait_make_room_for_those_that_may_go(rig: Rig) -> None:
    """A thousand visitors without a click must not keep a full batch of others from going out."""
    rig.configure(batch_size=50, linger=300)
    for number in range(120):
        await visit(rig, visitor_id=f"nobody-{number}")
    await rig.post(50)
    await rig.until(lambda: rig.count("state = 'delivered'") == 50)
    assert rig.count("reason = 'awaiting_click'") == 120
    assert [request["rows"] for request in await rig.requests()] == [50]
    await rig.balance()


async def test_backlog_without_clicks_does_not_keep_another_goal_waiting(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.configure(batch_size=50, linger=0)
    rig.parts.gates.pause("main", rig.clock())
    for number in range(1_000):
        await visit(rig, visitor_id=f"nobody-{number}")
    (lead,) = await rig.post(1, event="lead")
    claim, left = rig.parts.store.outbox.claim, []

    async def noted(*given: Any) -> Any:
        left.append(rig.count("reason IS NULL AND state = 'pending'"))
        return await claim(*given)

    monkeypatch.setattr(rig.parts.store.outbox, "claim", noted)
    rig.parts.gates.resume("main")
    await rig.until(lambda: rig.row(lead)["state"] == "delivered")
    assert left[0] > 0, "a part of the backlog has not been looked at yet"
    await rig.until(lambda: rig.count("reason = 'awaiting_click'") == 1_000)


async def test_two_purchases_of_one_click_in_one_second_both_count(rig: Rig) -> None:
    await capture(rig, 1, 3 * HOUR)
    time = UnixSeconds(rig.clock() // SECOND - 60)
    await rig.post(2, msclkid=None, visitor_id="v-1", time=time)
    await rig.until_pending(0)
    assert await clicks_sent(rig) == [click_id(1)] * 2
    await rig.balance()


async def test_clicks_are_forgotten_after_ninety_days(rig: Rig) -> None:
    await capture(rig, 1, 90 * DAY - MINUTE)
    rig.pass_time(MINUTE + SECOND)
    await rig.parts.housekeeping.prune()
    assert rig.rows_of("clicks") == []
    seq = await visit(rig)
    await reason(rig, seq, "awaiting_click")
