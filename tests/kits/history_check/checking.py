"""Everything that is wrong in the log of a trial."""

from collections.abc import Callable, Iterable, Iterator

from history_check import books, doubled, limit, lost, reordered, stale
from history_check.events import Event
from history_check.history import History
from history_check.violation import Kind, Violation

Check = Callable[[History], Iterator[str]]

CHECKS: tuple[tuple[Kind, Check], ...] = (
    (Kind.LOST, lost.check),
    (Kind.DOUBLED, doubled.check),
    (Kind.REORDERED, reordered.check),
    (Kind.STALE, stale.check),
    (Kind.BOOKS, books.check),
)


def violations(log: Iterable[Event], requests_per_minute: int) -> list[Violation]:
    """What the log shows to be wrong; empty where it is as promised."""
    history = History(log)
    found = [Violation(kind, what) for kind, check in CHECKS for what in check(history)]
    return found + [Violation(Kind.LIMIT, what) for what in limit.check(history, requests_per_minute)]
