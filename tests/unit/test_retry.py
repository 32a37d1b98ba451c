"""How long to wait before another try: numbers in, numbers out."""

from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.retry import (
    BACKOFF_CAP_MILLIS,
    BACKOFF_FLOOR_MILLIS,
    ROW_CAP_MILLIS,
    backoff_millis,
    row_delay_millis,
)

CHANCES = st.floats(0, 1, exclude_max=True)


@given(st.integers(1, 10_000), CHANCES)
def test_backoff_is_never_a_tight_loop_and_never_over_a_minute(faults: int, chance: float) -> None:
    assert BACKOFF_FLOOR_MILLIS <= backoff_millis(faults, chance) <= BACKOFF_CAP_MILLIS


def test_backoff_doubles_with_each_fault() -> None:
    assert [backoff_millis(faults, 0.999999) // 999 for faults in (1, 2, 3, 4)] == [1, 2, 4, 8]


@given(st.integers(0, 10_000), CHANCES)
def test_delay_of_a_row_doubles_up_to_six_hours(retries: int, chance: float) -> None:
    delay = row_delay_millis(retries, chance)
    assert 0.75 * 60_000 <= delay <= ROW_CAP_MILLIS
    assert delay <= row_delay_millis(retries + 1, chance)


def test_delay_of_a_row_begins_with_a_minute_and_reaches_six_hours() -> None:
    assert [round(row_delay_millis(n, 0.999999) / 60_000) for n in (0, 1, 2, 8, 9)] == [1, 2, 4, 256, 360]
