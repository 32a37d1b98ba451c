"""GET /v1/conversions/{id}/explain and /v1/orders/{order_id}/explain: receipts, put together and shown as JSON.

`core.receipts` decides what a receipt says; here it gets the facts that only this layer has.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web
from msgspec.structs import replace

from sidecar.api.http.problem import NO_CONVERSION, HttpProblem
from sidecar.api.http.reply import Json, json_reply
from sidecar.api.row_json import Rows, goal_words, words_of
from sidecar.api.row_members import Row, number
from sidecar.api.verdict_members import DayVerdicts
from sidecar.core.attempts import Attempt
from sidecar.core.attribution import AttributionRules
from sidecar.core.conversion import Kind
from sidecar.core.goals.mapping import Mapped, MappingState
from sidecar.core.goals.plan import window_text
from sidecar.core.instant import DAY_SECONDS, UnixMillis, text_of_millis, text_of_seconds, text_or_none
from sidecar.core.intake.invisible_characters import trimmed
from sidecar.core.receipts.click_lines import ClickLine, short
from sidecar.core.receipts.receipt import Receipt, receipt
from sidecar.core.receipts.trace import Advice, Surroundings, Trace, later_click
from sidecar.core.record import Record, seq_of
from sidecar.core.states_and_reasons import Reason, State
from sidecar.core.unstored import Unstored, all_in_words, in_words
from sidecar.ports.queries import Queries, Query, Traces
from sidecar.telemetry import TracesOfOrders
from sidecar.troubles import CATALOGUE, Trouble

MAX_RECEIPTS = 100
"""Of one order id: it may be used once by each account and event."""

DEFAULT_RULES = AttributionRules(3_600_000, 3_600_000, 90 * DAY_SECONDS)

_STANDING = {
    None: None,
    MappingState.OK: "It takes conversions.",
    MappingState.UNKNOWN: "The goals of this account were not read yet.",
}
"""The sentence about a goal that has no trouble."""


_PASSES = frozenset((Reason.NOT_YET, Reason.AWAITING_CLICK, Reason.CLICK_SETTLING, Reason.NO_CLICK))
"""Reasons that end by themselves, or follow from the cause: a conversion before its click is reported before them."""


@dataclass(frozen=True, slots=True)
class Receipts:
    """Makes receipts of rows, with what is known at the moment.

    `mapped(account, event)` is the state of the event's goal in the catalogue, None where nothing maps it.
    """

    traces: Traces
    rows: Rows
    now: Callable[[], UnixMillis]
    mapped: Callable[[str, str], Mapped | None] = lambda account, event: None
    rules: Callable[[], AttributionRules] = lambda: DEFAULT_RULES
    mapped_goal: Callable[[str, str], Mapped | None] = lambda account, goal: None
    """The state of a goal that a row was frozen for, and that its event is no longer mapped to."""
    verdicts: DayVerdicts | None = None

    async def of(self, seq: int) -> Json | None:
        """The receipt of a conversion, as it is answered; None when there is no such one."""
        trace = await self.traces.of(seq)
        if trace is None or trace.record.kind is not Kind.CONVERSION:
            return None
        made = receipt(trace, self._around(trace))
        verdict = await self.verdicts.of(trace.record) if self.verdicts else None
        return {
            **show(made),
            "adjustments": [self._adjustment(one) for one in made.adjustments],
            "verdict": verdict,
        }

    def _adjustment(self, record: Record) -> Row:
        """It names its conversion by whole identifiers, of which a receipt shows the first digits only."""
        return self.rows.show(replace(record, msclkid=short(record.msclkid)))

    def _around(self, trace: Trace) -> Surroundings:
        record = trace.record
        reason, trouble = self.rows.reason_and_trouble(record)
        if trace.is_erased:
            trouble = CATALOGUE["erased"]
        elif later_click(trace) and (reason is None or reason in _PASSES):
            trouble = CATALOGUE["before_click"]
        elif record.state is State.DELIVERED:
            trouble = CATALOGUE["not_counted"]
        goal = self.rows.goal_of(record.account, record.event)
        if record.goal in (None, goal):
            mapped = self.mapped(record.account, record.event)
        else:  # it was frozen for another one
            mapped = self.mapped_goal(record.account, record.goal or "")
        return Surroundings(
            reason=reason,
            advice=_advice(trouble, record),
            goal=record.goal or goal,
            mapped=mapped,
            rules=self.rules(),
            now=self.now(),
        )


def _advice(trouble: Trouble | None, record: Record) -> Advice | None:
    """The catalogue's words, with Microsoft's own before them where the trouble comes from that answer."""
    if trouble is None:
        return None
    words = words_of(record, trouble)
    quoted = f"Microsoft says: {words.rstrip('.')}. " if words else ""
    return Advice(f"{quoted}{trouble.cause}", trouble.solution)


@dataclass(frozen=True, slots=True)
class ExplainCalls:
    """Answers with receipts."""

    queries: Queries
    receipts: Receipts
    traces: TracesOfOrders | None = None
    """Of orders that were not stored."""

    async def conversion(self, request: web.Request) -> web.Response:
        """The receipt of the row of that id."""
        seq = seq_of(Kind.CONVERSION, request.match_info["id"])
        made = None if seq is None else await self.receipts.of(seq)
        if made is None:
            hint = "An id looks like conv_17; GET /v1/orders/{order_id}/explain finds it by the order."
            raise HttpProblem(NO_CONVERSION, hint)
        return json_reply(made)

    async def order(self, request: web.Request) -> web.Response:
        """A receipt for each conversion of that order, newest first."""
        order_id = trimmed(request.match_info["order_id"])
        query = Query(order_id=order_id, limit=MAX_RECEIPTS)
        page = await self.queries.find(query)
        made = [await self.receipts.of(record.seq) for record in page.records]
        items = [one for one in made if one is not None]
        traces = await self.traces.of_order(order_id) if self.traces else ()
        not_stored = [show_trace(one) for one in traces]
        if not items:
            raise HttpProblem(NO_CONVERSION, all_in_words(traces) or _NEVER_CAME, members={"not_stored": not_stored})
        return json_reply({"items": items, "not_stored": not_stored, "next_cursor": None})


_NEVER_CAME = (
    "No account and event has this order id, and nothing with it was refused or skipped of late. Was it sent, and with "
    "exactly this order_id?"
)


def show(made: Receipt) -> Json:
    """The receipt; of identifiers only the first digits."""
    record, waits = made.record, made.waits_for
    return {
        "id": record.id,
        "order_id": record.order_id,
        "account": record.account,
        "event": record.event,
        "state": record.state,
        "reason": made.reason,
        "summary": made.summary,
        "time": text_of_seconds(record.time),
        "value": None if record.value is None else number(record.value),
        "currency": record.currency,
        "meta": None if record.meta is None else json.loads(record.meta),
        "received": {"at": text_of_millis(record.received_at), "request_id": made.request_id},
        "timeline": [{"at": text_of_millis(line.at), "what": line.what} for line in made.timeline],
        "identifiers": {
            "msclkid": short(record.msclkid),
            "visitor_id": record.visitor_id,
            "email_sha256": short(record.email_sha256),
            "phone_sha256": short(record.phone_sha256),
        },
        "clicks": {"known": made.known_clicks, "more": made.more_clicks, "items": list(map(_click, made.clicks))},
        "goal": _goal(made),
        "attempts": [_attempt(attempt) for attempt in made.attempts],
        "waits_for": waits and {"reason": waits.reason, "what": waits.what, "until": text_or_none(waits.until)},
        "expires_at": text_or_none(made.expires_at),
        "next_step": {"message": made.next_step.message, "fix": made.next_step.fix},
    }


def show_trace(one: Unstored) -> Json:
    """An item of an order that was not stored."""
    return {
        "kind": one.kind,
        "what": one.what,
        "codes": list(one.codes),
        "event": one.event,
        "account": one.account,
        "request_id": one.request_id,
        "at": text_of_millis(one.time),
        "first_at": text_of_millis(one.first_at),
        "times": one.times,
        "message": in_words(one),
    }


def _click(line: ClickLine) -> Json:
    return {
        "msclkid": short(line.click.msclkid),
        "clicked_at": text_of_seconds(line.click.clicked_at),
        "captured_at": text_of_millis(line.click.captured_at),
        "verdict": line.verdict,
        "why": line.why,
    }


def _goal(made: Receipt) -> Json:
    mapped = made.mapped
    goal = mapped.goal if mapped else None
    state = mapped.state if mapped else None
    trouble = CATALOGUE.get(state or "")
    return {
        "name": made.goal,
        "state": state,
        "window": window_text(goal.window_seconds) if goal and goal.window_seconds else None,
        "enhanced": goal.enhanced if goal else None,
        "settles_at": text_or_none(mapped.settles_at if mapped else None),
        "did_you_mean": mapped.near if mapped else None,
        "message": goal_words(mapped, trouble) if mapped and trouble else _STANDING.get(state),
    }


def _attempt(attempt: Attempt) -> Json:
    return {
        "attempt": attempt.number,
        "sent_at": text_or_none(attempt.sent_at),
        "answered_at": text_or_none(attempt.answered_at),
        "batch_id": attempt.batch_id,
        "rows": attempt.rows,
        "times": attempt.times,
        "tracking_id": attempt.tracking_id,
        "answer": attempt.answer,
        "error": attempt.error,
        "error_code": attempt.error_code,
        "message": attempt.message,
    }
