"""What happens to requests and their items: stored, skipped, refused. One function per event."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from sidecar.core.conversion import AdjustmentType, Kind
from sidecar.core.intake.conversion import RejectedItem, Skipped
from sidecar.core.record import Record
from sidecar.core.states_and_reasons import State
from sidecar.core.unstored import What, unstored
from sidecar.ports.intake import Conflict, PutResult, Stored
from sidecar.ports.queries import UnstoredItems
from sidecar.telemetry import event_names
from sidecar.telemetry.aggregator import Aggregator
from sidecar.telemetry.delivery import DeliveryEvents
from sidecar.telemetry.match_shares import MatchShares
from sidecar.telemetry.metrics import IntakeMetrics
from sidecar.telemetry.recorder import Recorder, harmless
from sidecar.telemetry.service import ServiceEvents
from sidecar.telemetry.trace_buffer import TraceBuffer

NAMED_ORDERS = 5
"""Order ids that are named beside refusals of one code within ten seconds."""

ORDER_CHARACTERS = 64
"""What is shown of one of them: that of a refused item may be of any length."""

K = TypeVar("K")

_COUNTED = {
    event_names.SKIPPED: "not stored, by rule",
    event_names.REFUSED: "refused",
    event_names.TRACES_DROPPED: "traces of orders that were not stored were left out",
    event_names.CALL_REFUSED: "refused, which brought no conversion",
    event_names.LOOKUP_MISSED: "looked up what is not there",
}
"""Events that are counted for ten seconds and recorded as one, with the words behind their number."""


class IntakeEvents:
    """What happens at the API. None of these functions raises, blocks or awaits."""

    def __init__(
        self, recorder: Recorder, metrics: IntakeMetrics, delivery: DeliveryEvents, service: ServiceEvents
    ) -> None:
        self.recorder = recorder
        self.matches = MatchShares(recorder, metrics, service)
        self.traces = TraceBuffer()
        self._metrics = metrics
        self._delivery = delivery
        self._aggregator = Aggregator()
        self._refused_orders: dict[str, list[str]] = {}
        """By code, some order ids of refused items that are not yet recorded; as bounded as the codes counted."""

    @harmless
    def conversions(
        self,
        items: Sequence[object],
        verdicts: Sequence[PutResult | Skipped | RejectedItem],
        goal_of: Callable[[str, str], str | None],
    ) -> None:
        """Count the verdicts on the `items` of a request, in order; `goal_of` names the goal of an account's event."""
        stored: dict[tuple[str, str, tuple[str, ...]], int] = {}
        skipped: dict[tuple[str, str], int] = {}
        refused: dict[str, list[object]] = {}
        for item, verdict in zip(items, verdicts, strict=True):
            if isinstance(verdict, Stored):
                record = verdict.record
                kind = record.account, record.event, record.matched_by
                stored[kind] = stored.get(kind, 0) + 1
            elif isinstance(verdict, Skipped):
                _count(skipped, (verdict.reason, verdict.goal))
            elif isinstance(verdict, RejectedItem):
                refused.setdefault(verdict.problems[0].code, []).append(item)
            elif isinstance(verdict, Conflict):
                refused.setdefault("conflict", []).append(item)
        matches: dict[str, dict[tuple[str, ...], int]] = {}
        for (account, event, matched_by), n in stored.items():
            self.received(event, matched_by, n)
            # Visitors are counted once their clicks are looked up.
            if matched_by != ("visitor",) and (goal := goal_of(account, event)) is not None:
                _count(matches.setdefault(goal, {}), matched_by, n)
        for (reason, goal), n in skipped.items():
            self.skipped(reason, n)
            if reason == "no_identifier":
                _count(matches.setdefault(goal, {}), (), n)
        for goal, counts in matches.items():
            self.matches.seen(goal, counts)
        if refused:
            self.items_refused(refused)

    @harmless
    def received(self, event: str, matched_by: Sequence[str] = (), n: int = 1) -> None:
        """`n` new conversions of `event` are on disk; `matched_by` names their identifiers, the strongest first."""
        self._metrics.conversions.add(n, event)
        if matched_by:
            self._metrics.match.add(n, matched_by[0])
        if self.recorder.takes(event_names.RECEIVED):
            self.recorder.record(event_names.RECEIVED, "conversions received", count=n, also={"event": event})

    @harmless
    def adjusted(self, record: Record) -> None:
        """A new adjustment is on disk; where it ended at once, it ended without a call to Microsoft."""
        self._metrics.adjustments.add(1, record.event, record.type or "")
        if record.state is State.CANCELED:
            goal = self._delivery.goal(record)
            self._delivery.settled(goal, record.state.value, record.reason, kind=Kind.ADJUSTMENT)
            if record.type is AdjustmentType.RETRACT:
                self._delivery.settled(goal, State.CANCELED.value, record.reason)
        message = f"{record.id}: {record.type} of {record.conversion_id or 'a conversion'}"
        self.recorder.record(event_names.ADJUSTED, message, count=1)

    @harmless
    def skipped(self, reason: str, n: int = 1, kind: Kind = Kind.CONVERSION) -> None:
        """`n` items were not stored, by rule: consent_denied, no_identifier; of adjustments original_not_sent."""
        self._delivery.settled(None, State.SKIPPED.value, reason, n, kind)
        self._aggregator.add(event_names.SKIPPED, reason, n, self.recorder.clock())

    @harmless
    def refused(self, code: str, n: int = 1, orders: Sequence[str] = ()) -> None:
        """`n` items, or requests that brought items, were refused for the problem `code`; `orders` are order ids."""
        self._aggregator.add(event_names.REFUSED, code, n, self.recorder.clock())
        named = self._refused_orders.setdefault(code, [])
        for order in orders[:NAMED_ORDERS]:
            shown = self.recorder.redactor.identifier(order.strip()[:ORDER_CHARACTERS])
            if len(named) < NAMED_ORDERS and shown not in named:
                named.append(shown)

    @harmless
    def items_refused(self, items: Mapping[str, Sequence[object]]) -> None:
        """These items, by the code of the problem, were refused; some of their order ids are named."""
        for code, refused in items.items():
            named = [item.get("order_id") for item in refused if isinstance(item, dict)]
            self.refused(code, len(refused), [order for order in named if isinstance(order, str)])

    @harmless
    def call_refused(self, code: str) -> None:
        """A call that brought no items was refused for the problem `code`: nothing was lost."""
        name = event_names.LOOKUP_MISSED if code.startswith("no_such_") else event_names.CALL_REFUSED
        self._aggregator.add(name, code, 1, self.recorder.clock())

    @harmless
    def not_stored(
        self, item: object, what: What, codes: Sequence[str], request_id: str, kind: Kind = Kind.CONVERSION
    ) -> None:
        """An item of a request was not stored: the trace of its order says why. Without an order id there is none."""
        trace = unstored(item, what, codes, self.recorder.clock(), request_id, kind)
        if trace is not None:
            self.traces.put(trace)

    @harmless
    def captured(self, n: int, woken: int) -> None:
        """`n` clicks of visitors are on disk, and `woken` conversions are due again with them."""
        self._metrics.clicks.add(n)
        self.recorder.record(event_names.CAPTURED, "clicks captured", count=n, also={"conversions_due_again": woken})

    @harmless
    def response_time(self, seconds: float) -> None:
        """A request that brought conversions took this long."""
        self._metrics.seconds.observe(seconds)

    @harmless
    def committed(self, rows: int, seconds: float) -> None:
        """One transaction of intake is fsynced; fits `Committer.on_group`."""
        self._metrics.commit_rows.observe(rows)
        self._metrics.commit_seconds.observe(seconds)

    @harmless
    def report_counted(self, *, last: bool = False) -> None:
        """Record what was counted for ten seconds; all of it if this is the `last` time."""
        for name, code, count in self._aggregator.take(None if last else self.recorder.clock()):
            orders = self._refused_orders.pop(code, []) if name is event_names.REFUSED else []
            message = f"{count} {_COUNTED[name]}: {code}{_named(orders, count)}"
            also = {"order_ids": orders} if orders else None
            self.recorder.record(name, message, error=code, count=count, also=also)

    async def write_traces(self, store: UnstoredItems) -> None:
        """Write the traces that wait, and count those that found no room."""
        try:
            if dropped := await self.traces.flush(store):
                now = self.recorder.clock()
                self._aggregator.add(event_names.TRACES_DROPPED, "more came than can be kept", dropped, now)
        except Exception as error:
            self.recorder.failed("traces", error)


def _count(counts: dict[K, int], key: K, n: int = 1) -> None:
    """Add `n`. Most requests have one key, for which a Counter would cost more than everything else here."""
    counts[key] = counts.get(key, 0) + n


def _named(orders: Sequence[str], count: int) -> str:
    """Some order ids in brackets, at the end: an erasure cuts them off there."""
    if not orders:
        return ""
    more = f" and {count - len(orders)} more" if count > len(orders) else ""
    return f" ({'order' if count == 1 else 'orders'} {', '.join(orders)}{more})"
