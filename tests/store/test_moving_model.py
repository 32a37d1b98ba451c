"""An outbox that moves between stores among everything else that happens to it: the model must not notice."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test
from move_kit import contents, house, moved
from outbox_machine import CALM, OutboxMachine
from store_kit import HOUSES

from sidecar.store.moving import row_pages


class MovingMachine(OutboxMachine):
    """The same, with moves to another store of either kind."""

    moves = 0

    @precondition(lambda self: self.steps > CALM)
    @rule(kind=st.sampled_from(sorted(HOUSES)))
    def move_to_another_store(self, kind: str) -> None:
        old, self.moves = self.house, self.moves + 1
        self.run(old.close())
        before = self.run(contents(old))
        self.house = house(kind, self.folder / f"move-{self.moves}")
        self.run(moved(old, self.house))
        assert self.run(contents(self.house)) == self.run(contents(old)) == before
        self.run(old.remove())
        self.ran(f"{type(old).__name__} to {type(self.house).__name__}")
        self._start()


def wandering(runs: int, steps: int) -> Counter[str]:
    """How often it moved from each kind of store to each."""
    taken = Counter[str]()

    def ran(what: str) -> None:
        taken[what] += 1

    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: MovingMachine(lambda folder: house("sqlite", folder), ran),
        settings=settings(
            max_examples=runs, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
    return taken


def test_model_does_not_notice_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_pages, "PAGE_ROWS", 2)
    taken = wandering(runs=6, steps=50)
    assert sum(times for what, times in taken.items() if " to " in what) >= 8, taken


@pytest.mark.faults
@pytest.mark.timeout(3_600)
def test_model_does_not_notice_moves_in_many_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_pages, "PAGE_ROWS", 2)
    taken = wandering(runs=500, steps=60)
    print(taken)
    assert len([what for what in taken if " to " in what]) == len(HOUSES) ** 2
