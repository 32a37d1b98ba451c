"""What may join the requests that are on their way: no goal holds up another."""

from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.adaptive_rate import Window
from sidecar.core.conversion import Kind
from sidecar.core.in_flight import PATIENCE_SECONDS, SILENCE_SECONDS, InFlight, Request

NOW = 1_000.0
WIDE = Window(limit=4, size=4)
A, B = ("A", Kind.CONVERSION), ("B", Kind.CONVERSION)
ADJUSTMENTS = ("A", Kind.ADJUSTMENT)

Move = tuple[tuple[str, Kind], bool, float]
MOVES = st.tuples(st.sampled_from([A, B, ADJUSTMENTS]), st.booleans(), st.floats(0, 20))


def sent(in_flight: InFlight, turn: tuple[str, Kind] = A, at: float = NOW, *, resend: bool = False) -> int:
    return in_flight.started(Request(*turn, resend, at))


def test_window_bounds_what_is_on_its_way() -> None:
    in_flight = InFlight()
    number = sent(in_flight)
    assert not in_flight.has_room(Window(4, 1), NOW)
    assert in_flight.has_room(Window(4, 2), NOW)
    in_flight.finished(number, NOW, answered=True)
    assert in_flight.has_room(Window(4, 1), NOW)


def test_slow_request_makes_room_but_never_beyond_the_limit() -> None:
    in_flight = InFlight()
    sent(in_flight)
    late = NOW + PATIENCE_SECONDS
    assert in_flight.has_room(Window(4, 1), late)
    assert not in_flight.has_room(Window(1, 1), late)


def test_last_place_is_kept_for_another_goal() -> None:
    in_flight = InFlight()
    for _ in range(3):
        sent(in_flight, A)
    assert not in_flight.takes(A, WIDE, NOW, is_only=False)
    assert in_flight.takes(A, WIDE, NOW, is_only=True)
    assert in_flight.takes(B, WIDE, NOW, is_only=False)


def test_goal_without_an_answer_sends_nothing_new_until_it_gets_one_or_a_minute_has_passed() -> None:
    in_flight = InFlight()
    in_flight.finished(sent(in_flight), NOW, answered=False)
    assert not in_flight.takes(A, WIDE, NOW + SILENCE_SECONDS - 1, is_only=False)
    assert in_flight.takes(A, WIDE, NOW + SILENCE_SECONDS, is_only=False)
    assert in_flight.takes(B, WIDE, NOW, is_only=False)
    in_flight.finished(sent(in_flight, resend=True), NOW, answered=True)
    assert in_flight.takes(A, WIDE, NOW, is_only=False)


def test_batch_resent_in_vain_does_not_block_its_goal_again() -> None:
    """It may be one row of that batch that Microsoft stumbles over: those behind it have their turn."""
    in_flight = InFlight()
    in_flight.finished(sent(in_flight), NOW, answered=False)
    for seconds in range(1, 60):
        in_flight.finished(sent(in_flight, at=NOW + seconds, resend=True), NOW + seconds, answered=False)
    assert not in_flight.takes(A, WIDE, NOW + SILENCE_SECONDS - 1, is_only=False)
    assert in_flight.takes(A, WIDE, NOW + SILENCE_SECONDS, is_only=False)


def test_goal_is_not_waited_for_when_no_batch_is_left() -> None:
    in_flight = InFlight()
    in_flight.finished(sent(in_flight), NOW, answered=False)
    in_flight.expects_nothing()
    assert in_flight.takes(A, WIDE, NOW, is_only=False)


def test_goal_with_a_slow_request_sends_nothing_new() -> None:
    in_flight = InFlight()
    sent(in_flight)
    assert not in_flight.takes(A, WIDE, NOW + PATIENCE_SECONDS, is_only=True)


def test_adjustments_without_an_answer_keep_no_conversion_of_their_goal_waiting() -> None:
    in_flight = InFlight()
    in_flight.finished(sent(in_flight, ADJUSTMENTS), NOW, answered=False)
    assert not in_flight.takes(ADJUSTMENTS, WIDE, NOW, is_only=False)
    assert in_flight.takes(A, WIDE, NOW, is_only=False)


def test_conversion_that_is_answered_says_nothing_of_the_adjustments_of_its_goal() -> None:
    in_flight = InFlight()
    in_flight.finished(sent(in_flight, ADJUSTMENTS), NOW, answered=False)
    in_flight.finished(sent(in_flight, A), NOW, answered=True)
    assert not in_flight.takes(ADJUSTMENTS, WIDE, NOW + SILENCE_SECONDS - 1, is_only=False)


def test_slow_adjustments_keep_no_conversion_of_their_goal_waiting() -> None:
    in_flight = InFlight()
    sent(in_flight, ADJUSTMENTS)
    late = NOW + PATIENCE_SECONDS
    assert in_flight.takes(A, WIDE, late, is_only=False)
    assert not in_flight.takes(ADJUSTMENTS, WIDE, late, is_only=False)


def test_last_place_is_kept_for_conversions_beside_adjustments_of_the_same_goal() -> None:
    in_flight = InFlight()
    for _ in range(3):
        sent(in_flight, ADJUSTMENTS)
    assert not in_flight.takes(ADJUSTMENTS, WIDE, NOW, is_only=False)
    assert in_flight.takes(A, WIDE, NOW, is_only=False)


def test_one_batch_goes_again_at_a_time_and_slow_ones_take_half_the_room_at_most() -> None:
    in_flight = InFlight()
    assert in_flight.takes_resend(WIDE, NOW)
    sent(in_flight, resend=True)
    assert not in_flight.takes_resend(WIDE, NOW)
    late = NOW + PATIENCE_SECONDS
    assert in_flight.takes_resend(WIDE, late)
    sent(in_flight, resend=True)
    assert not in_flight.takes_resend(WIDE, late + PATIENCE_SECONDS)


@given(st.lists(MOVES, max_size=60), st.integers(1, 8))
def test_never_more_than_the_limit_and_never_stuck(moves: list[Move], limit: int) -> None:
    in_flight, now, away = InFlight(), NOW, list[int]()
    window = Window(limit, 1)
    for turn, answered, pause in moves:
        now += pause
        if in_flight.has_room(window, now) and in_flight.takes(turn, window, now, is_only=False):
            away.append(sent(in_flight, turn, now))
        elif away:
            in_flight.finished(away.pop(0), now, answered=answered)
        assert len(away) <= limit
    for number in away:
        in_flight.finished(number, now, answered=False)
    later = now + SILENCE_SECONDS
    assert in_flight.has_room(window, later)
    assert in_flight.takes(A, window, later, is_only=False)
