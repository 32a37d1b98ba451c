"""Goals that cannot take, accounts and goals that are slow: none holds up another.

What Microsoft's answers say of goals is tested without the catalogue, which would hold them before anything is sent.
"""

from collections.abc import Sequence
from typing import Any

import pytest
from delivery_kit import DAY, GOALS, HOUR, MINUTE, Rig
from visitor_kit import visit

from sidecar.core.entry import Lane
from sidecar.core.instant import UnixMillis, seconds
from sidecar.core.states_and_reasons import Reason
from sidecar.core.waiting_summary import Waiting
from sidecar.emulator.goal_rules import DEFAULTS
from sidecar.emulator.goals import insert_goal
from sidecar.microsoft.platform import MicrosoftAdvertising
from sidecar.ports.intake import Arrival


async def make_goal(rig: Rig, name: str, age: int = DAY) -> None:
    """Someone creates the goal at Microsoft."""
    body = DEFAULTS | {"GoalCategory": "Other", "Name": name, "IsEnhancedConversionsEnabled": True}
    await rig.emulator._state().transact(lambda db: insert_goal(db, "", "", body, rig.clock() - age))


@pytest.fixture
async def blind(rig: Rig) -> None:
    """The rig knows of goals only what Microsoft answers."""
    await rig.crash()
    rig.reads_goals = False
    await rig.start()


async def held(rig: Rig, goal: str, reason: str) -> None:
    await rig.until(lambda: rig.parts.gates.held("main", goal) == reason)
    await rig.until(lambda: not rig.rows("claimed = 1"))


async def hold_leads(rig: Rig, goal: str) -> None:
    """Ten leads wait for a goal that Microsoft does not have."""
    rig.map(lead=goal)
    await rig.post(10, event="lead")
    await held(rig, goal, "goal_not_found")


