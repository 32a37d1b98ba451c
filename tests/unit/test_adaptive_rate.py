"""Rate and window: numbers in, numbers out."""

from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.adaptive_rate import Rate, RequestHistory, Window


def test_even_spacing_keeps_every_sliding_minute_within_the_limit() -> None:
    """After a pause `at_once` go together, then one each interval: that many more lie in the fullest minute."""
    for limit in range(50, 1001):
        rate = Rate.full(limit, 0)
        assert 60 / rate.interval_seconds + rate.at_once <= limit


def test_late_request_is_made_up_for_only_where_the_minute_has_room() -> None:
    assert [Rate.full(limit, 0).at_once for limit in (1, 50, 99, 150, 200, 1000, 30_000)] == [1, 1, 1, 2, 3, 3, 3]


def test_rate_halves_on_a_throttle_and_climbs_a_tenth_each_clean_minute() -> None:
    rate = Rate.full(1000, now=0).throttled(now=10)
    assert rate.current == 500
    assert rate.clean(now=69).current == 500
    assert rate.clean(now=70).current == 600
    assert rate.clean(now=70).clean(now=71).current == 600


@given(st.lists(st.booleans(), max_size=200))
def test_rate_stays_between_one_and_the_limit(throttles: list[bool]) -> None:
    rate = Rate.full(1000, now=0)
    for step, throttled in enumerate(throttles):
        now = (step + 1) * 61.0
        rate = rate.throttled(now) if throttled else rate.clean(now)
        assert 1 <= rate.current <= 1000


def test_window_climbs_from_one_to_its_limit_and_falls_back_after_a_fault() -> None:
    window = Window(3)
    sizes = []
    for _ in range(4):
        sizes.append(window.size)
        window = window.clean()
    assert sizes == [1, 2, 3, 3]
    assert window.faulted().size == 1


def test_faults_of_requests_that_were_on_their_way_together_count_once() -> None:
    health = RequestHistory(Window(8, 8))
    for late in range(8):
        health.faulted(started_at=100 + late, now=200 + late, chance=0.5)
    assert (health.faults, health.window.size) == (1, 1)
    health.faulted(started_at=300, now=400, chance=0.5)
    assert health.faults == 2


def test_backoff_grows_with_each_fault_of_a_later_request() -> None:
    """Seconds of a clock that never goes back: each fault of a later request is one more."""
    health = RequestHistory(Window(8, 8))
    pauses = [health.faulted(started_at=second, now=second + 0.5, chance=0.999) for second in (1.0, 2.0, 3.0)]
    assert health.faults == 3
    assert pauses == [1_000, 1_998, 3_996]
    assert health.slow_down(4.0, 4.5) and not health.slow_down(4.2, 4.6)
