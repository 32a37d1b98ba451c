"""An operator pauses an account: nothing of it goes out, others do, restarts included, until it is resumed."""

import pytest
from catalogue_kit import all_read
from delivery_kit import DAY, MINUTE, Rig

from sidecar.microsoft.platform import MicrosoftAdvertising


async def test_nothing_of_a_paused_account_goes_out_and_others_do(rig: Rig) -> None:
    await rig.parts.pauses.pause("main")
    await rig.post(5)
    await rig.post(5, account="other")
    await rig.until_pending(5)
    rig.pass_time(20 * MINUTE)
    await rig.give_time(0.3)
    assert await rig.requests(account="main") == []
    assert {row["attempt"] for row in rig.rows("account = 'main'")} == {0}
    assert rig.active_troubles() == {"paused_by_operator"}
    await rig.balance()


async def test_resuming_opens_at_once(rig: Rig) -> None:
    await rig.parts.pauses.pause("main")
    await rig.post(5)
    await rig.give_time(0.2)
    await rig.parts.pauses.resume("main")
    await rig.until_pending(0)
    assert rig.active_troubles() == set()
    assert [entry.error for entry in await rig.journal("trouble_cleared")] == ["paused_by_operator"]
    await rig.balance()


async def test_pause_outlives_a_restart_and_keeps_its_beginning(rig: Rig) -> None:
    since = await rig.parts.pauses.pause("main")
    rig.pass_time(DAY)
    assert await rig.parts.pauses.pause("main") == since
    await rig.post(5)
    await rig.crash()
    await rig.start()
    await rig.give_time(0.3)
    assert ((await rig.parts.store.outbox.counts()).pending, await rig.requests()) == (5, [])
    assert rig.parts.gates.paused_since("main") == since
    assert rig.active_troubles() == {"paused_by_operator"}
    await rig.parts.pauses.resume("main")
    await rig.until_pending(0)
    await rig.crash()
    await rig.start()
    assert rig.active_troubles() == set()
    await rig.balance()


async def test_batch_that_waits_for_its_permit_when_the_account_is_paused_is_not_claimed(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    permit, waited = MicrosoftAdvertising.permit, list[str]()

    async def pause_first(platform: MicrosoftAdvertising, account: str) -> None:
        rig.parts.gates.pause(account, rig.clock())
        await permit(platform, account)
        waited.append(account)

    await all_read(rig)  # which takes permits too
    await rig.post()
    await rig.until_pending(0)
    monkeypatch.setattr(MicrosoftAdvertising, "permit", pause_first)
    await rig.post(5)
    await rig.until(lambda: waited)
    await rig.give_time(0)
    assert (rig.count("attempt > 0"), len(await rig.requests()), waited) == (1, 1, ["main"])
    await rig.balance()


async def test_request_that_is_on_its_way_finishes_and_opens_nothing(rig: Rig) -> None:
    under_way = rig.hold()
    await rig.post(5)
    await rig.until(lambda: under_way.fired)
    await rig.parts.pauses.pause("main")
    await rig.post(5)
    rig.clear_faults()
    await rig.until_pending(5)
    await rig.give_time(0.3)
    assert (len(await rig.requests()), rig.active_troubles()) == (1, {"paused_by_operator"})
    await rig.balance()


async def test_batch_that_would_go_again_waits_too(rig: Rig) -> None:
    await rig.post_unanswered(5)
    await rig.parts.pauses.pause("main")
    sent = len(await rig.requests())
    rig.pass_time(20 * MINUTE)
    await rig.give_time(0.3)
    assert len(await rig.requests()) == sent
    await rig.parts.pauses.resume("main")
    await rig.hurry()
    await rig.balance()


async def test_resuming_tries_an_account_at_once_that_microsoft_refused(rig: Rig) -> None:
    rig.fault(type="fault", code=1030)
    await rig.post(5)
    await rig.until(lambda: rig.parts.gates.held("main", None) == "account_paused")
    assert "paused_by_operator" not in rig.active_troubles()
    await rig.parts.pauses.resume("main")
    await rig.until_pending(0)
    await rig.balance()