@pytest.mark.usefixtures("blind")
async def test_mapping_that_changes_while_rows_are_counted_leaves_no_trouble(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = rig.parts.store.outbox
    count, counted = outbox.waiting, []

    async def count_after_a_change(lanes: Sequence[Lane]) -> Waiting:
        counted.append(lanes)
        rig.map(lead=GOALS["lead"])
        return await count(lanes)

    monkeypatch.setattr(outbox, "waiting", count_after_a_change)
    rig.map(lead="Newsletter")
    await rig.post(10, event="lead")
    await rig.until_pending(0)
    assert counted
    assert "goal_not_found" not in await rig.troubles()


@pytest.mark.usefixtures("blind")
async def test_goal_that_opens_while_rows_are_counted_leaves_no_trouble(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = rig.parts.store.outbox
    count, opened = outbox.waiting, []

    async def count_after_another_answer(lanes: Sequence[Lane]) -> Waiting:
        opened.append(rig.parts.gates.open_goal("main", "Newsletter"))
        return await count(lanes)

    monkeypatch.setattr(outbox, "waiting", count_after_another_answer)
    rig.map(lead="Newsletter")
    rig.fault(match={"goal": "Newsletter"}, type="partial_errors", code=5606)
    await make_goal(rig, "Newsletter")
    await rig.post(10, event="lead")
    await rig.until_pending(0)
    assert opened == [True]
    assert "goal_not_found" not in await rig.troubles()


@pytest.mark.usefixtures("blind")
async def test_missing_goal_holds_its_own_rows_only_and_is_probed_with_one_row(rig: Rig) -> None:
    """A 5606 closes that goal's lane and probes it with one row every 15 minutes."""
    await hold_leads(rig, "Newsletter")
    await rig.until(lambda: "goal_not_found" in rig.active_troubles())
    await rig.post(5)
    await rig.until_pending(10)
    for _ in range(2):
        before = len(await rig.requests())
        rig.pass_time(14 * MINUTE)
        await rig.give_time(0.1)
        assert len(await rig.requests()) == before
        rig.pass_time(MINUTE + 1)
        await rig.until_requests(before + 1)
        await rig.until(lambda: rig.under_way() == 0)  # the goal is closed again once the answer is on disk
        await rig.give_time(0.1)
        assert [request["rows"] for request in (await rig.requests())[before:]] == [1]
    assert {row["retries"] for row in rig.rows()} == {0}
    assert {row["goal"] for row in rig.rows("state = 'pending'")} == {None}
    await make_goal(rig, "Newsletter")
    rig.pass_time(15 * MINUTE)
    await rig.until_pending(0)
    await rig.until(lambda: rig.active_troubles() == set())
    await rig.balance()


@pytest.mark.usefixtures("blind")
@pytest.mark.parametrize("waits_for_permit", [False, True])
async def test_probe_of_a_closed_goal_is_one_row_also_where_the_first_one_waits_for_a_click(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, waits_for_permit: bool
) -> None:
    """Many are read for the one that may go, also where others arrive while the permit is waited for."""
    permit = MicrosoftAdvertising.permit

    async def wait_long(platform: MicrosoftAdvertising, account: str) -> None:
        await permit(platform, account)
        at = UnixMillis(rig.clock() - 45 * MINUTE)
        another = rig.order(event="lead", msclkid=None, visitor_id="v-2", time=seconds(at))
        await rig.put([Arrival(another, at, "request-1")])

    rig.map(lead="Newsletter")
    await rig.post(1, event="lead")
    await held(rig, "Newsletter", "goal_not_found")
    if waits_for_permit:
        monkeypatch.setattr(MicrosoftAdvertising, "permit", wait_long)
    await visit(rig, event="lead")
    await rig.post(10, event="lead")
    for probes in (2, 3):  # the first one finds the row that was refused, the second one the visitor's
        rig.pass_time(15 * MINUTE + 1)
        await rig.until_requests(probes)
        await rig.until(lambda: rig.under_way() == 0)
        await rig.give_time(0.1)
    assert [request["rows"] for request in await rig.requests()] == [1, 1, 1]
    assert rig.count("reason = 'awaiting_click'") >= 1


@pytest.mark.usefixtures("blind")
async def test_goal_that_closes_between_a_full_batch_and_its_permit_is_probed_with_one_row(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.configure(batch_size=5, linger=1)
    permit, closed = MicrosoftAdvertising.permit, list[str]()

    async def close_first(platform: MicrosoftAdvertising, account: str) -> None:
        if not closed:
            rig.parts.gates.close_goal("main", "Sidecar Purchase", Reason.GOAL_NOT_FOUND, rig.clock())
            rig.parts.gates.retry_now()
            closed.append(account)
        await permit(platform, account)

    monkeypatch.setattr(MicrosoftAdvertising, "permit", close_first)
    await rig.post(5)
    await rig.hurry()
    assert [request["rows"] for request in await rig.requests()] == [1, 4]
    await rig.balance()


@pytest.mark.usefixtures("blind")
async def test_reload_probes_a_missing_goal_at_once(rig: Rig) -> None:
    await hold_leads(rig, "Newsletter")
    await make_goal(rig, "Newsletter")
    rig.parts.gates.retry_now()
    await rig.until_pending(0)
    await rig.balance()


@pytest.mark.usefixtures("blind")
async def test_corrected_mapping_applies_to_refused_and_waiting_rows(rig: Rig) -> None:
    await hold_leads(rig, "Misspelled")
    await rig.post(5, event="lead")
    rig.map(lead="Sidecar Lead")
    await rig.until_pending(0)
    assert {row["goal"] for row in rig.rows()} == {"Sidecar Lead"}
    await rig.balance()


@pytest.mark.usefixtures("blind")
async def test_reload_between_a_full_batch_and_its_permit_sends_each_row_to_its_goal_of_now(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was found before the permit came is read again, since one of its lanes went to another goal."""
    rig.map(lead="Sidecar Purchase")
    rig.configure(batch_size=5, linger=1)
    permit, reloads = MicrosoftAdvertising.permit, 0

    async def reload_first(platform: MicrosoftAdvertising, account: str) -> None:
        nonlocal reloads
        if not reloads:
            rig.remap(lead="Sidecar Lead")
            reloads += 1
        await permit(platform, account)

    monkeypatch.setattr(MicrosoftAdvertising, "permit", reload_first)
    await rig.put(
        [Arrival(rig.order(event=event), rig.clock(), "request-1") for event in ["purchase"] * 3 + ["lead"] * 2]
    )
    await rig.hurry()
    assert reloads == 1
    assert [row["goal"] for row in rig.rows()] == ["Sidecar Purchase"] * 3 + ["Sidecar Lead"] * 2
    assert await rig.journal("loop_failed") == []
    await rig.balance()


@pytest.mark.usefixtures("blind")
async def test_row_that_may_have_been_sent_keeps_its_goal_without_a_tight_loop(rig: Rig) -> None:
    """Sending it under another name could count it twice."""
    rig.map(lead="Misspelled")
    await rig.post_unanswered(3, event="lead")
    rig.pass_time(1_000)
    await held(rig, "Misspelled", "goal_not_found")
    rig.map(lead="Sidecar Lead")
    sent = len(await rig.requests())
    await rig.post(3, event="lead")
    await rig.until_pending(3)
    rig.pass_time(MINUTE)
    await rig.until_requests(sent + 2)
    await rig.until(lambda: rig.under_way() == 0)
    await rig.give_time(0.3)
    assert len(await rig.requests()) == sent + 2
    for minutes in (2, 4):  # it asks less and less often
        rig.pass_time((minutes * MINUTE * 3) // 4 - 1)
        await rig.give_time(0.1)
        assert len(await rig.requests()) == sent + minutes // 2 + 1
        rig.pass_time(minutes * MINUTE)
        await rig.until_requests(sent + minutes // 2 + 2)
        await rig.until(lambda: rig.under_way() == 0)
    await make_goal(rig, "Misspelled")
    rig.pass_time(8 * MINUTE)
    await rig.until_pending(0)
    assert [row["goal"] for row in rig.rows()] == ["Misspelled"] * 3 + ["Sidecar Lead"] * 3
    await rig.balance()


@pytest.mark.usefixtures("blind")
async def test_answer_about_a_goal_that_nothing_names_any_more_leaves_no_trouble(rig: Rig) -> None:
    """The reload came while the request was on its way, and its rows go to another goal by now."""
    rig.map(lead="Misspelled")
    under_way = rig.hold()
    await rig.post(3, event="lead")
    await rig.until(lambda: under_way.fired)
    rig.map(lead="Sidecar Lead")
    rig.clear_faults()
    await rig.until_pending(0)
    assert [request["answer"] for request in await rig.requests()] == ["partial", "ok"]
    assert await rig.troubles() == set()
    assert rig.parts.gates.refusal_reason("main", "Misspelled") is None
    await rig.balance()


@pytest.mark.usefixtures("blind")
async def test_rows_that_keep_a_goal_which_nothing_names_any_more_are_no_silent_rows(rig: Rig) -> None:
    rig.map(lead="Misspelled")
    await rig.post_unanswered(3, event="lead")
    rig.map(lead="Sidecar Lead")
    rig.pass_time(2_000)
    await held(rig, "Misspelled", "goal_not_found")
    await rig.until(lambda: "goal_not_found" in rig.active_troubles())
    (standing,) = rig.parts.telemetry.board.active("goal_not_found")
    assert (standing.account, standing.subject) == ("main", "Misspelled")


@pytest.mark.usefixtures("blind")
async def test_young_goal_settles(rig: Rig) -> None:
    """5615 waits likewise."""
    await make_goal(rig, "Newsletter", age=HOUR)
    rig.map(lead="Newsletter")
    await rig.post(10, event="lead")
    await held(rig, "Newsletter", "goal_settling")
    await rig.post(5)
    await rig.until_pending(10)
    rig.pass_time(HOUR)
    await rig.until_pending(0)
    await rig.until(lambda: rig.active_troubles() == set())
    await rig.balance()


@pytest.mark.usefixtures("blind")
async def test_goal_that_appears_but_is_young_changes_its_trouble(rig: Rig) -> None:
    rig.map(lead="Newsletter")
    await rig.post(1, event="lead")
    await held(rig, "Newsletter", "goal_not_found")
    await make_goal(rig, "Newsletter", age=0)
    rig.pass_time(15 * MINUTE)
    await held(rig, "Newsletter", "goal_settling")
    await rig.until(lambda: rig.active_troubles() == {"goal_settling"})


# --- slow and broken -------------------------------------------------------------------------------------------------


async def test_hanging_account_does_not_delay_another(rig: Rig) -> None:
    rig.configure(request_timeout=60.0)
    rig.fault(times=None, match={"account": "200000001"}, type="hang")
    await rig.post(5)
    await rig.until_requests(1)
    for _ in range(3):
        await rig.post(5, account="other")
        await rig.until_pending(5)
    rig.clear_faults()
    await rig.crash()
    await rig.start()
    await rig.until_pending(0)
    await rig.balance()


@pytest.mark.parametrize("fault", [{"type": "status", "status": 500}, {"type": "reset_before"}])
async def test_broken_goal_does_not_hold_up_another(rig: Rig, fault: dict[str, Any]) -> None:
    rig.fault(times=None, match={"goal": "Sidecar Lead"}, **fault)
    await rig.post(20, event="lead")
    await rig.until_requests(1)
    for _ in range(4):
        await rig.post(5, event="lead")
        await rig.post(20)
        await rig.hurry((await rig.parts.store.outbox.counts()).pending - 20, step=100)
    assert len(rig.rows("state = 'delivered' AND event = 'purchase'")) == 80
    rig.clear_faults()
    await rig.hurry(step=2_000)
    await rig.balance()


async def test_hanging_goal_leaves_room_for_another(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even when it had all the room before it began to hang."""
    rig.configure(request_timeout=60.0, batch_size=2, linger=0)
    await rig.post(40, event="lead")
    await rig.until_pending(0)
    rig.fault(times=None, match={"goal": "Sidecar Lead"}, type="hang")
    await rig.post(40, event="lead")
    await rig.until_requests(20 + 7)
    monkeypatch.setattr("sidecar.core.in_flight.PATIENCE_SECONDS", 0.3)
    await rig.post(10)
    await rig.until_pending(40)
    rig.clear_faults()
    await rig.crash()
    await rig.start()
    await rig.hurry()
    await rig.balance()


async def test_account_that_leaves_between_permit_and_upload_sends_nothing_and_is_no_fault_of_ours(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts, taken = rig.config.accounts, rig.parts.store.outbox.claim

    async def leaving(*given: Any) -> Any:
        claim = await taken(*given)
        rest = {name: account for name, account in accounts.items() if name != "other"}
        rig._take_up(rig.config.model_copy(update={"accounts": rest}))
        return claim

    monkeypatch.setattr(rig.parts.store.outbox, "claim", leaving)
    await rig.post(5, account="other")
    await rig.until(lambda: rig.count("attempt = 1 AND claimed = 1") == 5 and rig.under_way() == 0)
    assert await rig.requests(account="other") == []
    assert await rig.journal("loop_failed") == []
    assert rig.count("maybe_sent = 1") == 0
    rig._take_up(rig.config.model_copy(update={"accounts": accounts}))
    rig.wake_couriers()
    await rig.until_pending(0)
    await rig.balance()


async def test_rows_of_an_account_that_left_the_configuration_are_not_touched(rig: Rig) -> None:
    accounts = {name: account for name, account in rig.config.accounts.items() if name != "other"}
    rig._take_up(rig.config.model_copy(update={"accounts": accounts}))
    await rig.post(5, account="other")
    await rig.post(5)
    await rig.until_pending(5)
    await rig.give_time(0.2)
    assert {row["attempt"] for row in rig.rows("account = 'other'")} == {0}
    assert await rig.journal("loop_failed") == []
