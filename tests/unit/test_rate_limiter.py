"""Permits and the accounts that share a limit: a throttle of one slows all of its customer, and no other."""

from sidecar.delivery.account_state import AccountStates
from sidecar.microsoft.rate_limiter import RateLimiter

CUSTOMERS = {"main": "111", "twin": "111", "other": "999"}


class Time:
    """Seconds that a test moves on."""

    def __init__(self) -> None:
        self.now, self.limit = 0.0, 1_000.0


def pacer_of(time: Time) -> RateLimiter:
    return RateLimiter(lambda: time.limit, lambda: time.now, lambda: CUSTOMERS, AccountStates().history)


def rates(rate_limiter: RateLimiter) -> list[float]:
    return [rate_limiter.rate(account).current for account in CUSTOMERS]


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
