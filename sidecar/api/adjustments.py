"""POST and GET /v1/adjustments, GET /v1/adjustments/{id}: refunds and corrections of earlier conversions."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from sidecar.api.adjustment_answers import AdjustmentResult, answer, result, results_of, summary, why_not_stored
from sidecar.api.answers import REPLAYED, HttpAnswer
from sidecar.api.http.problem import NO_ADJUSTMENT, BulkErrors, HttpProblem
from sidecar.api.http.reply import json_reply
from sidecar.api.http.request_id import REQUEST_ID
from sidecar.api.request import query as parameters
from sidecar.api.request.items import Received, SingleRequest
from sidecar.api.request.reader import RequestReader
from sidecar.api.request.turns import in_turns
from sidecar.api.row_json import Rows
from sidecar.api.row_pages import RowPages, state
from sidecar.core.conversion import Kind
from sidecar.core.instant import UnixMillis
from sidecar.core.intake.adjustment import AcceptedAdjustment, Reading, read
from sidecar.core.intake.conversion import Rules
from sidecar.core.intake.invisible_characters import trimmed
from sidecar.core.intake.problem import Allowance
from sidecar.core.record import seq_of
from sidecar.core.states_and_reasons import Reason, State
from sidecar.core.unstored import all_in_words
from sidecar.ports.intake import Adjusting, NoOriginal, OriginalNotSent, Replayed, Stored
from sidecar.ports.outbox import Outbox
from sidecar.ports.queries import Query
from sidecar.telemetry import Telemetry, TracesOfOrders


@dataclass(frozen=True, slots=True)
class AdjustmentCalls:
    """Stores and shows adjustments. `stored` is called with the number of rows of each account that are due."""

    outbox: Outbox
    rules: Callable[[], Rules]
    rows: Rows
    telemetry: Telemetry
    now: Callable[[], UnixMillis]
    stored: Callable[[Mapping[str, int]], None]
    reader: RequestReader
    traces: TracesOfOrders | None = None
    """Of orders that were not stored."""

    async def add(self, request: web.Request) -> web.Response:
        """Carry out or store what can be, and answer once it is on disk."""
        with self.reader.reserve(request) as reservation:
            rules, allowance = self.rules(), Allowance()

            def reading(item: object, key: str | None) -> Reading:
                return read(item, now=self.now(), rules=rules, idempotency_key=key, allowance=allowance)

            received, readings = await self.reader.read(request, reservation, reading)
            items = await self._store(readings, request[REQUEST_ID])
            earlier = await self._earlier(received, items)
            await self._trace(received, items, request[REQUEST_ID])
            self._tell_refused(items, received)
            if isinstance(received, SingleRequest):
                return _single(items[0], self.rows, earlier)
            return await self._bulk(items, allowance)

    async def get(self, request: web.Request) -> web.Response:
        """The adjustment of that id."""
        seq = seq_of(Kind.ADJUSTMENT, request.match_info["id"])
        record = None if seq is None else await self.outbox.get(seq)
        if record is None or record.kind is not Kind.ADJUSTMENT:
            hint = "An id looks like adj_17; GET /v1/conversions/{id} lists those of a conversion."
            raise HttpProblem(NO_ADJUSTMENT, hint)
        return json_reply(self.rows.show(record))

    async def find(self, request: web.Request) -> web.Response:
        """Adjustments, newest first. A page may be short while its cursor says that there is more to look through."""
        return await RowPages(self.outbox, self.rows).answer(request, read_query(request.query.items()))

    async def _store(self, readings: Sequence[Reading], request_id: str) -> list[AdjustmentResult]:
        """Decide and store the well formed ones in one transaction, which is on disk when this returns."""
        now = self.now()
        wanted = (reading.adjustment for reading in readings if isinstance(reading, AcceptedAdjustment))
        adjustings = [Adjusting(adjustment, now, request_id) for adjustment in wanted]
        results = await self.outbox.adjust(adjustings) if adjustings else []
        items = list(results_of(readings, results))
        self._tell(items)
        return items

    async def _earlier(self, received: Received, items: Sequence[AdjustmentResult]) -> str:
        """What happened to the order of a single adjustment that has no conversion here: it may have been refused."""
        is_unknown = isinstance(received, SingleRequest) and isinstance(items[0].verdict, NoOriginal)
        if not isinstance(received, SingleRequest) or not is_unknown or self.traces is None:
            return ""
        order_id = received.item.get("order_id") if isinstance(received.item, dict) else None
        found = await self.traces.of_order(trimmed(order_id)) if isinstance(order_id, str) else ()
        return all_in_words([one for one in found if one.kind is Kind.CONVERSION])

    async def _trace(self, received: Received, items: Sequence[AdjustmentResult], request_id: str) -> None:
        """Record items that were not stored, so that a search for their order shows why."""

        def trace(pair: tuple[object, AdjustmentResult]) -> None:
            item, result_ = pair
            if (why := why_not_stored(result_.verdict)) is not None:
                self.telemetry.intake.not_stored(item, *why, request_id, Kind.ADJUSTMENT)

        await in_turns(list(zip(received.items, items, strict=True)), trace)

    def _tell(self, items: Sequence[AdjustmentResult]) -> None:
        stored = [item.verdict.record for item in items if isinstance(item.verdict, Stored)]
        for record in stored:
            self.telemetry.intake.adjusted(record)
        if waiting := Counter(record.account for record in stored if record.state is State.PENDING):
            self.stored(waiting)
        if skipped := sum(isinstance(item.verdict, OriginalNotSent) for item in items):
            self.telemetry.intake.skipped(Reason.ORIGINAL_NOT_SENT, skipped, Kind.ADJUSTMENT)

    def _tell_refused(self, items: Sequence[AdjustmentResult], received: Received) -> None:
        refused: dict[str, list[object]] = {}
        for item, result_ in zip(received.items, items, strict=True):
            is_stored = isinstance(result_.verdict, Stored | Replayed)  # then no answer need be made only to look at it
            if not is_stored and isinstance(found := answer(result_, self.rows), HttpProblem):
                refused.setdefault(found.reason, []).append(item)
        self.telemetry.intake.items_refused(refused)

    async def _bulk(self, items: Sequence[AdjustmentResult], allowance: Allowance) -> web.Response:
        errors = BulkErrors(allowance)
        results = await self.reader.each(list(enumerate(items)), lambda one: result(*one, self.rows, errors))
        whole = summary(items, results)
        return json_reply(whole.body, whole.status)


_READERS: parameters.Readers = {
    "order_id": parameters.text,
    "event": parameters.text,
    "state": state,
    "account": parameters.text,
    "since": parameters.instant,
    "limit": parameters.limit,
    "cursor": parameters.cursor,
}
"""Every parameter of the list."""


def read_query(given: Iterable[tuple[str, str]]) -> Query:
    """The query that these parameters ask for; HttpProblem with everything that is wrong with them."""
    found = parameters.read(given, _READERS)
    return Query(kind=Kind.ADJUSTMENT, before_seq=found.pop("cursor", None), **found)


def _single(item: AdjustmentResult, rows: Rows, earlier: str) -> web.Response:
    match answer(item, rows):
        case HttpAnswer(status, body):
            return json_reply(body, status, REPLAYED if isinstance(item.verdict, Replayed) else None)
        case HttpProblem() as problem:
            problem.detail = " ".join(filter(None, (problem.detail, earlier)))
            problem.is_counted = True
            raise problem
