"""Replayed rows reach Microsoft: once, with what they were sent with where they may have been sent."""

from delivery_kit import DAY, HOUR, Rig
from visitor_kit import capture, click_id, clicks_sent, visit

from sidecar.core.states_and_reasons import State
from sidecar.ports.upkeep import Moved, ReplayQuery, Unmoved


async def replayed(rig: Rig, query: ReplayQuery) -> int:
    """Make due again what fits, and wake the couriers, as the API does."""
    done = await rig.parts.store.outbox.replay_slice(query, 0, 1_000, rig.clock(), dry_run=False)
    rig.parts.flusher.arrived(done.accounts)
    return done.matched


async def test_refused_rows_are_delivered_after_the_cause_is_fixed(rig: Rig) -> None:
    rig.fault(type="partial_errors", every_nth=2, code=5610)
    await rig.post(10)
    await rig.until_pending(0)
    assert rig.count("state = 'dead'") == 5
    assert await replayed(rig, ReplayQuery(State.DEAD)) == 5
    await rig.until_pending(0)
    assert rig.count("state = 'delivered'") == 10
    await rig.balance()


async def test_row_that_may_be_at_microsoft_goes_with_the_very_same_bytes(rig: Rig) -> None:
    """Its answer was lost, then it was refused, then the mapping changed: Microsoft still counts it once."""
    rig.fault(type="reset_after")
    rig.fault(type="partial_errors", code=5610)
    (seq,) = await rig.post(1)
    await rig.hurry()
    before = rig.row(seq)
    assert (before["state"], before["maybe_sent"]) == ("dead", 1)
    assert isinstance(await rig.parts.store.outbox.discard(seq, rig.clock()), Unmoved)
    rig.map(purchase="Sidecar Lead")
    assert isinstance(await rig.parts.store.outbox.replay(seq, rig.clock()), Moved)
    rig.parts.flusher.arrived({"main": 1})
    await rig.until_pending(0)
    after = rig.row(seq)
    assert after["state"] == "delivered"
    for name in ("goal", "sent_time", "identity", "msclkid", "value"):
        assert after[name] == before[name]
    await rig.balance()


async def test_row_of_a_visitor_that_may_be_at_microsoft_goes_with_the_click_it_went_with(rig: Rig) -> None:
    """A better click came in meanwhile, and the first one was forgotten: neither changes what is sent."""
    await capture(rig, 1, 3 * DAY)
    rig.fault(type="reset_after")
    rig.fault(type="partial_errors", code=5610)
    seq = await visit(rig)
    await rig.hurry()
    assert (rig.row(seq)["state"], rig.row(seq)["maybe_sent"]) == ("dead", 1)
    await capture(rig, 2, 2 * HOUR)
    assert isinstance(await rig.parts.store.outbox.replay(seq, rig.clock()), Moved)
    rig.parts.flusher.arrived({"main": 1})
    await rig.until_pending(0)
    assert await clicks_sent(rig) == [click_id(1)]
    assert len({request["body_sha256"] for request in await rig.requests()}) == 1
    await rig.balance()


async def test_row_that_was_definitely_refused_goes_to_the_goal_that_its_event_has_now(rig: Rig) -> None:
    rig.fault(type="partial_errors", code=5610)
    (seq,) = await rig.post(1)
    await rig.until_pending(0)
    assert rig.row(seq)["goal"] == "Sidecar Purchase"
    rig.map(purchase="Sidecar Lead")
    await rig.parts.store.outbox.replay(seq, rig.clock())
    rig.parts.flusher.arrived({"main": 1})
    await rig.until_pending(0)
    assert (rig.row(seq)["goal"], rig.row(seq)["state"]) == ("Sidecar Lead", "delivered")
    await rig.balance()


async def test_replay_survives_a_crash(rig: Rig) -> None:
    rig.fault(type="partial_errors", code=5610)
    await rig.post(5)
    await rig.until_pending(0)
    await rig.parts.pauses.pause("main")
    assert await replayed(rig, ReplayQuery(State.DEAD)) == 5
    await rig.crash()
    await rig.start()
    await rig.parts.pauses.resume("main")
    await rig.until_pending(0)
    await rig.balance()


async def test_discarded_row_never_goes_out(rig: Rig) -> None:
    await rig.parts.pauses.pause("main")
    first, second = await rig.post(2)
    assert isinstance(await rig.parts.store.outbox.discard(first, rig.clock()), Moved)
    await rig.parts.pauses.resume("main")
    await rig.until_pending(0)
    assert (rig.row(first)["state"], rig.row(second)["state"]) == ("canceled", "delivered")
    await rig.balance()
