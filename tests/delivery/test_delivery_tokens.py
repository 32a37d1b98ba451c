"""The token expires, is refused, or is gone: rows never pay."""

import pytest
from delivery_kit import MINUTE, Rig
from promises import Show


async def refreshes(rig: Rig) -> int:
    return len(await rig.requests("token"))


async def test_expired_token_costs_one_refresh_and_one_repeat(rig: Rig) -> None:
    await rig.post()
    await rig.until_pending(0)
    await rig.expire_tokens()
    before = await refreshes(rig)
    await rig.post(5)
    await rig.until_pending(0)
    _, refused, repeat = await rig.requests()
    assert (refused["answer"], repeat["answer"]) == ("AuthenticationTokenExpired", "ok")
    assert refused["body_sha256"] == repeat["body_sha256"]
    assert await refreshes(rig) == before + 1
    assert {row["attempt"] for row in rig.rows()} == {1}
    await rig.balance()


@pytest.mark.promise("B6")
async def test_fifty_requests_with_one_expired_token_share_one_refresh(rig: Rig, shown: Show) -> None:
    rig.configure(batch_size=1, linger=0, max_in_flight=50)
    await rig.post(120)
    await rig.until_pending(0)
    before, sent = await refreshes(rig), len(await rig.requests())
    under_way = rig.hold(times=50)
    await rig.post(50)
    await rig.until(lambda: under_way.fired >= 45)
    await rig.expire_tokens()
    rig.clear_faults()
    await rig.until_pending(0)
    refused = [one for one in (await rig.requests())[sent:] if one["answer"] == "AuthenticationTokenExpired"]
    assert len(refused) >= 40
    assert await refreshes(rig) == before + 1
    await rig.balance()
    shown(f"{len(refused)} requests refused for one expired token", lost=0, figure="1 refresh")


async def test_fresh_token_that_expired_too_is_tried_again_in_a_moment(rig: Rig) -> None:
    """Two expiries in a row are Microsoft's moment: no one is asked to sign in, and nothing waits for long."""
    rig.fault(times=2, type="fault", code=109)
    await rig.post(5)
    await rig.until_pending(0)
    assert len(await rig.requests()) == 3
    await rig.until(lambda: "token_refresh_failed" not in rig.active_troubles())
    await rig.balance()


async def test_fresh_tokens_that_expire_three_times_pause_the_account_with_its_trouble(rig: Rig) -> None:
    rig.fault(times=None, type="fault", code=109)
    await rig.post(5)
    await rig.until(lambda: rig.parts.gates.held("main", None) == "account_paused")
    assert len(await rig.requests()) == 6
    await rig.until(lambda: "token_refresh_failed" in rig.active_troubles())
    rig.clear_faults()
    rig.pass_time(15 * MINUTE)
    await rig.until_pending(0)
    await rig.until(lambda: "token_refresh_failed" not in rig.active_troubles())
    await rig.balance()


async def test_paused_accounts_do_not_wake_each_other(rig: Rig) -> None:
    """105 may mean the token, so each trial refreshes it; that must not count as a repair."""
    rig.fault(times=None, type="fault", code=105)
    await rig.post(1)
    await rig.post(1, account="other")
    await rig.until(lambda: {rig.parts.gates.held(name, None) for name in ("main", "other")} == {"account_paused"})
    await rig.give_time(0.7)
    assert len(await rig.requests()) == 4
    await rig.until(lambda: "developer_token_invalid" in rig.active_troubles())
    rig.clear_faults()
    rig.parts.gates.retry_now()
    await rig.until_pending(0)
    await rig.balance()


async def test_account_with_swapped_ids_is_reported_while_another_delivers(rig: Rig) -> None:
    """The developer token is the same for both: it is not to blame."""
    swapped = rig.config.accounts["other"].model_copy(update={"customer_id": "200000002", "account_id": "100000001"})
    rig._take_up(rig.config.model_copy(update={"accounts": {**rig.config.accounts, "other": swapped}}))
    for operation in ("OfflineConversions/Apply", "ConversionGoals/QueryByIds"):
        rig.fault(times=None, match={"operation": operation, "account": "100000001"}, type="fault", code=105)
    rig.map()
    await rig.post(1)
    await rig.post(1, account="other")
    await rig.until_pending(1)
    await rig.until(lambda: "wrong_account" in rig.active_troubles())
    assert "developer_token_invalid" not in rig.active_troubles()
    [told] = rig.parts.telemetry.board.active("wrong_account")
    assert (told.account, "looks swapped" in told.message) == ("other", True)
    assert "reload with SIGHUP" in told.trouble.solution


async def test_account_that_only_a_person_can_fix_is_tried_every_quarter_of_an_hour(rig: Rig) -> None:
    """Header and account codes are never halved: the account pauses."""
    rig.fault(times=2, type="fault", code=1030)
    await rig.post(20)
    for count in (1, 2):
        await rig.until_requests(count)
        await rig.until(lambda: not rig.rows("state = 'pending' AND claimed = 0"))
        await rig.until(lambda: not rig.parts.gates.lets_out("main", rig.clock()))
        rig.pass_time(14 * MINUTE)
        await rig.give_time(0.1)
        assert len(await rig.requests()) == count
        rig.pass_time(MINUTE)
    await rig.until_pending(0)
    assert [request["rows"] for request in await rig.requests()] == [0, 0, 20]
    await rig.balance()


@pytest.mark.promise("B6")
async def test_without_a_sign_in_rows_wait_untouched_and_go_at_once_after_a_new_one(rig: Rig, shown: Show) -> None:
    await rig.post()
    await rig.until_pending(0)
    await rig.expire_tokens()
    await rig.revoke_sign_in()
    await rig.post(5)
    await rig.until(lambda: rig.parts.gates.held("main", None) == "not_connected")
    await rig.post(5)
    await rig.post(5, account="other")
    sent = len(await rig.requests())
    rig.pass_time(MINUTE)
    await rig.give_time(0.2)
    assert len(await rig.requests()) == sent
    assert {row["attempt"] for row in rig.rows("state = 'pending' AND batch_id IS NULL")} == {0}
    await rig.until(lambda: "token_refresh_failed" in rig.active_troubles())
    assert rig.metric("token_expires_seconds") == 0
    await rig.sign_in()
    await rig.until_pending(0)
    await rig.until(lambda: rig.active_troubles() == set())
    assert rig.metric("token_expires_seconds") > 0
    await rig.balance()
    shown("1 sign-in that ended under waiting rows", lost=0, figure="0 attempts of rows that were not on their way")


async def test_rows_that_wait_for_the_first_sign_in_are_not_claimed(rig: Rig) -> None:
    rig.fault(times=None, match={"operation": "token"}, type="oauth_error", aadsts=700082)
    await rig.crash()
    await rig.start()
    await rig.post(5)
    await rig.until(lambda: rig.parts.gates.held("main", None) == "not_connected")
    await rig.give_time(0.1)
    assert {row["attempt"] for row in rig.rows()} == {0}
    assert await rig.requests() == []
    rig.clear_faults()
    await rig.sign_in()
    await rig.until_pending(0)
    await rig.balance()
