"""What is closed holds its own rows back and no others."""

import pytest

from sidecar.core.instant import UnixMillis
from sidecar.core.states_and_reasons import Reason
from sidecar.delivery.account_state import GoalHold
from sidecar.delivery.gates import PROBE_MILLIS, Gates, GoalGate

NOW = UnixMillis(1_795_000_000_000)
LATER = UnixMillis(NOW + PROBE_MILLIS)


def test_closed_goal_leaves_other_goals_and_accounts_open() -> None:
    gates = Gates()
    gates.close_goal("a", "Gone", Reason.GOAL_NOT_FOUND, NOW)
    assert gates.goal("a", "Gone", NOW) is GoalGate.CLOSED
    assert gates.goal("a", "Other", NOW) is GoalGate.OPEN
    assert gates.goal("b", "Gone", NOW) is GoalGate.OPEN


def test_closed_goal_is_probed_every_quarter_of_an_hour() -> None:
    gates = Gates()
    gates.close_goal("a", "Gone", Reason.GOAL_NOT_FOUND, NOW)
    assert gates.goal("a", "Gone", LATER) is GoalGate.PROBE
    gates.probing("a", "Gone", LATER)
    assert gates.goal("a", "Gone", LATER) is GoalGate.CLOSED


def test_goal_that_takes_a_row_is_open_again() -> None:
    gates = Gates()
    gates.close_goal("a", "Gone", Reason.GOAL_NOT_FOUND, NOW)
    assert gates.open_goal("a", "Gone")
    assert gates.goal("a", "Gone", NOW) is GoalGate.OPEN
    assert not gates.open_goal("a", "Gone")


def test_paused_account_sends_nothing_until_its_time() -> None:
    gates = Gates()
    gates.close_account("a", Reason.ACCOUNT_PAUSED, NOW, LATER)
    assert not gates.lets_out("a", NOW)
    assert gates.lets_out("a", LATER)
    assert gates.lets_out("b", NOW)


def test_clock_that_is_set_back_makes_no_pause_longer() -> None:
    gates = Gates()
    gates.close_account("main", None, NOW, UnixMillis(NOW + 1_000))
    gates.close_goal("main", "Lead", Reason.GOAL_NOT_FOUND, NOW)
    before = UnixMillis(NOW - 3_600_000)
    assert not gates.lets_out("main", before)
    assert gates.lets_out("main", UnixMillis(before + 1_000))
    assert gates.goal("main", "Lead", before) is GoalGate.CLOSED
    assert gates.goal("main", "Lead", UnixMillis(before + PROBE_MILLIS)) is GoalGate.PROBE


def test_nothing_goes_out_without_a_sign_in() -> None:
    gates = Gates()
    gates.connect(False)
    assert not gates.lets_out("a", NOW)
    assert gates.held("a", "Goal") is Reason.NOT_CONNECTED


def test_fix_tries_everything_at_once() -> None:
    called = []
    gates = Gates(changed=lambda: called.append(1))
    gates.connect(False)
    gates.close_account("a", Reason.ACCOUNT_PAUSED, NOW, LATER)
    gates.close_goal("a", "Gone", Reason.GOAL_NOT_FOUND, NOW)
    gates.connect(True)
    assert gates.lets_out("a", NOW)
    assert gates.goal("a", "Gone", NOW) is GoalGate.PROBE
    assert called


def test_microsofts_own_wait_lasts_after_a_fix() -> None:
    gates = Gates()
    gates.close_account("a", Reason.THROTTLED, NOW, LATER)
    gates.retry_now()
    assert not gates.lets_out("a", NOW)


def test_rows_show_why_they_wait() -> None:
    gates = Gates()
    gates.close_goal("a", "Gone", Reason.GOAL_NOT_FOUND, NOW)
    assert gates.held("a", "Gone") is Reason.GOAL_NOT_FOUND
    gates.close_account("a", Reason.THROTTLED, NOW, LATER)
    assert gates.held("a", "Gone") is Reason.THROTTLED
    assert gates.held("b", "Gone") is None


def test_short_pause_after_a_fault_has_no_reason_of_its_own() -> None:
    gates = Gates()
    gates.close_account("a", None, NOW, LATER)
    assert gates.held("a", "Goal") is None


def test_accounts_that_left_the_configuration_are_forgotten() -> None:
    gates = Gates()
    gates.close_account("a", Reason.ACCOUNT_PAUSED, NOW, LATER)
    gates.close_goal("a", "Goal", Reason.GOAL_NOT_FOUND, NOW)
    gates.forget_but({"b"}, {("b", "Goal")})
    assert gates.held("a", "Goal") is None


