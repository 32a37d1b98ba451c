"""The receipt of one conversion: what happened to it, why, and what comes next, in plain words.

Values in, values out. What is stored of a row comes from the store, its standing and the remedy from the edge, which
knows accounts, goals and the catalogue of troubles; how a receipt is shown is for the API and the command line.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from sidecar.core.attempts import Attempt, BatchFacts, attempts, named
from sidecar.core.attribution import AttributionRules, Chosen, ClickVerdict, SeenClick, verdicts
from sidecar.core.conversion import Kind
from sidecar.core.corrections import corrections, is_taken_back, with_corrections
from sidecar.core.entry import Reason, State
from sidecar.core.goals.mapping import Mapped, MappingState
from sidecar.core.history import Attempted, Done, Past, Released, Replaced
from sidecar.core.instant import MAX_AGE_SECONDS, UnixMillis, UnixSeconds, millis, text_of_millis
from sidecar.core.record import Record

SHOWN = 8
"""Of a click id or hash only so many digits are shown: enough to compare, not enough to use."""


# --- What is known ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """All that is stored of one row, and of the clicks of its visitor."""

    record: Record
    request_id: str | None
    named_msclkid: str | None
    """The click id that the conversion itself brought."""
    is_frozen: bool
    """Whether it has been decided with which click it is sent."""
    is_erased: bool = False
    clicks: tuple[SeenClick, ...] = ()
    """The newest at or before the conversion, and the first ones after it."""
    known_clicks: int = 0
    more_clicks: bool = False
    """Counting was given up."""
    past: tuple[Past, ...] = ()
    batches: Mapping[int, BatchFacts] = field(default_factory=dict)
    adjustments: tuple[Record, ...] = ()
    """Those of the conversion, oldest first."""


@dataclass(frozen=True, slots=True)
class Advice:
    """A cause and its remedy, in words."""

    message: str
    fix: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """How things stand around the row now.

    `reason` is why it is where it is, those of account and goal laid over; `advice` the words of the trouble behind it,
    where there is one.
    """

    reason: str | None
    advice: Advice | None
    goal: str | None
    mapped: Mapped | None
    rules: AttributionRules
    now: UnixMillis


# --- What is told ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of the timeline."""

    at: UnixMillis
    what: str


@dataclass(frozen=True, slots=True)
class ClickLine:
    """A click, and why it was or was not taken."""

    click: SeenClick
    verdict: ClickVerdict
    why: str


