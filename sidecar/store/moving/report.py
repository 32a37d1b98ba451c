"""What a move has done, for people and programs."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MovedTable:
    """A table whose rows are equal on both sides."""

    name: str
    rows: int
    checksum: str


@dataclass(frozen=True, slots=True)
class MoveReport:
    """A move that has ended. `copied` are the rows that this run brought, of those in `tables`."""

    source: str
    target: str
    tables: tuple[MovedTable, ...]
    states: Mapping[str, int]
    copied: int
    was_done: bool = False
    """It had ended before, and nothing was left to do."""
