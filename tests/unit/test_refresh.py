"""When an account's goals are read again."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.goals.refresh import next_reading
from sidecar.core.instant import UnixMillis

REFRESH = 900_000


@given(account=st.text(max_size=20), now=st.integers(0, 2**45))
def test_account_is_read_within_one_interval_and_then_at_each(account: str, now: int) -> None:
    first = next_reading(account, UnixMillis(now), REFRESH)
    assert now < first <= now + REFRESH
    assert next_reading(account, first, REFRESH) == first + REFRESH


def test_thousands_of_accounts_that_were_read_together_are_spread_evenly_from_then_on() -> None:
    now = UnixMillis(1_800_000_000_000)
    minutes = Counter((next_reading(f"shop{n}", now, REFRESH) - now) // 60_000 for n in range(10_000))
    assert len(minutes) == 15
    assert max(minutes.values()) < 1.25 * 10_000 / 15
