"""Everything that happened to a conversion, with its time, in one order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from sidecar.core.attempts import Attempt
from sidecar.core.attribution import ClickVerdict
from sidecar.core.corrections import corrections
from sidecar.core.history import Attempted, Done, Past, Released, Replaced
from sidecar.core.instant import UnixMillis, millis, text_of_millis
from sidecar.core.receipts.click_lines import ClickLine, short
from sidecar.core.receipts.trace import Surroundings, Trace
from sidecar.core.record import Record
from sidecar.core.states_and_reasons import State


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of the timeline."""

    at: UnixMillis
    what: str


def timeline(
    trace: Trace, clicks: Sequence[ClickLine], sent: Sequence[Attempt], around: Surroundings
) -> tuple[Happening, ...]:
    """Everything that has a time, oldest first; causes stand before their effects where the times are equal."""
    found = [
        *_clicked(clicks),
        *_received(trace),
        *(line for past in trace.past for line in _past(past)),
        *(line for attempt in sent for line in _sent_and_answered(attempt)),
        *_ended(trace.record, around),
        *(Happening(at, what) for at, what in corrections(trace.adjustments)),
    ]
    return tuple(sorted(found, key=lambda line: line.at))


def _clicked(clicks: Sequence[ClickLine]) -> Iterator[Happening]:
    for line in clicks:
        if line.verdict is ClickVerdict.CHOSEN:
            yield Happening(millis(line.click.clicked_at), f"The visitor clicked an ad ({short(line.click.msclkid)}).")


def _received(trace: Trace) -> Iterator[Happening]:
    record = trace.record
    yield Happening(millis(record.time), "The conversion happened.")
    replaced = [past for past in trace.past if isinstance(past, Replaced)]
    if replaced and (first := replaced[0]).received_at is not None:
        yield Happening(first.received_at, f"Received{_by(first.request_id)}.")
    else:
        yield Happening(record.received_at, f"Received{_by(trace.request_id)}.")


def _by(request_id: str | None) -> str:
    return f" by request {request_id}" if request_id else ""


def _past(past: Past) -> Iterator[Happening]:
    match past:
        case Attempted():
            return
        case Released():
            yield Happening(past.at, "It left its batch, which was refused: its event goes to another goal now.")
        case Replaced():
            worth = f", then worth {past.value} {past.currency or ''}".rstrip() if past.value else ""
            before = f"It was {_standing(past.state, past.reason)}{worth}."
            yield Happening(past.at, f"The same order came with other content and took its place. {before}")
        case Done():
            if past.settled_at is not None and past.verb != "erased":
                yield Happening(past.settled_at, f"Ended as {_standing(past.state, past.reason)}.")
            yield Happening(past.at, _DONE.get(past.verb, f"It was {past.verb.replace('_', ' ')}."))
        case _:
            assert_never(past)


_DONE: Mapping[str, str] = {
    "replayed": "An operator replayed it: it was due again.",
    "revived": "A click of its visitor came in: it was due again.",
    "discarded": "An operator discarded it.",
    "erased": "Everything that identifies the person was erased from it.",
}


def _standing(state: str | None, reason: str | None) -> str:
    return f"{state} ({reason})" if reason else f"{state}"


def _sent_and_answered(attempt: Attempt) -> Iterator[Happening]:
    last = attempt.number + attempt.times - 1
    name = f"Attempt {attempt.number}" if attempt.times == 1 else f"Attempts {attempt.number} to {last}"
    tracking = f" (TrackingId {attempt.tracking_id})" if attempt.tracking_id else ""
    if attempt.sent_at is not None:
        yield Happening(attempt.sent_at, f"{name}: made ready to be sent{_place(attempt)}{_times(attempt)}.")
    if (at := attempt.answered_at or attempt.sent_at) is not None:
        yield Happening(at, f"{name}: {attempt.answer}{tracking}.")


def _place(attempt: Attempt) -> str:
    """` in batch 7 of 3 rows`, as far as it is known."""
    if attempt.batch_id is None:
        return ""
    rows = "" if attempt.rows is None else f" of {attempt.rows:,} rows" if attempt.rows != 1 else " of 1 row"
    return f" in batch {attempt.batch_id}{rows}"


def _times(attempt: Attempt) -> str:
    if attempt.times == 1:
        return ""
    until = "" if attempt.answered_at is None else f" until {text_of_millis(attempt.answered_at)}"
    return f", {attempt.times} times{until}"


def _ended(record: Record, around: Surroundings) -> Iterator[Happening]:
    if record.settled_at is not None and record.state not in (State.PENDING, State.DELIVERED):
        yield Happening(record.settled_at, f"Ended as {_standing(record.state, around.reason)}.")
