"""Each click of the visitor, and why the conversion was or was not sent with it."""

from collections.abc import Mapping
from dataclasses import dataclass

from sidecar.core.attribution import Chosen, ClickVerdict, SeenClick, verdicts
from sidecar.core.instant import UnixMillis
from sidecar.core.receipts.trace import Surroundings, Trace
from sidecar.core.states_and_reasons import State


@dataclass(frozen=True, slots=True)
class ClickLine:
    """A click, and why it was or was not taken."""

    click: SeenClick
    verdict: ClickVerdict
    why: str


SHOWN = 8
"""How many digits of a click id or hash are shown: enough to compare, not enough to use."""


def short(identifier: str | None) -> str | None:
    """As much of a click id or hash as may be shown."""
    return None if identifier is None else identifier[:SHOWN]


_WHY: Mapping[ClickVerdict, str] = {
    ClickVerdict.CHOSEN: "the last click at or before the conversion",
    ClickVerdict.OWN_CLICK_ID: "not used: the conversion brought another click id itself",
    ClickVerdict.LATER_THAN_CONVERSION: "not used: it happened after the conversion",
    ClickVerdict.CAPTURED_TOO_LATE: "not used: it was captured only after the choice had been made for good",
    ClickVerdict.TOO_OLD: "not used: Microsoft forgets clicks after 90 days",
    ClickVerdict.OUTSIDE_WINDOW: "not used: it lies outside the goal's conversion window",
    ClickVerdict.ANOTHER_WAS_LATER: "not used: another click came later, and the last one counts",
}


def click_lines(trace: Trace, around: Surroundings) -> tuple[ClickLine, ...]:
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
    """When the choice became final, as far as it is known: a batch freezes its rows."""
    batch = trace.batches.get(trace.record.batch_id or 0)
    return batch.created_at if trace.is_frozen and batch else trace.record.settled_at or now


def _why(click: SeenClick, verdict: ClickVerdict, trace: Trace) -> str:
    is_own = verdict is ClickVerdict.CHOSEN and trace.named_msclkid is not None
    why = "the conversion names it itself" if is_own else _WHY[verdict]
    if verdict is ClickVerdict.CHOSEN and (later := click.clicked_at - trace.record.time) > 0:
        return f"{why}, but it lies {_span(later)} after the conversion: most likely a time zone is wrong"
    return why


def _span(seconds_: int) -> str:
    """A length of time in words: `45 s`, `20 min`, `5 h 30 min`."""
    if seconds_ < 60:
        return f"{seconds_} s"
    hours, minutes = divmod(seconds_ // 60, 60)
    return " ".join(f"{number} {unit}" for number, unit in ((hours, "h"), (minutes, "min")) if number)
