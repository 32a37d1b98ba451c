"""When an account's goals are read again."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.goals.refresh import next_reading, spread_reading
from sidecar.core.instant import UnixMillis

NOW, REFRESH = UnixMillis(1_800_000_000_000), 900_000


@given(account=st.text(max_size=20), accounts=st.integers(1, 100_000))
def test_account_is_read_again_within_one_interval(account: str, accounts: int) -> None:
    assert NOW < spread_reading(account, accounts, NOW, REFRESH) <= next_reading(NOW, REFRESH) == NOW + REFRESH


@given(account=st.text(max_size=20), accounts=st.integers(1, 10))
def test_few_accounts_keep_their_interval(account: str, accounts: int) -> None:
    assert spread_reading(account, accounts, NOW, REFRESH) > NOW + REFRESH - 1_000


def test_thousands_of_accounts_that_were_read_together_are_spread_evenly_from_then_on() -> None:
    minutes = Counter((spread_reading(f"shop{n}", 10_000, NOW, REFRESH) - NOW - 1) // 60_000 for n in range(10_000))
    assert len(minutes) == 15
    assert max(minutes.values()) < 1.25 * 10_000 / 15
