"""What was answered 202 or 200, and is neither at Microsoft nor waits or ended visibly."""

from collections.abc import Iterator

from history_check.events import Answered, Row, StoredClick
from history_check.history import History


def check(history: History) -> Iterator[str]:
    """Each answer that was not true."""
    clicks = {(one.account, one.visitor, one.click) for one in history.all(StoredClick)}
    for answer in history.stored:
        if answer.item.what == "click":
            if (answer.item.account, answer.item.order, answer.item.click) not in clicks:
                yield f"{_named(answer)} is not among the clicks"
        elif (row := history.rows.get(answer.id or "")) is None:
            yield f"{_named(answer)} has no row"
        elif row.state == "delivered" and not _is_at_microsoft(history, row):
            yield f"{_named(answer)} counts as delivered, and Microsoft does not hold it"


def _is_at_microsoft(history: History, row: Row) -> bool:
    if row.place is None:
        return False
    if row.what == "conversion":
        return row.place in history.taken
    kinds = ((row.place, row.adjusted_at or 0, is_retract) for is_retract in (False, True))
    return any(kind in history.adjusted for kind in kinds)


def _named(answer: Answered) -> str:
    item = answer.item
    return f"{item.what} {answer.id or item.order} of {item.account}, answered {answer.status} by {answer.replica}"
