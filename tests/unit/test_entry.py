"""What happens next to a row, and when: the rules of `core.entry` with plain values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sidecar.core.entry import (
    POISON_AFTER,
    Dead,
    Entry,
    Fault,
    Hold,
    Lane,
    Outcome,
    Requeue,
    Retry,
    Settled,
    after_refusal,
    next_step,
    too_old,
)
from sidecar.core.instant import MAX_AGE_SECONDS, UnixMillis, UnixSeconds
from sidecar.core.states_and_reasons import Reason, State

NOW = UnixMillis(1_795_000_000_000)
FAULT = Fault("OfflineConversionsApplyFailed", 5612, "failed to send")


def entry(age_seconds: int = 60, **fields: object) -> Entry:
    time = UnixSeconds(NOW // 1000 - age_seconds)
    lane = Lane(1, "default", "purchase")
    return Entry(seq=1, lane=lane, time=time, received_at=NOW, **fields)  # type: ignore[arg-type]


def test_refused_row_dies_with_microsofts_symbol_as_reason() -> None:
    fault = Fault("OfflineConversionMicrosoftClickIdInvalid", 5604, "bad")
    assert next_step(entry(), Dead(fault), NOW, 0.5) == Settled(State.DEAD, fault.error, fault)


def test_held_row_is_due_at_once_and_pays_nothing() -> None:
    """A trouble of the goal costs the row nothing: the goal's gate keeps it back, not the row."""
    step = next_step(entry(retries=3), Hold(FAULT, Reason.GOAL_NOT_FOUND), NOW, 0.5)
    assert step == Requeue(NOW, None, FAULT, released=True, retries=3)


@pytest.mark.parametrize("kept", [{"maybe_sent": True}, {"original": 7}])
def test_row_that_must_keep_its_goal_asks_less_and_less_often(kept: dict[str, object]) -> None:
    """Its old goal may be gone for good: once a minute would be once a minute for ninety days."""
    now, pauses = NOW, []
    row = entry(goal="Old", **kept)
    for _ in range(12):
        step = next_step(row, Hold(FAULT, Reason.GOAL_NOT_FOUND), now, 1.0)
        assert isinstance(step, Requeue) and (step.reason, step.released) == (None, False)
        pauses.append((step.due_at - now) // 60_000)
        row, now = replace(row, retries=step.retries), step.due_at
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360, 360]


def test_adjustment_of_what_was_uploaded_elsewhere_is_held_by_its_gate() -> None:
    step = next_step(entry(original=-7), Hold(FAULT, Reason.GOAL_NOT_FOUND), NOW, 1.0)
    assert step == Requeue(NOW, None, FAULT, released=True)


def test_retried_row_waits_and_counts_its_retry() -> None:
    step = next_step(entry(retries=2), Retry(FAULT), NOW, 1.0)
    assert step == Requeue(UnixMillis(NOW + 240_000), Reason.RETRYING, FAULT, released=True, retries=3)


@pytest.mark.parametrize("outcome", [Retry(FAULT), Hold(FAULT, Reason.GOAL_SETTLING)])
def test_row_that_may_have_been_sent_keeps_what_was_sent(outcome: Outcome) -> None:
    step = next_step(entry(maybe_sent=True), outcome, NOW, 0.5)
    assert isinstance(step, Requeue)
    assert not step.released


@pytest.mark.parametrize("outcome", [Retry(FAULT), Hold(FAULT, Reason.GOAL_SETTLING)])
def test_row_over_ninety_days_dies_in_place_of_another_try(outcome: Outcome) -> None:
    step = next_step(entry(age_seconds=MAX_AGE_SECONDS + 1), outcome, NOW, 0.5)
    assert step == Settled(State.DEAD, Reason.TOO_OLD, FAULT)


@given(st.integers(0, 10_000))
def test_number_of_attempts_never_ends_a_row(retries: int) -> None:
    assert isinstance(next_step(entry(retries=retries, attempt=retries), Retry(FAULT), NOW, 0.5), Requeue)


def test_age_limit_is_ninety_days_to_the_second() -> None:
    assert not too_old(UnixSeconds(NOW // 1000 - MAX_AGE_SECONDS), NOW)
    assert too_old(UnixSeconds(NOW // 1000 - MAX_AGE_SECONDS - 1), NOW)


def test_lone_row_dies_at_its_third_refusal_when_others_were_accepted() -> None:
    step = after_refusal(entry(refusals=POISON_AFTER - 1), FAULT, NOW, 0.5, others_accepted=True)
    assert step == Settled(State.DEAD, Reason.POISON, FAULT)


def test_each_refusal_of_a_lone_row_doubles_its_pause_after_any_earlier_retry() -> None:
    steps = [after_refusal(entry(refusals=n, retries=5), FAULT, NOW, 0.0, others_accepted=False) for n in range(3)]
    pauses = [step.due_at - NOW for step in steps if isinstance(step, Requeue)]
    assert pauses == [45_000, 90_000, 180_000]
    assert {step.retries for step in steps if isinstance(step, Requeue)} == {5}


@pytest.mark.parametrize(("refusals", "others_accepted"), [(0, True), (1, True), (2, False), (50, False)])
def test_lone_row_lives_while_the_trouble_may_not_be_its_own(refusals: int, others_accepted: bool) -> None:
    step = after_refusal(entry(refusals=refusals), FAULT, NOW, 0.5, others_accepted)
    assert isinstance(step, Requeue)
    assert step.refusals == refusals + 1
    assert step.due_at > NOW
