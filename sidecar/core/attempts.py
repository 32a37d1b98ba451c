"""The attempts of one row: each request that carried it, by a number of its own, with its answer in words.

What is stored is of batches, since a request carries many rows. A row's own numbers follow from it: it was claimed as
often as its batch was since it came into it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, assert_never

from sidecar.core.history import Attempted, Past, Released
from sidecar.core.instant import UnixMillis
from sidecar.core.record import Record
from sidecar.core.states_and_reasons import State

UNANSWERED = "unanswered"
"""In place of an answer: the lease passed, or the process ended, before there was one."""


class RequestFacts(NamedTuple):
    """A request that carried a batch and did not settle it; `times` of them with the same answer may be gathered.

    Of several, `number` and `sent_at` are the first one's, everything else is the last one's.
    """

    number: int
    """Which claim of its batch it was, counted from 1."""
    last: int
    times: int
    rows: int
    sent_at: UnixMillis
    ended_at: UnixMillis | None
    due_at: UnixMillis | None
    """When the batch goes again at the earliest."""
    answer: str
    tracking_id: str | None = None
    error: str | None = None
    error_code: int | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchFacts:
    """A batch that the row was in, or that such a one is a half of.

    `claims` counts its requests, of which `sent_at` and, where it is settled, `answer` and `tracking_id` are the last
    one's; `requests` are those that did not settle it.
    """

    id: int
    claims: int
    created_at: UnixMillis
    sent_at: UnixMillis
    settled_at: UnixMillis | None
    answer: str | None
    tracking_id: str | None
    rows: int = 1
    parent: int | None = None
    requests: Sequence[RequestFacts] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request that carried the row; `times` of them with the same answer may be gathered in one.

    Of several, `number` and `sent_at` are the first one's, everything else is the last one's.
    """

    number: int
    sent_at: UnixMillis | None
    answered_at: UnixMillis | None
    batch_id: int | None
    rows: int | None
    times: int
    tracking_id: str | None
    answer: str
    error: str | None
    error_code: int | None
    message: str | None


class _Stay(NamedTuple):
    """The row's time in one batch: the number of its last attempt there, and how it left it."""

    batch_id: int | None
    number: int
    end: Attempted | Released | None
    """As the history has it; None for the batch that it was in last."""
    left_at: UnixMillis | None
    """Set where it was ended apart from the batch, which may have gone on without it."""


def attempts(record: Record, past: Sequence[Past], batches: Mapping[int, BatchFacts]) -> tuple[Attempt, ...]:
    """Each request that carried the row, in the order in which they left."""
    return tuple(attempt for stay in _stays(record, past) for attempt in _of_stay(stay, record, batches))


def named(error: str, code: int | None) -> str:
    """An error as it is shown: `CallRateExceeded (117)`."""
    return error if code is None else f"{error} ({code})"


def _stays(record: Record, past: Sequence[Past]) -> Iterator[_Stay]:
    """Those that the history has, then the last one where it is not among them."""
    seen = set()
    for one in past:
        if isinstance(one, Attempted):
            seen.add((one.number, one.batch_id))
            yield _Stay(one.batch_id, one.number, one, None)
        elif isinstance(one, Released):
            seen.add((one.number, one.batch_id))
            yield _Stay(one.batch_id, one.number, one, one.at)
    if record.batch_id is not None and (record.attempt, record.batch_id) not in seen:
        ended_apart = record.state not in (State.PENDING, State.DELIVERED)
        yield _Stay(record.batch_id, record.attempt, None, record.settled_at if ended_apart else None)


def _of_stay(stay: _Stay, record: Record, batches: Mapping[int, BatchFacts]) -> Iterator[Attempt]:
    batch = batches.get(stay.batch_id or 0)
    if batch is None:  # it is forgotten before its rows are
        yield from _end(stay, record, None)
        return
    requests = [one for one in batch.requests if stay.left_at is None or one.sent_at <= stay.left_at]
    noted = max((one.last for one in requests), default=0)
    claims = batch.claims if stay.left_at is None or batch.sent_at <= stay.left_at else noted
    yield from _of_parent(batch, stay.number - claims, batches)
    for one in requests:
        yield _of_request(one, batch.id, stay.number - claims)
    if noted < claims:
        yield from _end(stay, record, batch)


