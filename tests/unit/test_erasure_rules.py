"""Which rows of an erasure keep their bytes for now, by table."""

import pytest

from sidecar.core.erasure import RowToErase, must_wait
from sidecar.core.states_and_reasons import State

ENDED = (State.DELIVERED, State.DEAD, State.SKIPPED, State.CANCELED)


@pytest.mark.parametrize("is_conversion", [True, False])
def test_pending_row_waits_until_it_is_settled(is_conversion: bool) -> None:
    assert must_wait(RowToErase(1, State.PENDING, is_conversion, has_pending_adjustment=False), ())


@pytest.mark.parametrize("state", ENDED)
def test_row_that_ended_waits_only_for_an_adjustment_that_has_to_go_out(state: State) -> None:
    assert must_wait(RowToErase(1, state, is_conversion=True, has_pending_adjustment=True), ())
    assert not must_wait(RowToErase(1, state, is_conversion=True, has_pending_adjustment=False), ())


@pytest.mark.parametrize("state", ENDED)
@pytest.mark.parametrize("is_conversion", [True, False])
def test_only_a_conversion_that_was_delivered_since_waits_to_be_retracted(state: State, is_conversion: bool) -> None:
    row = RowToErase(1, state, is_conversion, has_pending_adjustment=False)
    assert must_wait(row, {1}) is (is_conversion and state is State.DELIVERED)
    assert not must_wait(row, {2})
    assert row.is_delivered_adjustment is (not is_conversion and state is State.DELIVERED)
