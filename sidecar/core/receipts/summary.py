"""What a row is now, in words: a summary, what it waits for, and what to do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from sidecar.core.attempts import named
from sidecar.core.conversion import Kind
from sidecar.core.goals.mapping import MappingState
from sidecar.core.instant import UnixMillis
from sidecar.core.receipts.trace import Advice, Surroundings
from sidecar.core.record import Record
from sidecar.core.states_and_reasons import Reason, State


@dataclass(frozen=True, slots=True)
class WaitsFor:
    """What keeps a pending row from going out; `until` is when that ends by itself, where it is known."""

    reason: str | None
    what: str
    until: UnixMillis | None


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


def what_it_waits_for(record: Record, around: Surroundings) -> WaitsFor | None:
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


def summary(record: Record, around: Surroundings, waits_for: WaitsFor | None) -> str:
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


def usual_step(record: Record, reason: str | None) -> Advice:
    """What to do if there is no trouble."""
    match record.state:
        case State.PENDING:
            if reason == Reason.NOT_YET:
                fix = "Nothing to do. If that time is wrong, look at the clock and the time zone of the sender."
                return Advice("It goes out when its own time has come.", fix)
            return Advice("It goes out by itself.", "Nothing to do.")
        case State.DELIVERED:
            return Advice("Microsoft has it.", "Nothing to do.")
        case State.SKIPPED | State.DEAD:
            return Advice("It ended without being counted.", "Fix the cause, then send it again with `sidecar replay`.")
        case State.CANCELED:
            kind = "conversion" if record.kind is Kind.CONVERSION else "adjustment"
            fix = f"Nothing to do. If it shall count after all, send the {kind} again under another order_id."
            return Advice("It was ended before it was sent, and will not be.", fix)
        case _:
            assert_never(record.state)
