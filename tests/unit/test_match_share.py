"""When too few of a goal's conversions can be matched, and when that is over."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.match_share import LEAST_RECEIVED, WINDOW, Share


def share(carrying: int, nothing: int) -> Share:
    return Share().plus(("email",), carrying).plus((), nothing)


def test_every_identifier_is_counted_and_each_conversion_once() -> None:
    found = Share().plus(("msclkid", "email")).plus(("email", "phone"), 3).plus((), 2)
    assert found == Share(received=6, carrying=4, msclkid=1, email=4, phone=3, none=2)
    assert found.in_words == ("of the last 6 conversions 4 can be matched: 1 by click id, 4 by e-mail, 3 by phone")


@pytest.mark.parametrize(
    ("carrying", "nothing", "low"),
    [(0, LEAST_RECEIVED - 1, False), (0, LEAST_RECEIVED, True), (19, 81, True), (20, 80, False), (100, 0, False)],
)
def test_share_is_low_below_one_in_five_of_a_hundred(carrying: int, nothing: int, low: bool) -> None:
    assert share(carrying, nothing).is_low(was_low=False) is low


@pytest.mark.parametrize(("carrying", "low"), [(20, True), (24, True), (25, False)])
def test_share_that_was_low_is_over_at_a_quarter(carrying: int, low: bool) -> None:
    assert share(carrying, 100 - carrying).is_low(was_low=True) is low


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            Share(412, 359, 247, 186, 41),
            "87 % of the last 412 conversions can be matched (60 % by click id, 45 % by e-mail, 10 % by phone)",
        ),
        (
            Share(1, 1, 1),
            "100 % of the last conversion can be matched (100 % by click id, 0 % by e-mail, 0 % by phone)",
        ),
        (
            Share(1_000, 999, 1),
            "99 % of the last 1000 conversions can be matched (1 % by click id, 0 % by e-mail, 0 % by phone)",
        ),
        (Share(), "nothing came in yet"),
    ],
)
def test_share_is_a_percentage(found: Share, said: str) -> None:
    assert found.percent == said


def test_old_conversions_fade() -> None:
    """A month of nothing is made up for by the next thousand orders."""
    found = share(0, 1_000_000)
    assert found.is_low(was_low=False)
    for _ in range(WINDOW):
        found = found.plus(("msclkid",))
    assert not found.is_low(was_low=True)


def test_unusable_identifier_counts_as_none() -> None:
    """A visitor's id alone is no identifier yet: its click may never be found."""
    assert Share().plus(("visitor",), 3) == Share(received=3, visitor=3)


@given(st.lists(st.tuples(st.sampled_from([(), ("msclkid",), ("email", "phone")]), st.integers(1, 3_000)), max_size=30))
def test_numbers_stay_bounded_and_in_proportion(arrivals: list[tuple[tuple[str, ...], int]]) -> None:
    found = Share()
    for matched_by, n in arrivals:
        found = found.plus(matched_by, n)
        assert 0 <= found.carrying <= found.received <= WINDOW
        assert max(found.msclkid, found.email, found.phone) <= found.carrying
