"""Which message about a trouble goes to the webhook, and when."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.alerts import (
    MOST_ALERTS,
    Alert,
    AlertKey,
    AlertRules,
    AlertState,
    DueMessage,
    next_message,
    observed,
    sent,
    taken,
)
from sidecar.core.instant import UnixMillis
from sidecar.core.retry import webhook_delay_millis

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
NOW = UnixMillis(1_795_444_245_000)
RULES = AlertRules(repeat_millis=HOUR)
KEY: AlertKey = ("goal_not_found", "main", "Sale")
OTHER: AlertKey = ("throttled", "main", None)
RAISED = Alert(*KEY, NOW)
KNOWN = Alert(*KEY, NOW, taken_at=UnixMillis(NOW + 5 * SECOND))


def at(millis: int) -> UnixMillis:
    return UnixMillis(NOW + millis)


def due(alert: Alert) -> DueMessage:
    message = next_message([alert], RULES)
    assert message is not None
    return message


def after(alert: Alert, millis: int, *, active: bool, since: int = 0) -> Alert | None:
    """The alert after a look at that moment."""
    return observed({alert.key: alert}, {alert.key: at(since)} if active else {}, at(millis)).get(alert.key)


def test_nothing_is_due_without_troubles() -> None:
    assert next_message([], RULES) is None
    assert observed({}, {}, NOW) == {}


def test_new_trouble_is_raised_after_it_lasted_five_seconds() -> None:
    found = observed({}, {KEY: NOW}, at(100))
    assert found == {KEY: RAISED}
    assert due(RAISED) == DueMessage(RAISED, AlertState.RAISED, at(5 * SECOND))


def test_trouble_that_ended_before_any_message_left_is_never_mentioned() -> None:
    assert after(RAISED, 2 * SECOND, active=False) is None


def test_trouble_that_ended_while_its_message_was_not_taken_becomes_one_message_that_it_is_over() -> None:
    """It may have been taken: no answer is no proof. And an outage of an hour is worth one line."""
    ended = after(sent(RAISED), HOUR, active=False)
    assert ended is not None
    message = due(ended)
    assert (message.state, message.due_at) == (AlertState.CLEARED, at(HOUR + 5 * SECOND))
    assert taken(message, at(2 * HOUR)) is None


def test_trouble_that_lasts_is_repeated_from_the_moment_when_the_last_message_was_taken() -> None:
    first = taken(due(RAISED), at(7 * SECOND))
    assert first == Alert(*KEY, NOW, taken_at=at(7 * SECOND))
    again = due(first)
    assert (again.state, again.due_at) == (AlertState.REPEATED, at(HOUR + 7 * SECOND))
    second = taken(again, at(2 * HOUR))
    assert second is not None
    assert due(second).due_at == at(3 * HOUR)


def test_repeat_that_was_not_taken_stays_due_as_a_repeat() -> None:
    message = due(sent(KNOWN))
    assert (message.state, message.due_at) == (AlertState.REPEATED, at(HOUR + 5 * SECOND))


def test_end_is_posted_after_it_lasted_five_seconds() -> None:
    ended = after(KNOWN, 2 * MINUTE, active=False)
    assert ended is not None
    message = due(ended)
    assert (message.state, message.due_at) == (AlertState.CLEARED, at(2 * MINUTE + 5 * SECOND))


def test_look_after_the_end_does_not_move_it() -> None:
    ended = after(KNOWN, 2 * MINUTE, active=False)
    assert ended is not None
    assert after(ended, 3 * MINUTE, active=False) == ended


def test_trouble_that_is_back_before_its_end_was_posted_never_ended_for_the_webhook() -> None:
    ended = after(KNOWN, 2 * MINUTE, active=False)
    assert ended is not None
    assert after(ended, 2 * MINUTE + 100, active=True, since=2 * MINUTE) == KNOWN


def test_trouble_that_is_back_while_its_end_may_have_been_taken_is_raised_again() -> None:
    ended = after(KNOWN, 2 * MINUTE, active=False)
    assert ended is not None
    back = after(sent(ended), 3 * MINUTE, active=True, since=3 * MINUTE)
    assert back is not None
    message = due(back)
    assert (message.state, message.due_at) == (AlertState.RAISED, at(3 * MINUTE + 5 * SECOND))
    assert back.is_unsure, "if it ends now, the webhook may have to hear that, too"


def test_what_was_active_before_a_restart_waits_until_it_is_found_again_or_the_grace_is_over() -> None:
    waiting = observed({KEY: KNOWN}, {}, at(MINUTE), missing={KEY})
    assert waiting == {KEY: KNOWN}
    assert next_message(waiting.values(), RULES, missing={KEY}) is None
    over = observed({KEY: KNOWN}, {}, at(6 * MINUTE))
    assert over[KEY].ended_at == at(6 * MINUTE)


def test_what_is_due_first_goes_first() -> None:
    later = Alert(*OTHER, at(SECOND))
    message = next_message([later, RAISED], RULES)
    assert message is not None
    assert message.alert == RAISED


def test_troubles_beyond_the_limit_wait_until_others_are_over() -> None:
    active: dict[AlertKey, UnixMillis] = {("poison", "main", str(n)): at(n) for n in range(MOST_ALERTS + 10)}
    found = observed({}, active, NOW)
    assert len(found) == MOST_ALERTS
    del active["poison", "main", "0"]
    assert len(observed(found, active, NOW)) == MOST_ALERTS
    assert ("poison", "main", "0") not in observed(found, active, NOW)


@pytest.mark.parametrize(("failures", "most"), [(0, 1), (1, 2), (5, 32), (8, 256), (9, 300), (1_000, 300)])
def test_pause_after_failures_doubles_up_to_five_minutes(failures: int, most: int) -> None:
    assert webhook_delay_millis(failures, 0.0) == SECOND
    assert webhook_delay_millis(failures, 0.999999) in range(most * 999, most * 1000 + 1)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 20 * MINUTE),
            st.sampled_from(["look", "look", "post", "lose"]),
            st.booleans(),
        ),
        max_size=60,
    )
)
def test_webhook_that_is_well_again_ends_up_with_what_is_true(steps: list[tuple[int, str, bool]]) -> None:
    """The receiver believes the last message that reached it; one whose answer was lost may or may not have."""
    now, active, since = 0, False, 0
    alerts: dict[AlertKey, Alert] = {}
    believed: set[str] = set()  # what the receiver may believe
    believed.add("nothing")

    def look() -> None:
        nonlocal alerts
        alerts = observed(alerts, {KEY: at(since)} if active else {}, at(now))

    def post(*, arrives: bool) -> None:
        nonlocal believed
        message = next_message(alerts.values(), RULES)
        if message is None or message.due_at > at(now):
            return
        belief = "over" if message.state is AlertState.CLEARED else "there"
        if arrives:
            believed = {belief}
            kept = taken(message, at(now))
            alerts.pop(KEY) if kept is None else alerts.update({KEY: kept})
        else:
            believed |= {belief}
            alerts[KEY] = sent(message.alert)

    for millis, what, is_active in steps:
        now += millis
        if is_active and not active:
            since = now
        active = is_active
        look()
        if what != "look":
            post(arrives=what == "post")
    for _ in itertools.repeat(None, 3):
        now += 2 * MINUTE
        look()
        post(arrives=True)
    assert believed <= ({"there"} if active else {"nothing", "over"})
