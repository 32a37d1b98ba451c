"""Which days of the by-goal report are read again, and with how few calls."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verdict_kit import TODAY, days_ago, goal_day

from sidecar.core.instant import DAY_SECONDS, UnixSeconds
from sidecar.core.report import MAX_DAYS, MAX_GOALS, RECENT_DAYS, KnownDay, KnownDays, calls, wanted_days


def known(sent: set[int], read: dict[int, bool] | None = None) -> KnownDays:
    """Days ago of deliveries, and of readings with whether they are settled."""
    lines = {days_ago(ago): KnownDay(goal_day(ago), is_settled) for ago, is_settled in (read or {}).items()}
    return KnownDays({"Sale": {days_ago(ago) for ago in sent}}, {"Sale": lines})


def wanted(sent: set[int], read: dict[int, bool] | None = None) -> set[int]:
    return {(TODAY - day) // DAY_SECONDS for day in wanted_days(known(sent, read), "Sale", TODAY)}


def test_goal_that_nothing_was_delivered_to_is_not_read() -> None:
    assert wanted(set()) == set()
    assert wanted_days(known({3}), "Other", TODAY) == set()


def test_first_day_is_that_of_the_first_delivery() -> None:
    assert wanted({3}) == {0, 1, 2, 3}


def test_recent_days_are_read_in_every_round_also_settled_ones() -> None:
    assert wanted({30}, dict.fromkeys(range(31), True)) == set(range(RECENT_DAYS))


def test_older_day_is_read_until_two_readings_were_the_same() -> None:
    assert wanted({60, 40, 20}, {40: False, 20: True}) == {60, 40} | set(range(RECENT_DAYS))


def test_old_day_on_which_others_uploaded_is_read_until_it_is_settled() -> None:
    assert 25 in wanted({30}, {30: True, 25: False})


def test_month_of_twenty_goals_takes_the_fewest_calls() -> None:
    days = {days_ago(ago) for ago in range(30)}
    found = list(calls({str(number): days for number in range(20)}))
    assert [len(call.days) for call in found] == [7, 7, 7, 7, 2]
    assert all(len(call.goal_ids) == 20 for call in found)


def test_recent_days_of_one_goal_take_two_calls() -> None:
    assert len(list(calls({"1": {days_ago(ago) for ago in range(RECENT_DAYS)}}))) == 2


@given(
    st.dictionaries(st.integers(1, 60).map(str), st.sets(st.integers(0, 89).map(days_ago), max_size=30), max_size=45)
)
def test_calls_cover_every_wanted_day_within_microsofts_limits(days: dict[str, set[UnixSeconds]]) -> None:
    found = list(calls(days))
    assert all(1 <= len(call.goal_ids) <= MAX_GOALS and 1 <= len(call.days) <= MAX_DAYS for call in found)
    covered = {(goal_id, day) for call in found for goal_id in call.goal_ids for day in call.days}
    assert covered >= {(goal_id, day) for goal_id, each in days.items() for day in each}
    assert all(any(days[goal_id] & set(call.days) for goal_id in call.goal_ids) for call in found)


@pytest.mark.parametrize("ahead", [1, 400])
def test_day_of_a_clock_that_was_ahead_is_not_asked_for(ahead: int) -> None:
    """Microsoft refuses a range that has not come."""
    assert wanted({-ahead, 2}) == {0, 1, 2}
    assert wanted({-ahead}) == set()
