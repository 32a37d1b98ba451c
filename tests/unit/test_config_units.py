"""Durations and sizes, to numbers and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.config.units import bytes_of, duration_text, seconds_of, size_text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("30s", 30.0), ("15m", 900.0), ("2h", 7200.0), ("90d", 7_776_000.0), ("0s", 0.0), ("007s", 7.0)],
)
def test_durations(text: str, seconds: float):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "30", "s", "-1s", "1.5h", "1h30m", "30 s", " 30s", "30S", "30sec", "1w", "٣s", "1e3s"]
)
def test_other_durations_are_refused(text: str):
    with pytest.raises(ValueError, match="must be a duration"):
        seconds_of(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(5400.0, "90m"), (0.25, "250ms"), (0.0, "0s"), (86_400.0, "1d"), (61.0, "61s")]
)
def test_durations_are_shown_in_the_largest_unit_that_fits(seconds: float, text: str):
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("text", "size"), [("64KiB", 65_536), ("2MiB", 2_097_152), ("1GiB", 2**30), ("3TiB", 3 * 2**40), ("1000B", 1000)]
)
def test_sizes(text: str, size: int):
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "64", "KiB", "-1KiB", "1.5MiB", "64kib", "64 KiB", "1PiB"])
def test_other_sizes_are_refused(text: str):
    with pytest.raises(ValueError, match="must be a size: a whole number and a unit"):
        bytes_of(text)


@pytest.mark.parametrize(
    ("text", "unit"), [("2MB", "1MiB"), ("64KB", "1KiB"), ("64kB", "1KiB"), ("1G", "1GiB"), ("1 TB", "1TiB")]
)
def test_decimal_units_are_refused_with_the_binary_one(text: str, unit: str):
    with pytest.raises(ValueError, match=unit):
        bytes_of(text)


@given(st.integers(0, 10**13))
def test_every_duration_to_the_millisecond_comes_back(millis: int):
    assert seconds_of(duration_text(millis / 1000)) == millis / 1000


@given(st.integers(0, 2**49))
def test_every_size_comes_back(size: int):
    assert bytes_of(size_text(size)) == size
