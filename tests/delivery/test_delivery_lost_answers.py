"""No readable answer: the very same bytes go again, nothing is counted twice, nothing is lost."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from delivery_kit import DAY, HOUR, MINUTE, Rig
from promises import Show
from visitor_kit import capture, click_id, clicks_sent, visit

from sidecar.microsoft.rate_limiter import RateLimiter
from sidecar.ports.errors import StorageUnavailable

LOST: dict[str, dict[str, Any]] = {
    "reset_before": {"type": "reset_before"},
    "reset_after": {"type": "reset_after"},
    "malformed_html": {"type": "malformed", "body": "html"},
    "malformed_empty": {"type": "malformed", "body": "empty"},
    "malformed_truncated": {"type": "malformed", "body": "truncated"},
    "gateway": {"type": "status", "status": 502, "body": "<html>Bad gateway</html>", "content_type": "text/html"},
    "gateway_applied": {"type": "status", "status": 504, "body": "<html></html>", "applied": True},
    "hang": {"type": "hang"},
}


@pytest.mark.promise("B1")
@pytest.mark.parametrize("case", LOST)
async def test_batch_without_an_answer_goes_again_byte_for_byte(rig: Rig, case: str, shown: Show) -> None:
    if case == "hang":
        rig.configure(request_timeout=1.0)
    lost = rig.fault(times=2, **LOST[case])
    await rig.post(20, value="5")
    await rig.until(lambda: rig.pass_time(100) or lost.fired == 2)
    rig.configure(request_timeout=60.0)  # the next one is answered, however long the machine takes
    await rig.hurry()
    requests = await rig.requests()
    assert len(requests) == 3
    assert len({request["body_sha256"] for request in requests}) == 1
    assert {row["attempt"] for row in rig.rows()} == {3}
    assert {row["maybe_sent"] for row in rig.rows()} == {1}
    assert "unreachable" in await rig.troubles()
    await rig.until(lambda: "unreachable" not in rig.active_troubles())
    await rig.balance()
    shown("2 answers lost", lost=0)


async def test_rows_that_come_meanwhile_do_not_change_what_goes_again(rig: Rig) -> None:
    rig.fault(type="reset_after")
    await rig.post(5)
    await rig.until_requests(1)
    await rig.post(5)
    await rig.hurry()
    first, second, *_ = await rig.requests()
    assert first["body_sha256"] == second["body_sha256"]
    assert max(item["seen"] for item in await rig.ledger()) == 2
    await rig.balance()


@pytest.mark.parametrize("fault", ["hang", "reset_after"])
async def test_crash_between_sending_and_settling_sends_the_same_bytes_after_the_restart(rig: Rig, fault: str) -> None:
    """A retry, also after a crash, sends the very same bytes; a changed mapping does not matter to them."""
    rig.configure(request_timeout=60.0)
    if fault == "reset_after":
        rig.fault(type="reset_after")
        await rig.post(10)
        await rig.until(lambda: any(row["maybe_sent"] for row in rig.rows()))
    else:
        rig.fault(type="hang")
        await rig.post(10)
        await rig.until_requests(1)
    await rig.crash()
    rig.map(purchase="Sidecar Lead")
    await rig.start()
    await rig.until_pending(0)
    assert len({request["body_sha256"] for request in await rig.requests()}) == 1
    assert {row["goal"] for row in rig.rows()} == {"Sidecar Purchase"}
    await rig.balance()


@pytest.mark.promise("B1")
async def test_crash_between_sending_and_settling_while_newer_clicks_arrive_sends_the_same_bytes(
    rig: Rig, shown: Show
) -> None:
    """What was sent is what the row says from then on; a click that would have been the better one comes too late."""
    rig.configure(request_timeout=60.0)
    rig.fault(type="hang")
    await capture(rig, 1, 3 * DAY)
    await visit(rig, ago=DAY)
    await rig.until_requests(1)
    await capture(rig, 2, 2 * DAY)
    await rig.crash()
    await rig.start()
    await capture(rig, 3, DAY + HOUR)
    await rig.until_pending(0)
    requests = await rig.requests()
    assert len({request["body_sha256"] for request in requests}) == 1
    assert await clicks_sent(rig) == [click_id(1)]
    await rig.balance()
    shown("1 crash between sending and settling, beside newer clicks", lost=0, figure=f"{len(requests)} requests alike")


async def test_crashes_at_random_moments_lose_nothing_and_count_nothing_twice(rig: Rig) -> None:
    rig.configure(batch_size=10, max_in_flight=4)
    for round_ in range(6):
        rig.fault(after=1, type="reset_after")
        rig.fault(after=2, times=2, type="slow", seconds=0.05)
        await rig.post(40)
        await asyncio.sleep(0.03 * round_)  # a crash at another moment each round
        await rig.crash()
        await rig.start()
    rig.clear_faults()
    rig.pass_time(MINUTE)
    await rig.until_pending(0)
    await rig.balance()


@pytest.mark.parametrize("code", [106, 109, 117])
async def test_account_code_inside_a_200_that_names_no_row_leaves_open_whether_they_were_taken(
    rig: Rig, code: int
) -> None:
    """The rows may be at Microsoft: they go again byte for byte, to the goal that they went to."""
    body = f'{{"PartialErrors": [{{"Code": {code}, "ErrorCode": "OfTheAccount", "Message": "no row is named"}}]}}'
    rig.fault(type="status", status=200, body=body, content_type="application/json", applied=True)
    await rig.post(3)
    await rig.until(lambda: rig.count("error IS NOT NULL") == 3)
    assert {row["maybe_sent"] for row in rig.rows()} == {1}
    rig.map(purchase="Sidecar Lead")
    await rig.hurry(step=MINUTE)
    assert len({request["body_sha256"] for request in await rig.requests()}) == 1
    assert {row["goal"] for row in rig.rows()} == {"Sidecar Purchase"}
    await rig.balance()


@pytest.mark.parametrize("lost", ["reset_before", "gateway"])
async def test_new_rows_of_a_goal_without_answers_wait_until_it_is_heard_again(rig: Rig, lost: str) -> None:
    """They would take turns with the batch that goes again, each into the same silence."""
    rig.chance = lambda: 0.999999
    silent = rig.fault(times=4, **LOST[lost])
    await rig.post(1)
    await rig.until(lambda: silent.fired >= 1)
    await rig.post(1)
    await rig.hurry(step=200)
    sent = [request["body_sha256"] for request in await rig.requests()]
    assert [body == sent[0] for body in sent] == [True] * 5 + [False]
    await rig.balance()


# --- stopping --------------------------------------------------------------------------------------------------------


async def test_stop_finishes_what_is_on_its_way(rig: Rig) -> None:
    rig.fault(type="slow", seconds=0.5)
    await rig.post(10)
    await rig.until(lambda: any(row["claimed"] for row in rig.rows()))
    await rig.stop()
    assert {row["state"] for row in rig.rows()} == {"delivered"}
    await rig.start()
    await rig.balance()


async def test_stop_leaves_what_does_not_come_back_to_the_next_start(rig: Rig) -> None:
    rig.parts.flusher.grace_seconds = 0.3
    rig.configure(request_timeout=60.0)
    rig.fault(type="hang")
    await rig.post(10)
    await rig.until_requests(1)
    async with asyncio.timeout(30):  # half of what the request itself may take
        await rig.stop()
    await rig.start()
    await rig.until_pending(0)
    assert len({request["body_sha256"] for request in await rig.requests()}) == 1
    await rig.balance()


async def test_nothing_is_claimed_after_a_stop(rig: Rig) -> None:
    await rig.post(1)
    await rig.until_pending(0)
    rig.configure(requests_per_minute=1, linger=0)
    await rig.post(1)
    couriers = lambda: [one for one in rig._couriers() if one.account == "main"]  # noqa: E731 - over PostgreSQL one comes
    await rig.until(couriers)
    rate_limiter: RateLimiter = couriers()[0].platform.rate_limiter  # type: ignore[attr-defined]
    await rig.until(lambda: rate_limiter._lanes["main"].limiter._waiters)  # the courier waits for its permit now
    await rig.stop()
    assert len(await rig.requests()) == 1
    assert rig.rows("attempt > 0 AND state = 'pending'") == []
    rig.configure(requests_per_minute=30_000)
    await rig.start()
    await rig.until_pending(0)
    await rig.balance()


# --- Microsoft's own trouble -----------------------------------------------------------------------------------------


@pytest.mark.promise("B8")
async def test_pauses_after_faults_of_the_server_double_and_one_request_probes_at_a_time(rig: Rig, shown: Show) -> None:
    rig.chance = lambda: 0.999999
    rig.stop_clock()
    rig.fault(times=4, type="status", status=503)
    await rig.post(10)
    await rig.pass_in_steps()
    gaps = await gaps_of_the_last(rig, 4)
    assert gaps == [1_000, 2_000, 4_000, 8_000]
    await rig.balance()
    shown("4 probes of a failing remote", lost=0, figure=f"pauses of {', '.join(str(gap) for gap in gaps)} ms")


async def gaps_of_the_last(rig: Rig, count: int) -> list[int]:
    """The milliseconds before each of the last requests."""
    at = [request["at"] for request in await rig.requests()]
    return [later - earlier for earlier, later in pairwise(at)][-count:]


async def test_pauses_begin_again_at_a_second_after_a_clean_answer(rig: Rig) -> None:
    rig.chance = lambda: 0.999999
    rig.stop_clock()
    for faults in (3, 2):
        rig.fault(times=faults, type="status", status=503)
        await rig.post(1)
        await rig.pass_in_steps()
    assert await gaps_of_the_last(rig, 2) == [1_000, 2_000]
    await rig.balance()


async def test_pauses_begin_again_at_a_second_after_a_refusal_of_rows(rig: Rig) -> None:
    """Microsoft read the request: its rows may be wrong, but the service is there."""
    rig.chance = lambda: 0.999999
    rig.stop_clock()
    rig.fault(times=3, type="status", status=503)
    rig.fault(type="fault", code=201)
    rig.fault(type="status", status=503)
    await rig.post(2)
    await rig.pass_in_steps()
    assert [request["rows"] for request in await rig.requests()][-2:] == [1, 1]
    assert (await gaps_of_the_last(rig, 2))[0] == 1_000
    await rig.balance()


@pytest.mark.promise("B8")
async def test_after_a_fault_one_request_probes_however_many_are_due(rig: Rig, shown: Show) -> None:
    """The pause is over, and batches of two goals are due: all others wait for the answer to the first."""
    rig.chance = lambda: 0.999999
    rig.configure(batch_size=1, linger=0, max_in_flight=8)
    for event in ("purchase", "lead"):
        await rig.post(20, event=event)
    await rig.until_pending(0)  # that many clean answers have opened the window
    failing = rig.fault(times=None, type="status", status=503)
    await rig.post(1)
    await rig.until(lambda: failing.fired >= 1)
    await rig.until(lambda: not rig.parts.gates.lets_out("main", rig.clock()))
    await rig.until(lambda: not rig.rows("claimed = 1 AND batch_id IN (SELECT id FROM batches WHERE leased = 1)"))
    rig.clear_faults()
    probing = rig.hold(times=40)
    for event in ("purchase", "lead"):
        await rig.post(10, event=event)
    rig.pass_time(MINUTE)
    await rig.until(lambda: probing.fired >= 1)
    await rig.give_time(0.5)
    assert probing.fired == 1
    rig.clear_faults()
    await rig.until_pending(0)
    await rig.balance()
    shown("1 probes of a failing remote", lost=0, figure="1 in flight, 20 more due")


@pytest.mark.promise("B8")
@pytest.mark.parametrize("kind", ["status", "reset_before"])
async def test_remote_that_is_back_is_used_fully_within_a_minute(rig: Rig, kind: str, shown: Show) -> None:
    """After the first answer the pause is gone, and requests in flight climb again; the rate was never lowered."""
    rig.chance = lambda: 0.999999
    rig.stop_clock()
    rig.configure(batch_size=1, requests_per_minute=1_200, max_in_flight=8)
    standing = rig.fault(times=None, type=kind, **({"status": 503} if kind == "status" else {}))
    await rig.post(60)
    await rig.until(lambda: rig.pass_time(200) or standing.fired >= 5)
    rig.clear_faults()
    since = rig.clock()
    await rig.until_counts(lambda counts: rig.pass_time(200) or counts.delivered)
    took = (rig.clock() - since) / 1000
    assert took <= 60
    await rig.until_pending(0)  # the clock stands still: no row waits for it any more
    main = rig.parts.gates.accounts["main"]
    assert (main.history.window.size, main.history.rate.current) == (8, 1_200)
    await rig.balance()
    shown(f"{standing.fired} probes of a failing remote", lost=0, figure=f"{kind}: 20 a second after {took:.1f} s")


async def test_faults_of_requests_that_were_on_their_way_together_count_once(rig: Rig) -> None:
    rig.chance = lambda: 0.999999
    rig.configure(batch_size=1, linger=0)
    await rig.post(20)
    await rig.until_pending(0)
    rig.stop_clock()
    under_way = rig.hold(times=8)
    rig.fault(times=8, type="status", status=500)
    await rig.post(8)
    await rig.until(lambda: under_way.fired >= 4)
    await rig.give_time(0)
    await rig.until(lambda: under_way.fired == rig.under_way())  # none comes later, and is answered well
    rig.clear_faults()
    history = rig.parts.gates.accounts["main"].history
    await rig.until(lambda: history.faults and rig.under_way() == 0)
    assert history.faults == 1
    await rig.pass_in_steps()
    requests = await rig.requests()
    together = [request for request in requests if request["fault"] == "slow status"]
    after = next(request for request in requests if request["seq"] > together[-1]["seq"])
    assert len(together) >= 4
    assert after["at"] - together[-1]["at"] == 1_000
    await rig.balance()


@pytest.mark.parametrize("retry_after", ["3"])
async def test_server_that_asks_for_time_gets_it(rig: Rig, retry_after: str) -> None:
    """429 and 503 honour Retry-After."""
    rig.fault(type="status", status=503, retry_after=retry_after)
    await rig.post(3)
    await rig.hurry()
    first, second = [request["at"] for request in await rig.requests()]
    assert second - first >= 3_000
    await rig.balance()


# --- The disk is full when the answer comes --------------------------------------------------------------------------


async def test_answer_that_finds_no_room_is_written_down_later_and_asked_for_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle, tries = rig.parts.store.outbox.settle, []

    async def full_at_first(*given: Any) -> bool:
        tries.append(given)
        if len(tries) == 1:
            raise StorageUnavailable("disk_nearly_full", "SQLite could not write: database or disk is full")
        return await settle(*given)

    monkeypatch.setattr(rig.parts.store.outbox, "settle", full_at_first)
    await rig.post(5)
    await rig.until(lambda: "disk_nearly_full" in rig.active_troubles())
    await rig.until_pending(0)
    assert len(await rig.requests()) == 1
    assert len(tries) == 2
    await rig.balance()
