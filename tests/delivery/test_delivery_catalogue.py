"""The catalogue of goals keeps back what Microsoft would refuse or drop, and lets it go by itself."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from catalogue_kit import (
    ADD,
    QUERY,
    all_read,
    change_goal,
    held,
    make_goal,
    queries,
    read,
    set_auto_tagging,
    trouble_message,
)
from delivery_kit import HOUR, MINUTE, SECOND, Rig

from sidecar.api.row_json import HeldReason
from sidecar.core.attribution import GoalTraits
from sidecar.core.entry import Lane
from sidecar.core.goals.creation import NotCreated
from sidecar.core.goals.plan import Blocked, Plan
from sidecar.core.waiting_summary import Waiting
from sidecar.goals.creating import Applied, Planned
from sidecar.goals.known import Failure
from sidecar.service.held_reason import held_reason

# --- Holding and letting go ------------------------------------------------------------------------------------------


async def test_first_conversion_of_goals_that_were_there_goes_out_at_once(rig: Rig) -> None:
    await rig.post(3)
    await rig.until_pending(0)
    assert rig.active_troubles() == set()
    await rig.balance()


async def test_missing_goal_holds_its_rows_without_sending_any(rig: Rig) -> None:
    rig.map(lead="Sidecar Leads")
    await rig.post(3, event="lead")
    await rig.post(2)
    await rig.until_pending(3)
    await held(rig, "Sidecar Leads", "goal_not_found")
    rig.pass_time(16 * MINUTE)
    await rig.until(lambda: "3 rows wait" in trouble_message(rig, "goal_not_found"))
    assert "did you mean Sidecar Lead?" in trouble_message(rig, "goal_not_found")
    assert "the first expires at " in trouble_message(rig, "goal_not_found")
    assert {request["rows"] for request in await rig.requests()} == {2}
    assert {row["attempt"] for row in rig.rows("state = 'pending'")} == {0}
    rig.map(lead="Sidecar Lead")
    await rig.until_pending(0)
    await rig.until(lambda: rig.active_troubles() == set())
    await rig.balance()


async def test_goal_that_appears_settles_first_and_then_takes_everything(rig: Rig) -> None:
    rig.map(lead="Newsletter")
    await rig.post(3, event="lead")
    await held(rig, "Newsletter", "goal_not_found")
    await make_goal(rig, "Newsletter")
    await read(rig)
    await held(rig, "Newsletter", "goal_settling")
    assert rig.active_troubles() == {"goal_settling"}
    rig.pass_time(2 * HOUR - MINUTE)
    await rig.give_time(0.1)
    assert await rig.requests() == []
    rig.pass_time(MINUTE)
    await rig.until_pending(0)
    await rig.until(lambda: rig.active_troubles() == set())
    await rig.balance()


async def test_settling_outlives_a_restart(rig: Rig) -> None:
    rig.map(lead="Newsletter")
    await read(rig)
    await make_goal(rig, "Newsletter")
    await read(rig)
    await rig.crash()
    await rig.start()
    await rig.post(1, event="lead")
    await held(rig, "Newsletter", "goal_settling")
    await rig.give_time(0.1)
    assert await rig.requests() == []
    rig.pass_time(2 * HOUR)
    await rig.until_pending(0)


async def test_paused_goal_holds_its_rows_until_it_is_active_again(rig: Rig) -> None:
    await change_goal(rig, "Sidecar Lead", Status="Paused")
    await read(rig)
    await rig.post(2, event="lead")
    await rig.post(1)
    await rig.until_pending(2)
    await held(rig, "Sidecar Lead", "goal_paused")
    assert rig.active_troubles() == {"goal_paused"}
    await change_goal(rig, "Sidecar Lead", Status="Active")
    rig.pass_time(15 * MINUTE)
    await rig.until_pending(0)
    await rig.until(lambda: rig.active_troubles() == set())
    await rig.balance()


async def test_goal_of_another_type_holds_its_rows_and_says_so(rig: Rig) -> None:
    await make_goal(rig, "Newsletter", Type="Url")
    rig.map(lead="Newsletter")
    await rig.post(1, event="lead")
    await rig.until(lambda: "goal_wrong_type" in rig.active_troubles())
    assert "its type is Url" in trouble_message(rig, "goal_wrong_type")
    [row] = await rig.post(1, event="lead")
    record = await rig.parts.store.outbox.get(row)
    assert record is not None
    assert held_reason(rig.parts, record, rig.clock()) == HeldReason("goal_not_found", "goal_wrong_type")
    assert await rig.requests() == []


async def test_goal_that_takes_no_hashes_is_reported_and_holds_no_row(rig: Rig) -> None:
    await change_goal(rig, "Sidecar Lead", IsEnhancedConversionsEnabled=False)
    await read(rig)
    await rig.post(1, event="lead")
    await rig.until_pending(0)
    assert rig.active_troubles() == {"goal_not_enhanced"}
    assert rig.parts.catalogue.known.traits("main", "Sidecar Lead").enhanced is False


async def test_auto_tagging_that_is_off_is_reported(rig: Rig) -> None:
    await set_auto_tagging(rig, "False")
    await read(rig)
    assert rig.active_troubles() == {"auto_tagging_off"}
    await rig.post(1)
    await rig.until_pending(0)
    assert rig.active_troubles() == {"auto_tagging_off"}
    await set_auto_tagging(rig, "true")
    await read(rig)
    assert rig.active_troubles() == set()


async def test_traits_are_those_of_the_goal_and_unknown_while_nothing_was_read(rig: Rig) -> None:
    await rig.until(lambda: rig.parts.catalogue.known.account_goals("main").catalogue)
    assert rig.parts.catalogue.known.traits("main", "Sidecar Lead") == GoalTraits(90 * 86_400, True)
    assert rig.parts.catalogue.known.traits("main", "Nothing") == GoalTraits()
    assert rig.parts.catalogue.known.traits("nobody", "Sidecar Lead") == GoalTraits()


# --- Together with what Microsoft answers ----------------------------------------------------------------------------


async def test_refusal_between_two_readings_closes_the_goal_and_the_next_reading_tells_more(rig: Rig) -> None:
    await rig.until(lambda: rig.parts.catalogue.known.account_goals("main").catalogue)
    await change_goal(rig, "Sidecar Lead", Status="Paused")
    await rig.post(2, event="lead")
    await held(rig, "Sidecar Lead", "goal_not_found")
    await rig.until(lambda: rig.active_troubles() == {"goal_not_found"})
    await read(rig)
    assert rig.parts.gates.held("main", "Sidecar Lead") == "goal_paused"
    assert rig.active_troubles() == {"goal_paused"}
    await change_goal(rig, "Sidecar Lead", Status="Active")
    await read(rig)
    await rig.until_pending(0)
    await rig.balance()


async def test_goal_that_is_too_young_for_microsoft_alone_is_probed(rig: Rig) -> None:
    """It was there at the first reading, so that it counts as old; Microsoft knows better."""
    await rig.crash()
    await make_goal(rig, "Newsletter", age=HOUR)
    rig.place.clear()
    rig.remap(lead="Newsletter")
    await rig.start()
    await rig.post(3, event="lead")
    await held(rig, "Newsletter", "goal_settling")
    await rig.until(lambda: rig.active_troubles() == {"goal_settling"})
    await read(rig)
    assert rig.active_troubles() == {"goal_settling"}
    assert rig.parts.gates.held("main", "Newsletter") == "goal_settling"
    rig.pass_time(HOUR)
    await rig.until_pending(0)
    await rig.until(lambda: rig.active_troubles() == set())


async def test_goal_that_an_answer_closed_reads_as_closed_while_its_rows_wait(rig: Rig) -> None:
    """Microsoft lists the goal, and knows it not when conversions come for it."""
    known = rig.parts.catalogue.known
    await rig.until(lambda: known.account_goals("main").catalogue)
    rig.fault(times=None, type="partial_errors", code=5606)
    await rig.post(11)
    await rig.until(lambda: rig.parts.gates.held("main", "Sidecar Purchase") == "goal_not_found")
    [(_, closed), _] = known.account_goals("main").events.values()
    assert (closed.state, closed.is_answered) == ("goal_not_found", True)
    assert known.mapped_event("main", "purchase") == closed
    assert known.mapped_goal("main", "Sidecar Purchase") == closed
    assert state_of(rig, "lead") == "ok"
    assert known.mapped_event("gone", "lead") is None
    assert known.mapped_goal("gone", "Sidecar Purchase") is None
    rig.clear_faults()
    rig.pass_time(15 * MINUTE)
    await rig.until_pending(0)
    await rig.until(lambda: state_of(rig, "purchase") == "ok")
    await rig.balance()


def state_of(rig: Rig, event: str) -> str | None:
    """How the event's goal stands for conversions that come in now."""
    mapped = rig.parts.catalogue.known.mapped_event("main", event)
    return mapped.state if mapped else None


