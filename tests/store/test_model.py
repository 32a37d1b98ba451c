"""The store against a small model of it: after any calls in any order, both give the same answers."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from outbox_machine import OutboxMachine
from store_kit import HOUSES, House, runs_over


@pytest.fixture(params=HOUSES)
def build(request: pytest.FixtureRequest) -> Callable[[Path], House]:
    """How a house of this store is built."""
    return HOUSES[request.param]


def compare(build: Callable[[Path], House], runs: int, steps: int) -> Counter[str]:
    """How many steps were taken, after each of which store and model said the same, and how many batches halved."""
    taken = Counter[str]()

    def ran(what: str) -> None:
        taken[what] += 1

    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: OutboxMachine(build, ran),
        settings=settings(
            max_examples=runs, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
    return taken


def test_store_and_model_agree_after_any_calls(build: Callable[[Path], House]) -> None:
    runs = runs_over(build, 60)
    taken = compare(build, runs, steps=40)
    assert taken["step"] > runs
    assert taken["halve"] > 0


@pytest.mark.faults
@pytest.mark.timeout(3_600)
def test_store_and_model_say_the_same_in_a_hundred_thousand_steps(build: Callable[[Path], House]) -> None:
    taken = compare(build, runs_over(build, 2_000), steps=50)
    print(f"{taken['step']:,} steps: store and model agree after each")
    assert taken["step"] > runs_over(build, 50_000)
