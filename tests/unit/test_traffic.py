"""What may join the requests that are on their way: no goal holds up another."""

from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.conversion import Kind
from sidecar.core.in_flight import PATIENCE_SECONDS, SILENCE_SECONDS, Traffic, Trip
from sidecar.core.pace import Window

NOW = 1_000.0
WIDE = Window(limit=4, size=4)
A, B = ("A", Kind.CONVERSION), ("B", Kind.CONVERSION)
ADJUSTMENTS = ("A", Kind.ADJUSTMENT)

Move = tuple[tuple[str, Kind], bool, float]
MOVES = st.tuples(st.sampled_from([A, B, ADJUSTMENTS]), st.booleans(), st.floats(0, 20))


def sent(traffic: Traffic, turn: tuple[str, Kind] = A, at: float = NOW, *, resend: bool = False) -> int:
    return traffic.leaves(Trip(*turn, resend, at))


def test_window_bounds_what_is_on_its_way() -> None:
    traffic = Traffic()
    number = sent(traffic)
    assert not traffic.has_room(Window(4, 1), NOW)
    assert traffic.has_room(Window(4, 2), NOW)
    traffic.returns(number, NOW, answered=True)
    assert traffic.has_room(Window(4, 1), NOW)


def test_slow_request_makes_room_but_never_beyond_the_limit() -> None:
    traffic = Traffic()
    sent(traffic)
    late = NOW + PATIENCE_SECONDS
    assert traffic.has_room(Window(4, 1), late)
    assert not traffic.has_room(Window(1, 1), late)


def test_last_place_is_kept_for_another_goal() -> None:
    traffic = Traffic()
    for _ in range(3):
        sent(traffic, A)
    assert not traffic.takes(A, WIDE, NOW, alone=False)
    assert traffic.takes(A, WIDE, NOW, alone=True)
    assert traffic.takes(B, WIDE, NOW, alone=False)


def test_goal_without_an_answer_sends_nothing_new_until_it_gets_one_or_a_minute_has_passed() -> None:
    traffic = Traffic()
    traffic.returns(sent(traffic), NOW, answered=False)
    assert not traffic.takes(A, WIDE, NOW + SILENCE_SECONDS - 1, alone=False)
    assert traffic.takes(A, WIDE, NOW + SILENCE_SECONDS, alone=False)
    assert traffic.takes(B, WIDE, NOW, alone=False)
    traffic.returns(sent(traffic, resend=True), NOW, answered=True)
    assert traffic.takes(A, WIDE, NOW, alone=False)


def test_batch_that_goes_again_in_vain_does_not_silence_its_goal_anew() -> None:
    """It may be one row of that batch that Microsoft stumbles over: those behind it have their turn."""
    traffic = Traffic()
    traffic.returns(sent(traffic), NOW, answered=False)
    for seconds in range(1, 60):
        traffic.returns(sent(traffic, at=NOW + seconds, resend=True), NOW + seconds, answered=False)
    assert not traffic.takes(A, WIDE, NOW + SILENCE_SECONDS - 1, alone=False)
    assert traffic.takes(A, WIDE, NOW + SILENCE_SECONDS, alone=False)


def test_goal_is_not_waited_for_when_no_batch_is_left() -> None:
    traffic = Traffic()
    traffic.returns(sent(traffic), NOW, answered=False)
    traffic.expects_nothing()
    assert traffic.takes(A, WIDE, NOW, alone=False)


def test_goal_with_a_slow_request_sends_nothing_new() -> None:
    traffic = Traffic()
    sent(traffic)
    assert not traffic.takes(A, WIDE, NOW + PATIENCE_SECONDS, alone=True)


def test_adjustments_without_an_answer_keep_no_conversion_of_their_goal_waiting() -> None:
    traffic = Traffic()
    traffic.returns(sent(traffic, ADJUSTMENTS), NOW, answered=False)
    assert not traffic.takes(ADJUSTMENTS, WIDE, NOW, alone=False)
    assert traffic.takes(A, WIDE, NOW, alone=False)


def test_conversion_that_is_answered_says_nothing_of_the_adjustments_of_its_goal() -> None:
    traffic = Traffic()
    traffic.returns(sent(traffic, ADJUSTMENTS), NOW, answered=False)
    traffic.returns(sent(traffic, A), NOW, answered=True)
    assert not traffic.takes(ADJUSTMENTS, WIDE, NOW + SILENCE_SECONDS - 1, alone=False)


def test_slow_adjustments_keep_no_conversion_of_their_goal_waiting() -> None:
    traffic = Traffic()
    sent(traffic, ADJUSTMENTS)
    late = NOW + PATIENCE_SECONDS
    assert traffic.takes(A, WIDE, late, alone=False)
    assert not traffic.takes(ADJUSTMENTS, WIDE, late, alone=False)


def test_last_place_is_kept_for_conversions_beside_adjustments_of_the_same_goal() -> None:
    traffic = Traffic()
    for _ in range(3):
        sent(traffic, ADJUSTMENTS)
    assert not traffic.takes(ADJUSTMENTS, WIDE, NOW, alone=False)
    assert traffic.takes(A, WIDE, NOW, alone=False)


def test_one_batch_goes_again_at_a_time_and_slow_ones_take_half_the_room_at_most() -> None:
    traffic = Traffic()
    assert traffic.takes_resend(WIDE, NOW)
    sent(traffic, resend=True)
    assert not traffic.takes_resend(WIDE, NOW)
    late = NOW + PATIENCE_SECONDS
    assert traffic.takes_resend(WIDE, late)
    sent(traffic, resend=True)
    assert not traffic.takes_resend(WIDE, late + PATIENCE_SECONDS)


@given(st.lists(MOVES, max_size=60), st.integers(1, 8))
def test_never_more_than_the_limit_and_never_stuck(moves: list[Move], limit: int) -> None:
    traffic, now, away = Traffic(), NOW, list[int]()
    window = Window(limit, 1)
    for turn, answered, pause in moves:
        now += pause
        if traffic.has_room(window, now) and traffic.takes(turn, window, now, alone=False):
            away.append(sent(traffic, turn, now))
        elif away:
            traffic.returns(away.pop(0), now, answered=answered)
        assert len(away) <= limit
    for number in away:
        traffic.returns(number, now, answered=False)
    later = now + SILENCE_SECONDS
    assert traffic.has_room(window, later)
    assert traffic.takes(A, window, later, alone=False)
