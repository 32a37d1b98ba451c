"""Permits and the accounts that share a limit: a throttle of one slows all of its customer, and no other."""

import asyncio
from bisect import bisect_left

from sidecar.delivery.account_state import AccountStates
from sidecar.microsoft.rate_limiter import RateLimiter

CUSTOMERS = {"main": "111", "twin": "111", "other": "999"}


class Time:
    """Seconds that a test moves on."""

    def __init__(self) -> None:
        self.now, self.limit = 0.0, 1_000.0


def sharing(account: str) -> list[str]:
    return [name for name, customer in CUSTOMERS.items() if customer == CUSTOMERS.get(account)]


def pacer_of(time: Time) -> RateLimiter:
    return RateLimiter(lambda: time.limit, lambda: time.now, sharing, AccountStates().history)


def rates(rate_limiter: RateLimiter) -> list[float]:
    return [rate_limiter.rate(account).current for account in CUSTOMERS]


class HurriedLoop(asyncio.SelectorEventLoop):
    """A loop whose waits pass at once, by a time of its own: no machine is too slow for it."""

    passed = 0.0

    def time(self) -> float:
        return self.passed

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self.passed = max(self.passed + 1e-6, self._scheduled[0].when())  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


def test_backlog_gets_nearly_all_permits_of_the_limit_and_no_minute_holds_more() -> None:
    async def all_permits() -> list[float]:
        now, permits = asyncio.get_running_loop().time, []
        rate_limiter = RateLimiter(lambda: 1_000, now, sharing, AccountStates().history)
        for _ in range(3_000):
            await rate_limiter.permit("main")
            permits.append(now())
        return permits

    with asyncio.Runner(loop_factory=HurriedLoop) as runner:
        permits = runner.run(all_permits())
    minutes = [bisect_left(permits, start + 60) - place for place, start in enumerate(permits[:2_000])]
    assert 970 <= min(minutes) <= max(minutes) <= 1_000


def test_no_minute_holds_one_more_where_a_claim_takes_long_between_permit_and_departure() -> None:
    """The database hangs for 5 s: that call leaves late, and the next one has its permit by then."""

    async def all_departures() -> list[float]:
        now, departures = asyncio.get_running_loop().time, []
        rate_limiter = RateLimiter(lambda: 30, now, lambda: CUSTOMERS, AccountStates().history)

        async def send() -> None:
            await rate_limiter.departure("main")
            departures.append(now())

        async with asyncio.TaskGroup() as sends:
            for number in range(100):
                await rate_limiter.permit("main")
                await asyncio.sleep(5 if number == 40 else 0)
                sends.create_task(send())
        return departures

    with asyncio.Runner(loop_factory=HurriedLoop) as runner:
        departures = runner.run(all_departures())
    minutes = [bisect_left(departures, start + 60) - place for place, start in enumerate(departures)]
    assert max(minutes) == 30


def test_throttle_halves_the_rate_of_every_account_of_the_customer() -> None:
    rate_limiter = pacer_of(Time())
    rate_limiter.throttled("main")
    assert rates(rate_limiter) == [500, 500, 1_000]


def test_clean_answer_raises_the_rate_of_its_own_account_after_a_minute() -> None:
    time = Time()
    rate_limiter = pacer_of(time)
    rate_limiter.throttled("twin")
    time.now = 59.0
    rate_limiter.clean_answer("main")
    assert rates(rate_limiter) == [500, 500, 1_000]
    time.now = 60.0
    rate_limiter.clean_answer("main")
    assert rates(rate_limiter) == [600, 500, 1_000]


def test_rate_of_an_account_that_was_elsewhere_has_climbed_by_the_time_that_passed() -> None:
    time = Time()
    rate_limiter = pacer_of(time)
    rate_limiter.throttled("main")
    time.now = 125.0
    rate_limiter.begin_again(["main"])
    assert rates(rate_limiter) == [700, 500, 1_000]
    rate_limiter.clean_answer("main")
    assert rates(rate_limiter) == [700, 500, 1_000]
    time.now = 180.0
    rate_limiter.clean_answer("main")
    assert rates(rate_limiter) == [800, 500, 1_000]
    time.now = 600.0
    rate_limiter.begin_again(["main", "twin", "other"])
    assert rates(rate_limiter) == [1_000, 1_000, 1_000]


def test_rate_that_was_halved_elsewhere_is_taken_over_where_it_is_the_slower_one() -> None:
    time = Time()
    time.now = 1_000.0
    rate_limiter = pacer_of(time)
    rate_limiter.slow_down("main", 0.25, 119.0)
    assert rates(rate_limiter) == [350, 1_000, 1_000]
    rate_limiter.slow_down("main", 0.5, 0.0)
    assert rates(rate_limiter) == [350, 1_000, 1_000]
    time.now = 1_001.0
    rate_limiter.clean_answer("main")
    assert rates(rate_limiter) == [450, 1_000, 1_000]
    time.limit = 1.0
    rate_limiter.slow_down("other", 0.001, 0.0)
    assert rates(rate_limiter) == [1, 1, 1]


def test_removed_account_shares_its_limit_with_no_other() -> None:
    rate_limiter = pacer_of(Time())
    assert rate_limiter.sharing("main") == ["main", "twin"]
    assert rate_limiter.sharing("gone") == []
    rate_limiter.throttled("gone")
    assert rates(rate_limiter) == [1_000, 1_000, 1_000]


def test_other_limit_is_in_force_with_the_next_request() -> None:
    time = Time()
    rate_limiter = pacer_of(time)
    rate_limiter.throttled("main")
    time.limit = 100.0
    assert rates(rate_limiter) == [100, 100, 100]


async def test_changed_rate_makes_the_next_permit_wait_a_whole_interval() -> None:
    """The pace before may have sent just now."""
    time = Time()
    time.limit = 60_000.0
    rate_limiter = pacer_of(time)
    await rate_limiter.permit("main")
    assert not rate_limiter._lane("main").is_fresh
    rate_limiter.throttled("main")
    assert rate_limiter._lane("main").is_fresh
    assert rate_limiter._lane("main").limiter.max_rate == rate_limiter.rate("main").at_once


async def test_calls_of_the_last_minute_are_counted_beside_what_may_be_now() -> None:
    time = Time()
    rate_limiter = pacer_of(time)
    await rate_limiter.permit("main")
    time.now = 30.0
    await rate_limiter.permit("main")
    assert [rate_limiter.last_minute(account) for account in ("main", "twin")] == [(2, 1_000), (0, 1_000)]
    rate_limiter.throttled("twin")
    time.now = 60.0
    assert rate_limiter.last_minute("main") == (1, 500)
    time.now = 90.0
    assert rate_limiter.last_minute("main") == (0, 500)