def test_goals_that_nothing_maps_to_any_more_are_forgotten() -> None:
    gates = Gates()
    gates.close_goal("a", "Gone", Reason.GOAL_NOT_FOUND, NOW)
    gates.forget_but({"a"}, {("a", "Other")})
    assert gates.goal("a", "Gone", NOW) is GoalGate.OPEN


def test_goal_that_only_another_account_names_is_forgotten() -> None:
    gates = Gates()
    for account in ("a", "b"):
        gates.close_goal(account, "Goal", Reason.GOAL_NOT_FOUND, NOW)
        gates.hold_goals(account, {"Goal": PAUSED})
    gates.forget_but({"a", "b"}, {("a", "Other"), ("b", "Goal")})
    assert [gates.goal(account, "Goal", NOW) for account in ("a", "b")] == [GoalGate.OPEN, GoalGate.CLOSED]


def test_clock_that_is_set_moves_what_is_closed_with_it() -> None:
    gates = Gates()
    gates.close_account("a", Reason.THROTTLED, NOW, LATER)
    gates.close_goal("a", "Gone", Reason.GOAL_NOT_FOUND, NOW)
    hour = 3_600_000
    gates.shift(hour)
    before, then = UnixMillis(LATER + hour - 1), UnixMillis(LATER + hour)
    assert (gates.lets_out("a", before), gates.goal("a", "Gone", before)) == (False, GoalGate.CLOSED)
    assert (gates.lets_out("a", then), gates.goal("a", "Gone", then)) == (True, GoalGate.PROBE)


def test_answer_to_a_request_that_left_before_a_second_refusal_opens_nothing() -> None:
    gates = Gates()
    gates.close_account("a", Reason.THROTTLED, NOW, LATER)
    gates.close_account("a", None, UnixMillis(NOW + 10), UnixMillis(NOW + 1_000))
    assert not gates.open_account("a", UnixMillis(NOW + 5))
    assert gates.open_account("a", UnixMillis(NOW + 11))


def test_answer_to_a_request_that_left_before_the_closing_opens_nothing() -> None:
    gates = Gates()
    gates.close_account("a", Reason.THROTTLED, NOW, LATER)
    assert not gates.open_account("a", NOW)
    assert not gates.lets_out("a", NOW)
    assert gates.open_account("a", UnixMillis(NOW + 1))
    assert gates.lets_out("a", NOW)


def test_shorter_pause_does_not_shorten_a_longer_one() -> None:
    gates = Gates()
    gates.close_account("a", Reason.THROTTLED, NOW, LATER)
    gates.close_account("a", None, NOW, UnixMillis(NOW + 1_000))
    assert not gates.lets_out("a", UnixMillis(LATER - 1))
    assert gates.held("a", None) is Reason.THROTTLED


def test_refreshed_token_opens_no_paused_account() -> None:
    """Each trial of an account may refresh the token: two paused accounts must not wake each other for ever."""
    gates = Gates()
    gates.close_account("a", Reason.ACCOUNT_PAUSED, NOW, LATER)
    gates.connect(True)
    assert not gates.lets_out("a", NOW)


def test_account_that_an_operator_paused_opens_only_when_the_operator_resumes_it() -> None:
    """Neither an answer, nor a new sign-in, nor a reload, nor time opens it."""
    called: list[str] = []
    gates = Gates(opened=called.append)
    gates.pause("a", NOW)
    assert not gates.lets_out("a", UnixMillis(NOW + 10**12))
    gates.open_account("a", UnixMillis(NOW + 1))
    gates.connect(False)
    gates.connect(True)
    gates.retry_now()
    gates.forget_but({"b"}, set())
    assert (gates.lets_out("a", LATER), gates.held("a", None)) == (False, Reason.ACCOUNT_PAUSED)
    assert gates.lets_out("b", NOW)
    called.clear()
    gates.resume("a")
    assert (gates.lets_out("a", NOW), gates.held("a", None), called) == (True, None, ["a"])


def test_resuming_tries_an_account_at_once_that_microsoft_refused() -> None:
    gates = Gates()
    gates.close_account("a", Reason.ACCOUNT_PAUSED, NOW, LATER)
    gates.resume("a")
    assert gates.lets_out("a", NOW)
    gates.close_account("a", Reason.THROTTLED, NOW, LATER)
    gates.resume("a")
    assert not gates.lets_out("a", NOW)


# --- What the catalogue says -----------------------------------------------------------------------------------------

PAUSED = GoalHold(Reason.GOAL_PAUSED, "goal_paused")
YOUNG = GoalHold(Reason.GOAL_SETTLING, "goal_settling", LATER)


