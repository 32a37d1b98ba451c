"""The checker of histories: passes every valid one, and names what is wrong with any other."""

import random

import pytest
from history_check.checking import violations
from history_check.events import Disaster, Requested, TookOver
from history_check.limit import fullest, fullest_over
from history_check.violation import Kind
from history_story import LIMIT, Change, Plan, Story, changes
from hypothesis import given
from hypothesis import strategies as st
from replica_trial.figures import Figures

ALWAYS = (
    Plan("shop0", (0,), 1, "delivered", lost=1, restated=(7, 8), has_click=True),
    Plan("shop1", (), 0, "pending"),
)
"""Something of everything, so that each change finds what it changes."""

PLANS = st.builds(
    Plan,
    account=st.sampled_from(["shop0", "shop1", "shop2"]),
    failures=st.lists(st.sampled_from([0, 503]), max_size=3),
    repeats=st.integers(0, 2),
    state=st.sampled_from(["delivered", "delivered", "pending", "dead", "skipped", "canceled"]),
    lost=st.integers(0, 3),
    restated=st.lists(st.integers(1, 5), max_size=3),
    is_retracted=st.booleans(),
    has_click=st.booleans(),
)
STORIES = st.lists(PLANS, max_size=8).map(lambda plans: Story().live([*ALWAYS, *plans]))


@given(STORIES, st.randoms(use_true_random=False))
def test_valid_history_passes_in_any_order_of_its_lines(story: Story, chance: random.Random) -> None:
    log = list(story.log)
    chance.shuffle(log)
    assert violations(log, LIMIT) == []


@pytest.mark.parametrize(("kind", "change"), list(changes()))
@given(story=STORIES, chance=st.randoms(use_true_random=False))
def test_each_single_fault_is_reported_as_what_it_is(
    kind: Kind, change: Change, story: Story, chance: random.Random
) -> None:
    log = list(story.log)
    change(log, chance)
    assert {violation.kind for violation in violations(log, LIMIT)} == {kind}


def test_violation_is_told_in_one_line() -> None:
    log = [Requested(n, "shop0", f"t-{n}") for n in range(LIMIT + 1)]
    told = "limit: shop0 sent 31 requests within one minute, and may send 30"
    assert list(map(str, violations(log, LIMIT))) == [told]


@pytest.mark.parametrize(
    ("at", "most"), [([], 0), ([5], 1), ([0, 59_999], 2), ([0, 60_000], 1), ([0, 1, 60_000, 60_000, 120_001], 3)]
)
def test_fullest_minute_slides_and_ends_before_its_sixtieth_second(at: list[int], most: int) -> None:
    assert fullest(at) == most


@pytest.mark.parametrize(
    ("at", "moments", "most"),
    [
        ([0, 1, 2, 70_000, 70_001], [], 0),
        ([0, 1, 2, 70_000, 70_001], [70_000], 0),
        ([0, 1, 2, 70_001, 70_003], [70_002], 2),
        ([0, 1, 2, 59_000, 70_000], [30_000], 4),
        ([0, 1, 2, 59_000, 70_000], [65_000], 2),
    ],
)
def test_minute_over_a_moment_has_requests_before_and_after_it(at: list[int], moments: list[int], most: int) -> None:
    assert fullest_over(at, moments) == most


def test_figures_count_only_takeovers_by_another_replica_and_requests_beside_no_disaster() -> None:
    requests = [Requested(at, "shop0", f"t-{at}") for at in (0, 10, 20, 30, 40)]
    holders = [TookOver(1, "shop0", "a"), TookOver(2, "shop0", "a"), TookOver(35, "shop0", "b")]
    disasters = [Disaster(5, 12, "cut"), Disaster(10, 25, "kill -9")]
    figures = Figures([*requests, *holders, *disasters], LIMIT)
    assert (figures.changes, figures.fullest, figures.fullest_over_a_change, figures.in_the_calm) == (1, 5, 5, 3)
