"""Another mapping while batches wait: what was never taken follows it, what may have been sent is kept from a goal that
would drop it."""

import pytest
from catalogue_kit import change_goal, read, trouble_message
from delivery_kit import DEFINITE, HOUR, MINUTE, Rig

LEAD = "Sidecar Lead"


def without(rig: Rig, event: str) -> None:
    """The event leaves the configuration, as a reload does it."""
    events = {name: one for name, one in rig.config.events.items() if name != event}
    rig._take_up(rig.config.model_copy(update={"events": events}))
    rig.map()


async def refused(rig: Rig, fault: str, count: int = 3) -> None:
    """Some rows of the event `lead`, in a batch that was definitely refused and waits to go again."""
    rig.stop_clock()
    rig.fault(**DEFINITE[fault])
    await rig.post(count, event="lead")
    await rig.until(lambda: rig.count("claimed = 1 AND error IS NOT NULL") == count)
    assert rig.count("maybe_sent = 1") == 0
    rig.pass_time(1)  # what goes next leaves after the refusal, and so its answer ends the trouble


async def paused(rig: Rig, goal: str = LEAD) -> None:
    await change_goal(rig, goal, Status="Paused")
    await read(rig)


@pytest.mark.parametrize("fault", DEFINITE)
async def test_batch_that_was_refused_each_time_follows_the_new_mapping(rig: Rig, fault: str) -> None:
    await refused(rig, fault)
    await paused(rig)
    rig.map(lead="Sidecar Purchase")
    await rig.hurry(step=MINUTE)
    assert {(row["state"], row["goal"]) for row in rig.rows()} == {("delivered", "Sidecar Purchase")}
    rig.pass_time(MINUTE)  # by then it is counted again what waits for the goal
    await rig.until(lambda: rig.active_troubles() == set())
    await rig.balance()


@pytest.mark.parametrize("fault", DEFINITE)
async def test_refused_batch_of_an_event_that_left_waits_until_the_event_is_back(rig: Rig, fault: str) -> None:
    await refused(rig, fault)
    before, events = len(await rig.requests()), rig.config.events
    without(rig, "lead")
    rig.pass_time(16 * MINUTE)
    await rig.until(lambda: not rig.rows("claimed = 1"))
    await rig.give_time(0.2)
    assert len(await rig.requests()) == before
    assert {(row["state"], row["goal"]) for row in rig.rows()} == {("pending", None)}
    rig._take_up(rig.config.model_copy(update={"events": events}))
    rig.map(lead="Sidecar Purchase")
    await rig.hurry(step=MINUTE)
    assert {row["goal"] for row in rig.rows()} == {"Sidecar Purchase"}
    await rig.balance()


async def test_refused_batch_follows_a_mapping_that_changed_between_two_lives(rig: Rig) -> None:
    await refused(rig, "throttled")
    await paused(rig)
    await rig.crash()
    rig.remap(lead="Sidecar Purchase")
    await rig.start()
    await rig.hurry(step=MINUTE)
    assert {row["goal"] for row in rig.rows()} == {"Sidecar Purchase"}
    await rig.balance()


async def test_wait_that_microsoft_asked_for_outlives_its_batch_and_a_restart(rig: Rig) -> None:
    rig.fault(type="status", status=429, retry_after="600")
    await rig.post(3, event="lead")
    await rig.until(lambda: rig.count("claimed = 1 AND error IS NOT NULL") == 3)
    rig.map(lead="Sidecar Purchase")
    goals = rig.parts.settings.goals("main")
    await rig.parts.store.outbox.release_astray("main", goals, rig.clock())
    assert rig.rows("claimed = 1") == []
    await rig.crash()
    await rig.start()
    before = len(await rig.requests())
    rig.pass_time(9 * MINUTE)
    await rig.give_time(0.2)
    assert len(await rig.requests()) == before
    rig.pass_time(MINUTE)
    await rig.until_pending(0)
    await rig.balance()


@pytest.mark.parametrize("way", ["mapped elsewhere", "left"])
async def test_batch_that_may_have_been_sent_waits_while_its_old_goal_is_paused(rig: Rig, way: str) -> None:
    """Microsoft would take it and drop it without a word."""
    await rig.post_unanswered(3, event="lead")
    await paused(rig)
    before = len(await rig.requests())
    if way == "left":
        without(rig, "lead")
    else:
        rig.map(lead="Sidecar Purchase")
    await read(rig)
    rig.pass_time(2 * HOUR)
    await rig.until(lambda: "3 rows wait" in trouble_message(rig, "goal_paused"))
    assert rig.parts.gates.held("main", LEAD) == "goal_paused"
    assert len(await rig.requests()) == before
    await change_goal(rig, LEAD, Status="Active")
    await read(rig)
    await rig.hurry(step=MINUTE)
    assert {row["goal"] for row in rig.rows()} == {LEAD}
    await rig.until(lambda: rig.active_troubles() == set())
    await rig.balance()


async def test_row_that_keeps_its_paused_goal_waits_beside_rows_of_its_event_that_go(rig: Rig) -> None:
    """It was asked for again by itself: no batch keeps it from the others."""
    (kept,) = await rig.post_unanswered(1, event="lead")
    rig.fault(type="partial_errors", code=5614)
    rig.pass_time(MINUTE)
    await rig.until(lambda: rig.row(kept)["reason"] == "retrying")
    await paused(rig)
    rig.map(lead="Sidecar Purchase")
    rig.pass_time(7 * HOUR)
    await rig.post(5, event="lead")
    await rig.until_pending(1)
    await rig.until(lambda: rig.parts.gates.held("main", LEAD) == "goal_paused")
    await rig.until(lambda: "1 row waits" in trouble_message(rig, "goal_paused"))
    assert rig.row(kept)["state"] == "pending"
    await change_goal(rig, LEAD, Status="Active")
    await read(rig)
    await rig.hurry(step=MINUTE)
    assert rig.row(kept)["goal"] == LEAD
    await rig.balance()


async def test_adjustments_of_a_goal_that_no_event_names_wait_while_it_is_paused(rig: Rig) -> None:
    seqs = await rig.post(2, event="lead")
    await rig.until_pending(0)
    rig.map(lead="Sidecar Purchase")
    await paused(rig)
    for seq in seqs:
        await rig.adjust(seq)
    rig.pass_time(7 * HOUR)
    await rig.until(lambda: "2 rows wait" in trouble_message(rig, "goal_paused"))
    await rig.give_time(0.2)
    assert await rig.adjustments() == []
    await change_goal(rig, LEAD, Status="Active")
    await read(rig)
    await rig.until_pending(0)
    assert [item["row"]["ConversionName"] for item in await rig.adjustments()] == [LEAD] * 2
    await rig.balance()
