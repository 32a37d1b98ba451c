"""Converts durations and sizes to numbers and back: `500ms 30s 15m 2h 90d`, `64KiB 2MiB`."""

import re

_MILLIS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_BYTES = {"TiB": 2**40, "GiB": 2**30, "MiB": 2**20, "KiB": 2**10, "B": 1}
_DECIMAL = re.compile(r"\d+ ?([kKMGT])[bB]?")


def seconds_of(text: str) -> float:
    """The seconds in `text`: a whole number and one of ms, s, m, h, d. Raises ValueError for anything else."""
    millis = _scaled(text, _MILLIS)
    if millis is None:
        raise ValueError("must be a duration: a whole number and a unit, such as 500ms, 30s, 15m, 2h or 90d")
    return millis / 1000


def duration_text(seconds: float) -> str:
    """The shortest way to write `seconds`, to the millisecond: 5400.0 is `90m`."""
    return _written(round(seconds * 1000), _MILLIS, "s")


def bytes_of(text: str) -> int:
    """The bytes in `text`: a whole number and one of B, KiB, MiB, GiB, TiB. Raises ValueError for anything else.

    KB and MB are refused, since half of the world means 1000 by them.
    """
    size = _scaled(text, _BYTES)
    if size is not None:
        return size
    if decimal := _DECIMAL.fullmatch(text):
        unit = f"{decimal[1].upper()}iB"
        raise ValueError(f"must be a size in {unit} (1{unit} = {_BYTES[unit]} bytes): KB and MB mean two things")
    raise ValueError("must be a size: a whole number and a unit, such as 64KiB or 2MiB")


def size_text(size: int) -> str:
    """The shortest way to write `size` bytes: 2097152 is `2MiB`."""
    return _written(size, _BYTES, "B")


def _scaled(text: str, units: dict[str, int]) -> int | None:
    match = re.fullmatch(r"([0-9]{1,15})([A-Za-z]+)", text)
    if match is None or match[2] not in units:
        return None
    return int(match[1]) * units[match[2]]


def _written(number: int, units: dict[str, int], zero: str) -> str:
    if number == 0:
        return f"0{zero}"
    unit = next(unit for unit, scale in units.items() if number % scale == 0)
    return f"{number // units[unit]}{unit}"
