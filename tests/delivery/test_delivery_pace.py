"""How fast and how many at a time: the sliding minute, throttles, requests in flight.

The pace is that of the permits: a busy machine may hand on together what left one by one.
"""

from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import pytest
from delivery_kit import HOUR, MINUTE, SECOND, Clock, Rig, options
from delivery_ledger import ACCOUNT_IDS
from place_kit import OutboxPlace
from promises import Show

from sidecar.core.adaptive_rate import MADE_UP
from sidecar.core.instant import UnixSeconds
from sidecar.emulator import Emulator
from sidecar.microsoft.rate_limiter import RateLimiter

SPARE = MADE_UP + 1
"""What a second may hold over its share: what is made up for, and the one at its beginning."""


async def arrivals(rig: Rig) -> list[int]:
    return [request["at"] for request in await rig.requests()]


@pytest.fixture
def permits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When calls of the account `main` are permitted, in seconds of the sidecar's clock that never steps back."""
    at: list[float] = []
    permit = RateLimiter.permit

    async def noted(limiter: RateLimiter, account: str) -> None:
        await permit(limiter, account)
        if account == "main":
            at.append(limiter.monotonic())

    monkeypatch.setattr(RateLimiter, "permit", noted)
    return at


async def fullest_second(rig: Rig, permits: list[float]) -> int:
    """The most permits in any second; each request had one."""
    page = await rig.emulator.ledger("requests", account=ACCOUNT_IDS["main"], limit=10_000)
    assert len(permits) >= len(page["items"]) > 0
    return max(bisect_left(permits, start + 1.0) - place for place, start in enumerate(permits))


async def test_no_stretch_of_time_holds_more_requests_than_the_limit(rig: Rig, permits: list[float]) -> None:
    """At most `requests_per_minute` in every sliding 60 s: scaled down, 20 in every sliding second."""
    rig.configure(batch_size=1, linger=0, requests_per_minute=1_200)
    await rig.post(40)
    await rig.until_pending(0)
    assert await fullest_second(rig, permits) <= 20 + SPARE
    await rig.balance()