@dataclass(frozen=True, slots=True)
class WaitsFor:
    """What keeps a pending row from going out; `until` is when that ends by itself, where it is known."""

    reason: str | None
    what: str
    until: UnixMillis | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Everything that can be told of one conversion."""

    record: Record
    reason: str | None
    summary: str
    request_id: str | None
    timeline: tuple[Happening, ...]
    clicks: tuple[ClickLine, ...]
    known_clicks: int
    more_clicks: bool
    goal: str | None
    mapped: Mapped | None
    attempts: tuple[Attempt, ...]
    waits_for: WaitsFor | None
    expires_at: UnixMillis | None
    next_step: Advice
    adjustments: tuple[Record, ...] = ()


def receipt(trace: Trace, around: Surroundings) -> Receipt:
    """The receipt of a row, as things stand now."""
    record = trace.record
    clicks = _click_lines(trace, around)
    sent = attempts(record, trace.past, trace.batches)
    waits_for = _waits_for(record, around)
    return Receipt(
        record=record,
        reason=around.reason,
        summary=with_corrections(_summary(record, around, waits_for), record, trace.adjustments),
        request_id=trace.request_id,
        timeline=_timeline(trace, clicks, sent, around),
        clicks=clicks,
        known_clicks=trace.known_clicks,
        more_clicks=trace.more_clicks,
        goal=around.goal,
        mapped=around.mapped,
        attempts=sent,
        waits_for=waits_for,
        expires_at=millis(UnixSeconds(record.time + MAX_AGE_SECONDS)) if record.state is State.PENDING else None,
        next_step=_TAKEN_BACK
        if is_taken_back(trace.adjustments)
        else around.advice or _usual_step(record, around.reason),
        adjustments=trace.adjustments,
    )


def later_click(trace: Trace) -> SeenClick | None:
    """The click that the conversion goes with, where it was captured as later than the conversion; else None.

    Microsoft takes such a conversion and counts nothing: in most cases a local time was sent as if it were UTC.
    The same is behind one that found no click of its visitor, where all are later and were captured before it came in.
    """
    record = trace.record
    goes_with = {trace.named_msclkid, record.msclkid if trace.is_frozen else None} - {None}
    later = [one for one in trace.clicks if one.clicked_at > record.time]
    if record.reason in (Reason.NO_CLICK, Reason.AWAITING_CLICK) and not goes_with:
        known = all(one.captured_at <= record.received_at for one in later)
        return next(iter(later), None) if known and len(later) == trace.known_clicks else None
    return next((one for one in later if one.msclkid in goes_with), None)


def short(identifier: str | None) -> str | None:
    """As much of a click id or hash as may be shown."""
    return None if identifier is None else identifier[:SHOWN]


# --- Clicks ----------------------------------------------------------------------------------------------------------

_WHY: Mapping[ClickVerdict, str] = {
    ClickVerdict.CHOSEN: "the last click at or before the conversion",
    ClickVerdict.OWN_CLICK_ID: "not used: the conversion brought another click id itself",
    ClickVerdict.LATER_THAN_CONVERSION: "not used: it happened after the conversion",
    ClickVerdict.CAPTURED_TOO_LATE: "not used: it was captured only after the choice had been made for good",
    ClickVerdict.TOO_OLD: "not used: Microsoft forgets clicks after 90 days",
    ClickVerdict.OUTSIDE_WINDOW: "not used: it lies outside the goal's conversion window",
    ClickVerdict.ANOTHER_WAS_LATER: "not used: another click came later, and the last one counts",
}


def _click_lines(trace: Trace, around: Surroundings) -> tuple[ClickLine, ...]:
    """The clicks, newest first, each with what became of it."""
    record, mapped = trace.record, around.mapped
    is_over = trace.is_frozen or record.state is not State.PENDING
    chosen = Chosen(
        time=record.time,
        named=trace.named_msclkid,
        sent_with=record.msclkid if trace.is_frozen else None,
        at=_chosen_at(trace, around.now) if is_over else around.now,
        is_over=is_over,
    )
    clicks = sorted(trace.clicks, key=lambda click: click.clicked_at, reverse=True)
    window = mapped.goal.window_seconds if mapped and mapped.goal else None
    found = zip(clicks, verdicts(clicks, chosen, window, around.rules), strict=True)
    return tuple(ClickLine(click, verdict, _why(click, verdict, trace)) for click, verdict in found)


def _chosen_at(trace: Trace, now: UnixMillis) -> UnixMillis:
    """When the choice was made for good, as far as that can still be told: a batch freezes its rows."""
    batch = trace.batches.get(trace.record.batch_id or 0)
    return batch.created_at if trace.is_frozen and batch else trace.record.settled_at or now


def _why(click: SeenClick, verdict: ClickVerdict, trace: Trace) -> str:
    is_own = verdict is ClickVerdict.CHOSEN and trace.named_msclkid is not None
    why = "the conversion names it itself" if is_own else _WHY[verdict]
    if verdict is ClickVerdict.CHOSEN and (later := click.clicked_at - trace.record.time) > 0:
        return f"{why}, but it lies {_span(later)} after the conversion: most likely a time zone is wrong"
    return why


def _span(seconds_: int) -> str:
    """So long in words: `45 s`, `20 min`, `5 h 30 min`."""
    if seconds_ < 60:
        return f"{seconds_} s"
    hours, minutes = divmod(seconds_ // 60, 60)
    return " ".join(f"{number} {unit}" for number, unit in ((hours, "h"), (minutes, "min")) if number)


# --- The timeline ----------------------------------------------------------------------------------------------------


def _timeline(
    trace: Trace, clicks: Sequence[ClickLine], sent: Sequence[Attempt], around: Surroundings
) -> tuple[Happening, ...]:
    """Everything that has a time, in its order; what came at the same instant stays in the order of its cause."""
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


# --- Where it stands -------------------------------------------------------------------------------------------------

_WAITS: Mapping[str, str] = {
    Reason.NOT_YET: "its own time, which lies a little ahead",
    Reason.RETRYING: "the next attempt: Microsoft did not take it yet",
    Reason.AWAITING_CLICK: "a click of its visitor",
    Reason.CLICK_SETTLING: "its click to be old enough for Microsoft to find it",
    Reason.NOT_CONNECTED: "somebody to sign in at Microsoft",
    Reason.ACCOUNT_PAUSED: "its account, whose delivery is paused",
    Reason.THROTTLED: "a slower pace, which Microsoft asked for",
    Reason.GOAL_NOT_FOUND: "its goal, which is not there or takes no uploads",
    Reason.GOAL_PAUSED: "its goal, which is paused",
    Reason.GOAL_SETTLING: "its goal to be old enough",
    Reason.UNMAPPED: "its event or account to be configured again",
}

_OWN_TIME = frozenset((Reason.NOT_YET, Reason.RETRYING, Reason.AWAITING_CLICK, Reason.CLICK_SETTLING))
"""Reasons of the row itself: they end when it is due. What account and goal wait for ends elsewhere."""

_ENDED: Mapping[str, str] = {
    Reason.NO_CLICK: "no click of its visitor came in, and it has no hashes that its goal matches by",
    Reason.OUTSIDE_WINDOW: "its click lies outside the goal's conversion window",
    Reason.GOAL_NOT_ENHANCED: "it has hashes only, and its goal takes none",
    Reason.TOO_OLD: "it became more than 90 days old before it could be sent",
    Reason.POISON: "it made Microsoft refuse whole requests",
    Reason.DISCARDED: "an operator ended it before it was sent",
    Reason.RETRACTED: "it was taken back before it was sent",
    Reason.SUPERSEDED: "a newer adjustment took over from it",
    Reason.APPLIED_BEFORE_UPLOAD: "it changed its conversion before that was sent",
    Reason.ORIGINAL_NOT_SENT: "its conversion is not at Microsoft",
    Reason.ERASED: "the person's data was erased before it was sent",
}


def _waits_for(record: Record, around: Surroundings) -> WaitsFor | None:
    if record.state is not State.PENDING:
        return None
    reason = around.reason
    if reason is None:
        what = "Microsoft's answer: it is on its way" if record.leased else "nothing: it goes out with the next batch"
        return WaitsFor(None, what, None)
    return WaitsFor(reason, _WAITS.get(reason, reason.replace("_", " ")), _until(record, around))


def _until(record: Record, around: Surroundings) -> UnixMillis | None:
    if around.reason in _OWN_TIME:
        return record.due_at if not record.leased else None
    mapped = around.mapped
    if around.reason == Reason.GOAL_SETTLING and mapped and mapped.state is MappingState.SETTLING:
        return mapped.settles_at
    return None


def _summary(record: Record, around: Surroundings, waits_for: WaitsFor | None) -> str:
    """One sentence: where it is, and why."""
    match record.state:
        case State.PENDING:
            assert waits_for is not None
            if waits_for.reason is None:
                return "On its way to Microsoft." if record.leased else "Due: it goes out with the next batch."
            return f"Waiting for {waits_for.what}."
        case State.DELIVERED:
            return "Delivered: Microsoft took it."
        case State.SKIPPED:
            return f"Not sent, by rule: {_ended_for(around.reason)}."
        case State.DEAD:
            if around.reason is None or around.reason in _ENDED:
                return f"Given up: {_ended_for(around.reason)}."
            return f"Refused by Microsoft for good: {named(around.reason, record.error_code)}."
        case State.CANCELED:
            return f"Canceled: {_ended_for(around.reason)}."
        case _:
            assert_never(record.state)


def _ended_for(reason: str | None) -> str:
    return "no reason was noted" if reason is None else _ENDED.get(reason, reason.replace("_", " "))


_TAKEN_BACK = Advice("It was taken back at Microsoft, and counts no more.", "Nothing to do.")


def _usual_step(record: Record, reason: str | None) -> Advice:
    """What to do where there is no trouble."""
    match record.state:
        case State.PENDING:
            if reason == Reason.NOT_YET:
                fix = "Nothing to do. If that time is wrong, look at the clock and the time zone of whoever sent it."
                return Advice("It goes out when its own time has come.", fix)
            return Advice("It goes out by itself.", "Nothing to do.")
        case State.DELIVERED:
            return Advice("Microsoft has it.", "Nothing to do.")
        case State.SKIPPED | State.DEAD:
            return Advice(
                "It ended without being counted.", "Mend the cause, then send it again with `sidecar replay`."
            )
        case State.CANCELED:
            kind = "conversion" if record.kind is Kind.CONVERSION else "adjustment"
            fix = f"Nothing to do. If it shall count after all, send the {kind} again under another order_id."
            return Advice("It was ended before it was sent, and will not be.", fix)
        case _:
            assert_never(record.state)
