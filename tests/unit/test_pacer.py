"""Permits and the accounts that share a limit: a throttle of one slows all of its customer, and no other."""

from sidecar.delivery.account_state import AccountStates
from sidecar.microsoft.pacer import Pacer

CUSTOMERS = {"main": "111", "twin": "111", "other": "999"}


class Time:
    """Seconds that a test moves on."""

    def __init__(self) -> None:
        self.now, self.limit = 0.0, 1_000.0


def pacer_of(time: Time) -> Pacer:
    return Pacer(lambda: time.limit, lambda: time.now, lambda: CUSTOMERS, AccountStates().history)


def rates(pacer: Pacer) -> list[float]:
    return [pacer.rate(account).current for account in CUSTOMERS]


def test_throttle_halves_the_rate_of_every_account_of_the_customer() -> None:
    pacer = pacer_of(Time())
    pacer.throttled("main")
    assert rates(pacer) == [500, 500, 1_000]


def test_clean_answer_raises_the_rate_of_its_own_account_after_a_minute() -> None:
    time = Time()
    pacer = pacer_of(time)
    pacer.throttled("twin")
    time.now = 59.0
    pacer.clean_answer("main")
    assert rates(pacer) == [500, 500, 1_000]
    time.now = 60.0
    pacer.clean_answer("main")
    assert rates(pacer) == [600, 500, 1_000]


def test_account_that_the_configuration_no_longer_has_shares_its_limit_with_nobody() -> None:
    pacer = pacer_of(Time())
    assert pacer.sharing("main") == ["main", "twin"]
    assert pacer.sharing("gone") == []
    pacer.throttled("gone")
    assert rates(pacer) == [1_000, 1_000, 1_000]


def test_other_limit_is_in_force_with_the_next_request() -> None:
    time = Time()
    pacer = pacer_of(time)
    pacer.throttled("main")
    time.limit = 100.0
    assert rates(pacer) == [100, 100, 100]


async def test_changed_rate_makes_the_next_permit_wait_a_whole_interval() -> None:
    """The pace before may have sent just now."""
    time = Time()
    time.limit = 60_000.0
    pacer = pacer_of(time)
    await pacer.permit("main")
    assert not pacer._lane("main").is_fresh
    pacer.throttled("main")
    assert pacer._lane("main").is_fresh
    assert pacer._lane("main").limiter.max_rate == pacer.rate("main").at_once
