"""The log, ordered and indexed as the checks read it."""

from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property
from typing import TypeVar

from history_check.events import Adjusted, Answered, Carried, Claimed, Event, Place, Row, Settled, Taken

T = TypeVar("T", bound=Event)

AMBIGUOUS = ("lost", "refused: server")
"""Answers after which it is not known whether Microsoft took the rows."""


class History:
    """One log."""

    def __init__(self, log: Iterable[Event]) -> None:
        self._log = list(log)

    def all(self, kind: type[T]) -> list[T]:
        """The events of one kind, in the log's order."""
        return [event for event in self._log if isinstance(event, kind)]

    @cached_property
    def answers(self) -> list[Answered]:
        return sorted(self.all(Answered), key=lambda one: one.at)

    @cached_property
    def stored(self) -> list[Answered]:
        """The answers that promise that something is on disk."""
        return [answer for answer in self.answers if answer.is_stored]

    @cached_property
    def rows(self) -> dict[str, Row]:
        return {row.id: row for row in self.all(Row)}

    @cached_property
    def taken(self) -> dict[Place, Taken]:
        return {taken.place: taken for taken in self.all(Taken)}

    @cached_property
    def adjusted(self) -> dict[tuple[Place, int, bool], Adjusted]:
        """By original, time and kind, which is what Microsoft knows them by."""
        return {(one.original, one.adjusted_at, one.is_retract): one for one in self.all(Adjusted)}

    @cached_property
    def batches(self) -> dict[int, list[Claimed | Settled]]:
        """What was done to each batch, in order."""
        found: defaultdict[int, list[Claimed | Settled]] = defaultdict(list)
        for step in sorted([*self.all(Claimed), *self.all(Settled)], key=lambda one: one.number):
            found[step.batch].append(step)
        return found

    @cached_property
    def carried(self) -> dict[str, list[Carried]]:
        """The batches of each row."""
        found: defaultdict[str, list[Carried]] = defaultdict(list)
        for step in self.all(Carried):
            found[step.row].append(step)
        return found

    def ambiguous(self, row: str) -> int:
        """How many claims of the row got no answer: Microsoft may have taken it, or not."""
        return sum(self._ambiguous(step) for step in self.carried.get(row, ()))

    def _ambiguous(self, carried: Carried) -> int:
        steps = self.batches.get(carried.batch, [])
        follows = zip(steps, [*steps[1:], None], strict=True)
        claims = ((step, after) for step, after in follows if isinstance(step, Claimed) and step.at >= carried.at)
        return sum(not _is_answer(after) for _, after in claims)


def _is_answer(step: Claimed | Settled | None) -> bool:
    return isinstance(step, Settled) and step.answer not in AMBIGUOUS
