"""The receipt of one row, put together from its trace."""

from dataclasses import dataclass

from sidecar.core.attempts import Attempt, attempts
from sidecar.core.corrections import is_taken_back, with_corrections
from sidecar.core.goals.mapping import Mapped
from sidecar.core.instant import MAX_AGE_SECONDS, UnixMillis, UnixSeconds, millis
from sidecar.core.receipts.click_lines import ClickLine, click_lines
from sidecar.core.receipts.summary import WaitsFor, summary, usual_step, what_it_waits_for
from sidecar.core.receipts.timeline import Happening, timeline
from sidecar.core.receipts.trace import Advice, Surroundings, Trace
from sidecar.core.record import Record
from sidecar.core.states_and_reasons import State

_TAKEN_BACK = Advice("It was taken back at Microsoft, and counts no more.", "Nothing to do.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Everything that is known of one conversion."""

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
    """The receipt of a row now."""
    record = trace.record
    clicks = click_lines(trace, around)
    sent = attempts(record, trace.past, trace.batches)
    advice = around.advice or usual_step(record, around.reason)
    next_step = _TAKEN_BACK if is_taken_back(trace.adjustments) else advice
    waits_for = what_it_waits_for(record, around)
    return Receipt(
        record=record,
        reason=around.reason,
        summary=with_corrections(summary(record, around, waits_for), record, trace.adjustments),
        request_id=trace.request_id,
        timeline=timeline(trace, clicks, sent, around),
        clicks=clicks,
        known_clicks=trace.known_clicks,
        more_clicks=trace.more_clicks,
        goal=around.goal,
        mapped=around.mapped,
        attempts=sent,
        waits_for=waits_for,
        expires_at=millis(UnixSeconds(record.time + MAX_AGE_SECONDS)) if record.state is State.PENDING else None,
        next_step=next_step,
        adjustments=trace.adjustments,
    )