def _end(stay: _Stay, record: Record, batch: BatchFacts | None) -> Iterator[Attempt]:
    """The last request of the batch, where that settled the row or has no answer yet."""
    match stay.end:
        case Attempted() as past:
            yield _end_of_history(past, batch)
        case Released():
            return
        case None:
            yield _end_of_record(record, batch)
        case _:
            assert_never(stay.end)


def _of_parent(batch: BatchFacts, before: int, batches: Mapping[int, BatchFacts]) -> Iterator[Attempt]:
    """The requests of what `batch` is a half of, the last of which was the row's attempt number `before`."""
    parent = batches.get(batch.parent or 0)
    if parent is not None:
        yield from _of_parent(parent, before - parent.claims, batches)
        for one in parent.requests:
            yield _of_request(one, parent.id, before - parent.claims)


def _of_request(one: RequestFacts, batch_id: int, before: int) -> Attempt:
    return Attempt(
        number=max(1, before + one.number),
        sent_at=one.sent_at,
        answered_at=one.ended_at,
        batch_id=batch_id,
        rows=one.rows,
        times=one.times,
        tracking_id=one.tracking_id,
        answer=_in_words(one),
        error=one.error,
        error_code=one.error_code,
        message=one.message,
    )


def _end_of_history(past: Attempted, batch: BatchFacts | None) -> Attempt:
    return Attempt(
        number=past.number - past.times + 1,
        sent_at=past.since or (batch.sent_at if batch else None),
        answered_at=past.at,
        batch_id=past.batch_id,
        rows=batch.rows if batch else None,
        times=past.times,
        tracking_id=past.tracking_id,
        answer=_row_answer(past.error, past.error_code, batch),
        error=past.error,
        error_code=past.error_code,
        message=None,
    )


def _end_of_record(record: Record, batch: BatchFacts | None) -> Attempt:
    return Attempt(
        number=record.attempt,
        sent_at=batch.sent_at if batch else record.sent_at,
        answered_at=batch.settled_at if batch else record.settled_at,
        batch_id=record.batch_id,
        rows=batch.rows if batch else None,
        times=1,
        tracking_id=batch.tracking_id if batch else record.tracking_id,
        answer=_last_answer(record, batch),
        error=record.error,
        error_code=record.error_code,
        message=record.message,
    )


_AGAIN = "the very same request goes again"
_REFUSED = "refused: "


def _in_words(one: RequestFacts) -> str:
    """What became of a request that did not settle its batch."""
    why = named(one.error, one.error_code) if one.error else ""
    match one.answer:
        case "refused: throttled":
            return f"Microsoft asked to wait{_wait(one)}{_after_colon(why)}"
        case "refused: server":
            return f"Microsoft's server failed{_after_colon(why)}; {_AGAIN}"
        case "refused: poison" if one.rows > 1:
            return f"Microsoft refused the whole request{_after_colon(why)}; it goes on in halves"
        case _:
            return _of_answer(one.answer, why)


def _wait(one: RequestFacts) -> str:
    if one.due_at is None or one.ended_at is None:
        return ""
    return f" {round((one.due_at - one.ended_at) / 1000)} s"


def _of_answer(answer: str, why: str) -> str:
    if answer == "lost":
        return f"no readable answer{f' ({why})' if why else ''}; {_AGAIN}"
    if answer == "not sent":
        return f"it could not be sent{f' ({why})' if why else ''}, and goes again"
    if answer == UNANSWERED:
        return f"no answer came before its time was over, or the sidecar ended; {_AGAIN}"
    kind = answer.removeprefix(_REFUSED)
    return f"Microsoft refused the whole request{_after_colon(why) or f' ({kind})'}"


def _after_colon(why: str) -> str:
    return f": {why}" if why else ""


def _last_answer(record: Record, batch: BatchFacts | None) -> str:
    if record.state is State.DELIVERED:
        return "Microsoft took it"
    if record.leased:
        return "no answer yet: the request is on its way"
    if record.claimed and batch is not None:
        return _of_answer(batch.answer or UNANSWERED, "")
    return _row_answer(record.error, record.error_code, batch)


def _row_answer(error: str | None, code: int | None, batch: BatchFacts | None) -> str:
    """The result of the row in an answer that settled its batch."""
    if error is not None:
        return f"Microsoft answered {named(error, code)}"
    if batch is not None and batch.answer is None:
        return _of_answer(UNANSWERED, "")
    if batch is not None and (batch.answer or "").startswith(_REFUSED):
        return "Microsoft refused the whole request for another row of it"
    return "Microsoft did not take it"
