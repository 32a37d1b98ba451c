"""What a receipt is made from: everything that is stored of a row, and the present state of what surrounds it.

The store reads the trace; the API knows accounts, goals and troubles.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sidecar.core.attempts import BatchFacts
from sidecar.core.attribution import AttributionRules, SeenClick
from sidecar.core.goals.mapping import Mapped
from sidecar.core.history import Past
from sidecar.core.instant import UnixMillis
from sidecar.core.record import Record
from sidecar.core.states_and_reasons import Reason


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
    """Whether there are more than were counted."""
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
    """Present state of the row's account, goal and trouble.

    `reason` is why the row is in its state, with those of account and goal; `advice` is the trouble behind it, if any.
    """

    reason: str | None
    advice: Advice | None
    goal: str | None
    mapped: Mapped | None
    rules: AttributionRules
    now: UnixMillis


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
