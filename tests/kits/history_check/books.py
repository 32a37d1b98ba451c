"""The books: rows, what counts them, what callers posted, and what Microsoft holds."""

from collections import Counter
from collections.abc import Iterator

from history_check.events import Counted
from history_check.history import History


def check(history: History) -> Iterator[str]:
    """Each pair of books that disagree."""
    yield from _counts(history)
    yield from _not_posted(history)
    yield from _unexplained(history)


def _counts(history: History) -> Iterator[str]:
    rows = Counter(row.state for row in history.rows.values())
    for counted in history.all(Counted):
        states = Counter(counted.states)
        for state in sorted(states.keys() | rows.keys()):
            if states[state] != rows[state]:
                yield f"{counted.by} counts {states[state]} rows {state}, and there are {rows[state]}"


def _not_posted(history: History) -> Iterator[str]:
    posted = {(answer.item.account, answer.item.order) for answer in history.answers if answer.item.what != "click"}
    for row in history.rows.values():
        if (row.account, row.order) not in posted:
            yield f"{row.what} {row.id}, order {row.order} of {row.account}, was never posted"


def _unexplained(history: History) -> Iterator[str]:
    """What Microsoft holds, and no row here says that it was sent."""
    sent = {
        row.place
        for row in history.rows.values()
        if row.what == "conversion" and (row.state == "delivered" or row.may_be_sent)
    }
    for place in history.taken:
        if place not in sent:
            yield f"Microsoft holds {place}, which no row here says was sent"