async def test_report_that_was_overtaken_by_a_reading_clears_nothing_of_what_that_found(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counted the rows of another goal meanwhile."""
    rig.map(lead="Missing")
    await rig.until(lambda: "goal_not_found" in rig.active_troubles())
    await all_read(rig)
    outbox, reporting = rig.parts.store.outbox, rig.parts.catalogue.known.states["main"].reporting
    count, readings = outbox.at_stake, list[asyncio.Task[None]]()

    async def count_beside_a_reading(lanes: Sequence[Lane]) -> Waiting:
        if not readings:
            await change_goal(rig, "Sidecar Purchase", Status="Paused")
            await set_auto_tagging(rig, "False")
            readings.append(asyncio.create_task(read(rig)))
            await rig.until(lambda: readings[0].done() or reporting._waiters)  # type: ignore[attr-defined]
        return await count(lanes)

    monkeypatch.setattr(outbox, "at_stake", count_beside_a_reading)
    await rig.parts.catalogue.judge.report("main")
    await readings[0]
    assert rig.active_troubles() == {"goal_not_found", "goal_paused", "auto_tagging_off"}


# --- Readings --------------------------------------------------------------------------------------------------------


async def test_nothing_is_sent_before_the_first_reading_has_ended(rig: Rig) -> None:
    await rig.crash()
    rig.hold(match={"operation": QUERY})
    await rig.start()
    await rig.post(2)
    await rig.give_time(0.3)
    assert await rig.requests() == []
    rig.clear_faults()
    await rig.until(lambda: rig.parts.catalogue.known.account_goals("main").catalogue)
    assert rig.parts.gates.held("main", "Sidecar Purchase") is None
    await rig.until_pending(0)


@pytest.mark.parametrize(
    "fault",
    [
        {"type": "status", "status": 500},
        {"type": "reset_before"},
        {"type": "malformed"},
        {"type": "fault", "code": 106},
    ],
    ids=str,
)
async def test_failed_reading_stops_nothing_and_is_reported_until_one_succeeds(rig: Rig, fault: dict[str, Any]) -> None:
    await rig.crash()
    rig.fault(times=None, match={"operation": QUERY}, **fault)
    await rig.start()
    await rig.until(lambda: rig.parts.catalogue.known.account_goals("main").failure)
    [code] = rig.active_troubles()
    assert code in ("unreachable", "not_authorized")
    assert "reading its goals: " in trouble_message(rig, code)
    await rig.post(3)
    await rig.until_pending(0)
    rig.clear_faults()
    rig.pass_time(MINUTE)
    await rig.until(lambda: rig.active_troubles() == set())
    assert rig.parts.catalogue.known.account_goals("main").failure is None


async def test_next_reading_that_fails_otherwise_changes_the_trouble(rig: Rig) -> None:
    await all_read(rig)  # the fault is for the next one
    for fault, code in (({"type": "reset_before"}, "unreachable"), ({"type": "fault", "code": 106}, "not_authorized")):
        rig.fault(match={"operation": QUERY}, **fault)
        assert isinstance(await rig.parts.catalogue.reader.read("main"), Failure)
        assert rig.active_troubles() == {code}
    await read(rig)
    assert rig.active_troubles() == set()


def open_batches(rig: Rig) -> list[str]:
    """The events of batches that wait to go again, the one due longest first; none while a request is on its way."""
    if rig.under_way():
        return []
    query = """SELECT l.event FROM batches b JOIN entries e ON e.batch_id = b.id AND e.claimed = 1
        JOIN lanes l ON l.id = e.lane WHERE b.settled_at IS NULL GROUP BY l.event ORDER BY min(b.due_at)"""
    return [row["event"] for row in rig.place.query(query)]


async def test_batch_of_a_held_goal_is_passed_over_for_another_that_is_due_later(rig: Rig) -> None:
    """Both may be at Microsoft and must go again; what goes to a paused goal would be taken and dropped."""
    rig.chance = lambda: 0.9
    rig.stop_clock()
    rig.fault(times=None, type="status", status=503)
    await rig.post(2, event="lead")
    await rig.post(2)
    while open_batches(rig) != ["lead", "purchase"]:  # each fault sends another one to the end
        rig.pass_time(SECOND)
        await rig.give_time(0.05)
    await change_goal(rig, "Sidecar Lead", Status="Paused")
    await read(rig)
    assert open_batches(rig) == ["lead", "purchase"]
    before = len(await rig.requests())
    rig.clear_faults()
    rig.pass_time(10 * MINUTE)
    await rig.until_pending(2)
    await rig.give_time(0.1)
    assert [request["answer"] for request in (await rig.requests())[before:]] == ["ok"]
    assert {row["event"] for row in rig.rows("state = 'pending'")} == {"lead"}
    assert {json.loads(item["raw"])["ConversionName"] for item in await rig.ledger()} == {"Sidecar Purchase"}


async def test_goals_that_were_read_before_go_on_to_count_while_readings_fail(rig: Rig) -> None:
    await change_goal(rig, "Sidecar Lead", Status="Paused")
    await read(rig)
    await rig.crash()
    rig.fault(times=None, match={"operation": QUERY}, type="status", status=500)
    await rig.start()
    await rig.post(1, event="lead")
    await rig.post(1)
    await rig.until_pending(1)
    await held(rig, "Sidecar Lead", "goal_paused")
    await rig.until(lambda: rig.active_troubles() >= {"goal_paused", "unreachable"})


async def test_account_that_calls_a_goal_otherwise_is_asked_for_it_by_that_name(rig: Rig) -> None:
    """Only the account without its goal waits; the rows of each go out under its own name."""
    twin = rig.config.accounts["twin"].model_copy(update={"goals": {"purchase": "Purchase Twin"}})
    rig._take_up(rig.config.model_copy(update={"accounts": {**rig.config.accounts, "twin": twin}}))
    rig.map()
    await rig.post(2)
    await rig.post(3, account="twin", goal="Purchase Twin")
    await rig.until_pending(3)
    await rig.until(lambda: rig.parts.gates.held("twin", "Purchase Twin") == "goal_not_found")
    await rig.until(lambda: trouble_message(rig, "goal_not_found", "twin"))
    assert "3 rows wait" in trouble_message(rig, "goal_not_found", "twin")
    rule, mapped = rig.parts.catalogue.known.account_goals("twin").events["purchase"]
    assert (rule.name, mapped.state) == ("Purchase Twin", "goal_not_found")
    await make_goal(rig, "Purchase Twin")
    await read(rig, "twin")
    assert rig.parts.gates.held("twin", "Purchase Twin") == "goal_settling"
    rig.pass_time(2 * HOUR)
    await rig.until_pending(0)
    assert sorted({(row["account"], row["goal"]) for row in rig.rows()}) == [
        ("main", "Sidecar Purchase"),
        ("twin", "Purchase Twin"),
    ]
    await rig.balance()


async def test_another_account_of_microsofts_is_read_before_anything_is_sent_to_it(rig: Rig) -> None:
    await rig.until(lambda: rig.parts.catalogue.known.account_goals("main").catalogue)
    main = rig.config.accounts["main"].model_copy(update={"account_id": "200000033"})
    rig._take_up(rig.config.model_copy(update={"accounts": {**rig.config.accounts, "main": main}}))
    rig.hold(match={"operation": QUERY, "account": "200000033"})
    rig.map()
    await rig.post(1)
    await rig.give_time(0.2)
    assert await rig.requests() == []
    assert rig.parts.catalogue.known.account_goals("main").catalogue is None
    rig.clear_faults()
    await rig.until_pending(0)


async def test_goals_are_read_again_every_quarter_of_an_hour_and_after_a_reload(rig: Rig) -> None:
    async def read_times(count: int) -> None:
        async def there() -> bool:
            return await queries(rig) >= count

        await rig.until(there)
        await rig.give_time(0.05)
        assert await queries(rig) == count

    await all_read(rig)
    await read_times(3)
    rig.pass_time(14 * MINUTE)
    await rig.give_time(0.05)
    await read_times(3)
    rig.pass_time(MINUTE)
    await read_times(6)
    rig.map()
    await read_times(9)


async def test_expired_token_is_renewed_for_a_reading_too(rig: Rig) -> None:
    await all_read(rig)
    await rig.expire_tokens()
    before = await queries(rig)
    await read(rig)
    assert await queries(rig) == before + 2
    assert rig.active_troubles() == set()


async def test_throttled_reading_closes_every_account_that_shares_the_limit(rig: Rig) -> None:
    await all_read(rig)
    rig.fault(match={"operation": QUERY}, type="fault", code=117)
    await read(rig)
    assert rig.parts.gates.held("main", None) == rig.parts.gates.held("twin", None) == "throttled"
    assert rig.parts.gates.held("other", None) is None
    before = await queries(rig)
    assert isinstance(await rig.parts.catalogue.reader.read("twin"), Failure)
    assert await queries(rig) == before
    await rig.post(2)
    await rig.give_time(0.1)
    assert await rig.requests() == []
    rig.pass_time(MINUTE)
    await rig.until_pending(0)
    await rig.until(lambda: rig.active_troubles() == set())


async def test_throttle_of_a_reading_is_kept_over_a_restart_and_while_an_operator_pauses_the_account(rig: Rig) -> None:
    await all_read(rig)
    rig.fault(match={"operation": QUERY}, type="fault", code=117, retry_after="600")
    await read(rig)
    rig.parts.gates.pause("main", rig.clock())
    before = await queries(rig)
    assert isinstance(await rig.parts.catalogue.reader.read("main"), Failure)
    await rig.crash()
    await rig.start()
    await rig.until_requests(before + 1, operation=QUERY)
    await rig.give_time(0.2)
    assert rig.parts.gates.held("main", None) == "throttled"
    assert await queries(rig) == before + 1, "the other customer's account alone was read"
    rig.pass_time(10 * MINUTE)
    await rig.until(lambda: rig.parts.gates.held("main", None) is None)


async def test_goal_that_is_held_gets_no_batch_again(rig: Rig) -> None:
    """A paused goal would drop the rows without a word, and they would end as delivered."""
    await all_read(rig)
    rig.stop_clock()
    rig.fault(type="status", status=503)
    await rig.post(2)
    await rig.until(lambda: rig.count("error IS NOT NULL") == 2)
    await change_goal(rig, "Sidecar Purchase", Status="Paused")
    await read(rig)
    before = len(await rig.requests())
    rig.pass_time(5 * MINUTE)
    await rig.give_time(0.2)
    assert len(await rig.requests()) == before
    await change_goal(rig, "Sidecar Purchase", Status="Active")
    await read(rig)
    await rig.until_pending(0)
    await rig.balance()


async def test_account_without_a_sign_in_waits_for_its_first_reading(rig: Rig) -> None:
    await rig.crash()
    await rig.revoke_sign_in()
    rig.fault(times=None, match={"operation": "token"}, type="status", status=503)
    await rig.start()
    await rig.post(2)
    await rig.until(lambda: not rig.parts.gates.connected)
    rig.clear_faults()
    await rig.sign_in()
    await rig.until_pending(0)
    sent, asked = await rig.requests(account="main"), await rig.requests(operation=QUERY, account="main")
    assert asked[-1]["seq"] < sent[0]["seq"]


# --- Plan and apply --------------------------------------------------------------------------------------------------


async def test_goal_that_was_applied_is_there_settles_and_is_planned_no_more(rig: Rig) -> None:
    rig.map(lead="Newsletter")
    await rig.post(2, event="lead")
    planned = await rig.parts.catalogue.creator.plan("main")
    assert isinstance(planned, Planned)
    assert [missing.goal.name for missing in planned.plan.missing] == ["Newsletter"]
    applied = await rig.parts.catalogue.creator.apply("main", None)
    assert isinstance(applied, Applied)
    [made] = applied.made
    assert made.goal is not None
    assert (made.name, made.goal.is_new, made.goal.window_seconds) == ("Newsletter", True, 90 * 86_400)
    again = await rig.parts.catalogue.creator.plan("main")
    assert isinstance(again, Planned)
    assert again.plan.missing == ()
    assert await rig.parts.catalogue.creator.apply("main", None) == Applied(())
    assert rig.parts.gates.held("main", "Newsletter") == "goal_settling"
    rig.pass_time(2 * HOUR)
    await rig.until_pending(0)
    await rig.balance()


async def test_goal_that_two_accounts_of_a_customer_want_is_created_once_for_both(rig: Rig) -> None:
    event = rig.config.events["lead"].model_copy(update={"goal": "Newsletter", "account": None, "currency": "EUR"})
    rig._take_up(rig.config.model_copy(update={"events": {**rig.config.events, "lead": event}}))
    rig.map()
    assert isinstance(await rig.parts.catalogue.creator.apply("main", None), Applied)
    assert await rig.parts.catalogue.creator.apply("twin", None) == Applied(())
    planned = await rig.parts.catalogue.creator.plan("other")
    assert isinstance(planned, Planned)
    assert [(each.goal.name, each.goal.scope) for each in planned.plan.missing] == [("Newsletter", "Account")]


async def test_goal_of_another_account_of_the_customer_is_blocked_until_it_has_a_name_of_its_own(
    rig: Rig,
) -> None:
    rig.map(lead="Newsletter")
    assert isinstance(await rig.parts.catalogue.creator.apply("main", None), Applied)  # for main alone
    twin = rig.config.accounts["twin"]
    lead = rig.config.events["lead"].model_copy(update={"account": None})
    rig._take_up(rig.config.model_copy(update={"events": {**rig.config.events, "lead": lead}}))
    rig.map()
    planned = await rig.parts.catalogue.creator.plan("twin")
    assert isinstance(planned, Planned)
    assert planned.plan == Plan(blocked=(Blocked("Newsletter", ("lead",), "goal_name_taken", "main"),))
    await rig.until(lambda: "account main has a goal of that name" in trouble_message(rig, "goal_not_found", "twin"))
    assert await rig.parts.catalogue.creator.apply("twin", None) == Applied(())

    named = twin.model_copy(update={"goals": {"lead": "Newsletter Twin"}})
    rig._take_up(rig.config.model_copy(update={"accounts": {**rig.config.accounts, "twin": named}}))
    rig.map()
    applied = await rig.parts.catalogue.creator.apply("twin", None)
    assert isinstance(applied, Applied)
    assert [(made.name, made.goal is not None) for made in applied.made] == [("Newsletter Twin", True)]


async def test_accounts_of_other_customers_take_no_names(rig: Rig) -> None:
    rig.map(lead="Newsletter")
    assert isinstance(await rig.parts.catalogue.creator.apply("main", None), Applied)
    lead = rig.config.events["lead"].model_copy(update={"account": None})
    rig._take_up(rig.config.model_copy(update={"events": {**rig.config.events, "lead": lead}}))
    applied = await rig.parts.catalogue.creator.apply("other", None)
    assert isinstance(applied, Applied)
    assert [(made.name, made.goal is not None) for made in applied.made] == [("Newsletter", True)]


async def test_only_the_chosen_goals_are_created(rig: Rig) -> None:
    rig.map(lead="Newsletter", purchase="Sale")
    applied = await rig.parts.catalogue.creator.apply("main", {"Sale"})
    assert isinstance(applied, Applied)
    assert [made.name for made in applied.made] == ["Sale"]


async def test_lost_answer_is_made_up_for_by_the_next_reading(rig: Rig) -> None:
    rig.map(lead="Newsletter")
    rig.fault(match={"operation": ADD}, type="reset_after")
    applied = await rig.parts.catalogue.creator.apply("main", None)
    assert isinstance(applied, Applied)
    [made] = applied.made
    assert made.goal is not None
    assert isinstance(made.answer, Failure)


async def test_goal_that_microsoft_cannot_read_is_refused_with_its_words_and_the_others_are_created(rig: Rig) -> None:
    lead = rig.config.events["lead"].model_copy(update={"goal": "Newsletter", "category": "Shop"})
    purchase = rig.config.events["purchase"].model_copy(update={"goal": "Sale"})
    rig._take_up(rig.config.model_copy(update={"events": {"lead": lead, "purchase": purchase}}))
    rig.map()
    applied = await rig.parts.catalogue.creator.apply("main", None)
    assert isinstance(applied, Applied)
    refused, created = applied.made
    assert (refused.name, refused.goal, created.name) == ("Newsletter", None, "Sale")
    assert isinstance(refused.answer, NotCreated)
    assert "GoalCategory has no value 'Shop'" in (refused.answer.fault.message or "")
    assert created.goal is not None


async def test_refused_goal_comes_with_microsofts_reason(rig: Rig) -> None:
    rig.map(lead="Newsletter")
    rig.fault(match={"operation": ADD}, type="fault", code=106)
    applied = await rig.parts.catalogue.creator.apply("main", None)
    assert isinstance(applied, Applied)
    [made] = applied.made
    assert made.goal is None
    assert isinstance(made.answer, Failure)
    assert (made.answer.trouble, made.answer.error) == ("not_authorized", "UserIsNotAuthorized")
