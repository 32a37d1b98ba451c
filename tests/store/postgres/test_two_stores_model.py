"""Two stores over one database, in turns at random, against the model of one store: they answer as one would."""

from collections import Counter

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from outbox_machine import OutboxMachine
from two_stores_kit import TurnsHouse


def test_two_stores_that_take_turns_and_the_model_of_one_agree_after_any_calls() -> None:
    taken = Counter[str]()

    def ran(what: str) -> None:
        taken[what] += 1

    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: OutboxMachine(TurnsHouse, ran),
        settings=settings(
            max_examples=5, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
    assert taken["step"] > 20