def test_nothing_leaves_an_account_before_its_first_reading_has_ended() -> None:
    called: list[str] = []
    gates = Gates(opened=called.append)
    gates.await_reading(["a"])
    assert not gates.lets_out("a", NOW)
    assert gates.lets_out("b", NOW)
    assert gates.held("a", "Goal") is None
    gates.reading_ended("a")
    gates.reading_ended("a")
    assert gates.lets_out("a", NOW)
    assert called == ["a"]


def test_goal_that_the_catalogue_holds_is_not_probed() -> None:
    gates = Gates()
    gates.hold_goals("a", {"Goal": PAUSED})
    gates.retry_now()
    assert gates.goal("a", "Goal", UnixMillis(NOW + 100 * PROBE_MILLIS)) is GoalGate.CLOSED
    assert gates.goal("b", "Goal", NOW) is GoalGate.OPEN
    assert gates.held("a", "Goal") is Reason.GOAL_PAUSED


def test_next_reading_opens_what_the_one_before_held() -> None:
    called: list[str] = []
    gates = Gates(opened=called.append)
    gates.hold_goals("a", {"Goal": PAUSED, "Other": YOUNG})
    assert called == []
    gates.hold_goals("a", {"Other": YOUNG})
    assert gates.goal("a", "Goal", NOW) is GoalGate.OPEN
    assert called == ["a"]


def test_young_goal_opens_by_itself_when_it_is_old_enough() -> None:
    gates = Gates()
    gates.hold_goals("a", {"Goal": YOUNG})
    assert gates.goal("a", "Goal", UnixMillis(LATER - 1)) is GoalGate.CLOSED
    assert gates.goal("a", "Goal", LATER) is GoalGate.OPEN


def test_row_that_microsoft_takes_opens_nothing_that_the_catalogue_holds() -> None:
    """It may take a row of a goal that is too young or paused, and drop it without a word."""
    gates = Gates()
    gates.hold_goals("a", {"Goal": PAUSED})
    gates.close_goal("a", "Goal", Reason.GOAL_NOT_FOUND, NOW)
    assert not gates.open_goal("a", "Goal")
    assert gates.goal("a", "Goal", NOW) is GoalGate.CLOSED


@pytest.mark.parametrize(
    ("refused_for", "read_at", "gate"),
    [
        pytest.param(Reason.GOAL_NOT_FOUND, NOW + 1, GoalGate.OPEN, id="read after the refusal"),
        pytest.param(Reason.GOAL_NOT_FOUND, NOW, GoalGate.CLOSED, id="read before the refusal"),
        pytest.param(Reason.GOAL_SETTLING, NOW + 1, GoalGate.CLOSED, id="too young, and a reading names no age"),
    ],
)
def test_reading_that_shows_a_goal_opens_it_at_once_where_it_is_newer_than_the_refusal(
    refused_for: Reason, read_at: int, gate: GoalGate
) -> None:
    """A goal that is too young for Microsoft is opened by a probe only."""
    gates = Gates()
    gates.close_goal("a", "Goal", refused_for, NOW)
    gates.seen_goal("a", "Goal", UnixMillis(read_at))
    assert gates.goal("a", "Goal", NOW) is gate


def test_what_the_catalogue_says_comes_before_an_answer() -> None:
    gates = Gates()
    gates.close_goal("a", "Goal", Reason.GOAL_NOT_FOUND, NOW)
    gates.hold_goals("a", {"Goal": PAUSED})
    assert (gates.held("a", "Goal"), gates.refusal_reason("a", "Goal")) == (Reason.GOAL_PAUSED, Reason.GOAL_NOT_FOUND)
    assert gates.hold_of("a", "Goal") == PAUSED


def test_holds_of_what_left_the_configuration_are_forgotten() -> None:
    gates = Gates()
    gates.await_reading(["a", "b"])
    for account in ("a", "b"):
        gates.hold_goals(account, {"Goal": PAUSED, "Other": PAUSED})
    gates.forget_but({"a"}, {("a", "Goal")})
    assert [gates.held("a", "Goal"), gates.held("a", "Other"), gates.held("b", "Goal")] == [
        Reason.GOAL_PAUSED,
        None,
        None,
    ]
    assert (gates.awaits_reading("a"), gates.awaits_reading("b")) == (True, False)


def test_what_microsoft_asked_to_wait_is_not_shortened_by_a_reload_or_a_sign_in() -> None:
    gates = Gates()
    gates.close_account("throttled", Reason.THROTTLED, NOW, LATER)
    gates.close_account("paused", Reason.ACCOUNT_PAUSED, NOW, LATER)
    gates.retry_now()
    assert not gates.lets_out("throttled", UnixMillis(LATER - 1))
    assert gates.lets_out("throttled", LATER)
    assert gates.lets_out("paused", NOW)