@pytest.mark.promise("B2")
@pytest.mark.parametrize("steady", [True, False])
async def test_jumps_of_the_clock_change_no_pace(
    outbox_place: OutboxPlace, permits: list[float], steady: bool, shown: Show
) -> None:
    """Microsoft, whose clock stays right, sees at most 20 requests in every sliding second."""
    clock, jumps = Clock(), [30 * SECOND, -HOUR, 24 * HOUR, -24 * HOUR, 30 * SECOND]
    async with Emulator(options(), Clock()) as emulator:
        rig = await Rig.of(outbox_place, emulator, clock, batch_size=1, linger=0, requests_per_minute=1_200)
        await rig.start(steady=steady)
        await rig.post(60, time=UnixSeconds(clock() // SECOND - 90_000))
        for number, jump in enumerate(jumps):
            await rig.until_requests(8 * (number + 1))  # so far it goes on at each time
            clock.offset += jump
            await rig.parts.housekeeping.watch()
        clock.offset = 0
        await rig.parts.housekeeping.watch()
        await rig.until_pending(0)
        most = await fullest_second(rig, permits)
        await rig.balance()
        await rig.close()
    shown(f"{len(jumps)} jumps of the clock", lost=max(0, most - 20 - SPARE), figure=f"fullest second {most} of 20")


async def test_every_half_takes_a_permit(rig: Rig, permits: list[float]) -> None:
    """At 10 a second; without permits of their own the halves of one batch would come within a tenth of a second."""
    rig.configure(requests_per_minute=600, batch_size=16, linger=0)
    refused = rig.fault(times=9, type="status", status=400, body="{}", content_type="application/json")
    await rig.post(16)
    await rig.until_pending(0)
    at = await arrivals(rig)
    assert (refused.fired, len(at) >= 12) == (9, True)
    assert await fullest_second(rig, permits) <= 10 + SPARE
    await rig.balance()


async def test_every_repeat_after_an_expired_token_takes_a_permit(rig: Rig, permits: list[float]) -> None:
    """Each batch is refused once for its token and sent again: twice as many requests, at the same pace."""
    rig.configure(requests_per_minute=600, batch_size=1, linger=0)
    for passed in range(22, -1, -2):  # the last rule first: one that strikes hides the request from those behind it
        rig.fault(after=passed, type="fault", code=109)
    await rig.post(12)
    await rig.until_pending(0)
    at = await arrivals(rig)
    assert len(at) >= 24
    assert await fullest_second(rig, permits) <= 10 + SPARE
    await rig.balance()


async def test_restart_within_the_minute_does_not_double_the_pace(rig: Rig, permits: list[float]) -> None:
    rig.configure(batch_size=1, linger=0, requests_per_minute=1_200)
    await rig.post(40)
    await rig.until_requests(10)
    assert (await rig.parts.store.outbox.counts()).pending
    await rig.crash()
    await rig.start()
    await rig.until_pending(0)
    assert await fullest_second(rig, permits) <= 20 + SPARE
    await rig.balance()


async def test_requests_in_flight_climb_from_one_and_stay_within_the_limit(rig: Rig) -> None:
    rig.map(lead="Sidecar Purchase")  # one goal alone: no place is kept for another
    rig.configure(batch_size=1, linger=0, max_in_flight=3)
    for most in (1, 3):
        under_way = rig.hold(times=40)
        await rig.post(20)
        await rig.until(lambda held=under_way, most=most: held.fired == most)
        await rig.give_time(0.2)
        assert (under_way.fired, rig.under_way()) == (most, most)
        rig.clear_faults()
        await rig.until_pending(0)  # which opens the window as far as it may
    await rig.balance()


# --- throttles -------------------------------------------------------------------------------------------------------


THROTTLES = {"117": {"type": "fault", "code": 117, "status": 400}, "429": {"type": "status", "status": 429}}


@pytest.mark.promise("B5")
@pytest.mark.parametrize(
    ("kind", "asked", "waits"),
    [
        ("117", "7", 7),
        ("429", "date", 20),
        ("429", "garbage", 60),
        ("117", None, 60),
        ("429", "99999", 900),
        ("429", "99999999999999999999", 900),
        ("429", "-5", 60),
        ("117", "12.5", 60),
    ],
)
async def test_nothing_of_the_customer_goes_before_the_time_that_microsoft_asks_for(
    rig: Rig, kind: str, asked: str | None, waits: int, shown: Show
) -> None:
    """Retry-After in seconds or as a date, 1 s to 15 min, or else 60 s; the other customers go on."""
    rig.stop_clock()
    if asked == "date":
        rig.fault(times=None, type="date", seconds=0)  # the answer's own date is that of the stopped clock
        asked = format_datetime(datetime.fromtimestamp(rig.clock() // SECOND + waits, UTC), usegmt=True)
    rig.fault(match={"account": "200000001"}, retry_after=asked, **THROTTLES[kind])
    await rig.post(3)
    await rig.until(lambda: rig.parts.gates.held("main", None) == "throttled")
    assert rig.parts.gates.held("twin", None) == "throttled"
    await rig.post(3, account="twin")
    await rig.post(3, account="other")
    await rig.until_pending(6)
    await rig.until(lambda: "throttled" in rig.active_troubles())
    rig.pass_time(waits * SECOND - 1)
    await rig.give_time(0.1)
    assert {row["account"] for row in rig.rows("state = 'delivered'")} == {"other"}
    rig.pass_time(1)
    await rig.until_pending(0)
    await rig.until(lambda: "throttled" not in rig.active_troubles())
    await rig.balance()
    shown("1 pauses that Microsoft asked for", lost=0, figure=f"{asked}: {waits} s")


@pytest.mark.promise("B5")
@pytest.mark.parametrize("asked", ["0", "past"])
async def test_pause_that_is_over_before_it_begins_is_no_tight_loop(rig: Rig, asked: str, shown: Show) -> None:
    """Microsoft asks for nothing, again and again: a second lies between two requests all the same."""
    if asked == "past":
        asked = format_datetime(datetime.now(UTC) - timedelta(hours=2), usegmt=True)
    rig.fault(times=4, match={"account": "200000001"}, retry_after=asked, **THROTTLES["429"])
    await rig.post(3)
    await rig.hurry(step=100)
    at = await arrivals(rig)
    closest = min(later - earlier for earlier, later in pairwise(at))
    assert closest >= SECOND
    assert len(at) == 5
    await rig.balance()
    shown("4 pauses that Microsoft asked for", lost=0, figure=f"{asked}: {closest} ms between two requests")


async def test_after_a_throttle_each_account_of_the_customer_begins_with_one_request(rig: Rig) -> None:
    """All of them count towards the limit: each comes back with one, however many it had on their way before."""
    rig.configure(batch_size=1, linger=0)
    for account in ("main", "twin"):
        await rig.post(20, account=account)
    await rig.until_pending(0)  # that many clean answers have opened both windows
    rig.fault(match={"account": "200000001"}, **THROTTLES["117"])
    await rig.post(1)
    await rig.until(lambda: rig.parts.gates.held("twin", None) == "throttled" and rig.under_way() == 0)
    back = rig.hold(times=40, match={"account": "200000002"})
    await rig.post(10, account="twin")
    rig.pass_time(MINUTE)
    await rig.until(lambda: back.fired >= 1)
    await rig.give_time(0.2)
    assert back.fired == 1
    rig.clear_faults()
    await rig.until_pending(0)
    await rig.balance()


async def test_microsofts_wait_outlives_a_restart(rig: Rig) -> None:
    """A crash loop must not call inside the pause that Microsoft asked for."""
    rig.fault(match={"account": "200000001"}, retry_after="900", type="status", status=429)
    await rig.post(3)
    await rig.until(lambda: rig.count("error IS NOT NULL") == 3)
    await rig.crash()
    await rig.start()
    assert [rig.parts.gates.held(name, None) for name in ("main", "twin", "other")] == ["throttled", "throttled", None]
    await rig.post(3, account="twin")
    await rig.give_time(0.3)
    assert len(await rig.requests()) == 1
    rig.pass_time(900 * SECOND)
    await rig.until_pending(0)
    await rig.balance()


async def test_clock_that_is_set_back_stops_nothing(rig: Rig) -> None:
    """A batch that was to go again, a row that lingers, and what arrives afterwards."""
    rig.configure(linger=1.0)
    rig.fault(type="status", status=503)
    time = UnixSeconds(rig.clock() // 1_000 - 7_200)
    await rig.parts.housekeeping.watch()
    await rig.post(2, time=time)
    await rig.until(lambda: rig.count("error IS NOT NULL") == 2)
    await rig.post(1, time=time)
    rig.clock.offset -= HOUR
    await rig.parts.housekeeping.watch()
    await rig.post(1, time=time)
    await rig.until_pending(0)
    await rig.balance()


async def test_answer_to_an_earlier_request_does_not_lift_a_throttle(rig: Rig) -> None:
    rig.configure(batch_size=1, linger=0)
    await rig.post(20)
    await rig.until_pending(0)
    rig.stop_clock()
    rig.hold(times=4)
    rig.fault(after=4, type="status", status=429, retry_after="30")
    await rig.post(12)
    await rig.until(lambda: rig.parts.gates.held("main", None) == "throttled")
    await rig.give_time(0)
    await rig.until(lambda: rig.under_way() == 4)  # a claim that was being written is put back unsent
    claimed = rig.count("attempt > 0")
    rig.clear_faults()
    await rig.until_counts(lambda counts: counts.delivered > 20)  # the earlier requests come back
    await rig.give_time(0.2)
    assert rig.count("attempt > 0") == claimed
    assert rig.parts.gates.accounts["main"].history.window.size == 1
    assert "throttled" in rig.active_troubles()
    rig.pass_time(30 * SECOND)
    await rig.until_pending(0)
    await rig.balance()


async def test_rate_halves_once_however_many_were_on_their_way_and_climbs_again(rig: Rig) -> None:
    rig.configure(batch_size=1, linger=0)
    await rig.post(20)
    await rig.until_pending(0)
    under_way = rig.hold(times=8)
    rig.fault(times=8, type="status", status=429, retry_after="1")
    await rig.post(8)
    await rig.until(lambda: under_way.fired >= 4)
    rig.clear_faults()
    await rig.until(lambda: rig.parts.gates.held("main", None) == "throttled")
    await rig.give_time(0.5)
    assert rig.parts.gates.accounts["main"].history.rate.current == 15_000
    rig.pass_time(MINUTE)
    await rig.until_pending(0)
    assert len([one for one in await rig.requests() if one["answer"] == "HTTP 429"]) >= 4
    await rig.balance()


async def test_emulators_own_limit_is_never_reached(rig: Rig) -> None:
    """With Microsoft's limit as ours no call of a whole backlog is refused for its pace."""
    rig.configure(batch_size=1, linger=0, requests_per_minute=1_000)
    await rig.post(30)
    await rig.until_pending(0)
    assert {request["answer"] for request in await rig.requests()} == {"ok"}
    await rig.balance()
