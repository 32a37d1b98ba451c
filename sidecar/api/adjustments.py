"""POST /v1/adjustments and GET /v1/adjustments/{id}: refunds and corrections of conversions that came in before."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from sidecar.api.adjustment_answers import Told, answer, result, summary, told, why_not_stored
from sidecar.api.answers import HttpAnswer
from sidecar.api.http.problem import NO_ADJUSTMENT, BulkErrors, HttpProblem
from sidecar.api.http.reply import json_reply
from sidecar.api.http.request_id import REQUEST_ID
from sidecar.api.request.items import BulkRequest, Single, orders_of, refused_by_code
from sidecar.api.request.reader import RequestReader
from sidecar.api.request.turns import in_turns
from sidecar.api.row_json import Rows
from sidecar.core.conversion import Kind
from sidecar.core.entry import Reason, State
from sidecar.core.instant import UnixMillis
from sidecar.core.intake.adjustment import AcceptedAdjustment, Reading, read
from sidecar.core.intake.conversion import Rules
from sidecar.core.intake.invisible_characters import trimmed
from sidecar.core.problem import Allowance
from sidecar.core.record import seq_of
from sidecar.core.unstored import all_in_words
from sidecar.ports.intake import Adjusting, NoOriginal, OriginalNotSent, Replayed, Stored
from sidecar.ports.outbox import Outbox
from sidecar.telemetry import Telemetry, TracesOfOrders

_REPLAYED = {"Idempotent-Replayed": "true"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AdjustmentCalls:
    """Takes adjustments in. `stored` is told how many rows of which account want to be delivered."""

    outbox: Outbox
    rules: Callable[[], Rules]
    rows: Rows
    telemetry: Telemetry
    now: Callable[[], UnixMillis]
    stored: Callable[[Mapping[str, int]], None]
    taking: RequestReader
    traces: TracesOfOrders | None = None
    """Of orders that were not stored."""

    async def add(self, request: web.Request) -> web.Response:
        """Carry out or store what can be, and answer once it is on disk."""
        with self.taking.room(request) as room:
            rules, allowance = self.rules(), Allowance()

            def reading(item: object, key: str | None) -> Reading:
                return read(item, now=self.now(), rules=rules, idempotency_key=key, allowance=allowance)

            came, readings = await self.taking.read(request, room, reading)
            items = await self._keep(readings, request[REQUEST_ID])
            earlier = await self._earlier(came, items)
            await self._leave_traces(came, items, request[REQUEST_ID])
            self._tell_refused(items, came)
            if isinstance(came, Single):
                return _alone(items[0], self.rows, earlier)
            return await self._together(items, allowance)

    async def get(self, request: web.Request) -> web.Response:
        """The adjustment of that id."""
        seq = seq_of(Kind.ADJUSTMENT, request.match_info["id"])
        record = None if seq is None else await self.outbox.get(seq)
        if record is None or record.kind is not Kind.ADJUSTMENT:
            said = "An id looks like adj_17; GET /v1/conversions/{id} lists those of a conversion."
            raise HttpProblem(NO_ADJUSTMENT, said)
        return json_reply(self.rows.show(record))

    async def _keep(self, readings: Sequence[Reading], request_id: str) -> list[Told]:
        """Decide and store the well formed ones in one transaction, which is on disk when this returns."""
        now = self.now()
        wanted = (reading.adjustment for reading in readings if isinstance(reading, AcceptedAdjustment))
        adjustings = [Adjusting(adjustment, now, request_id) for adjustment in wanted]
        results = await self.outbox.adjust(adjustings) if adjustings else []
        items = list(told(readings, results))
        self._tell(items)
        return items

    async def _earlier(self, came: Single | BulkRequest, items: Sequence[Told]) -> str:
        """What became of the order that one adjustment names and nobody knows: it may have come and been refused."""
        if not isinstance(came, Single) or not isinstance(items[0].verdict, NoOriginal) or self.traces is None:
            return ""
        order_id = came.item.get("order_id") if isinstance(came.item, dict) else None
        found = await self.traces.of_order(trimmed(order_id)) if isinstance(order_id, str) else ()
        return all_in_words([one for one in found if one.kind is Kind.CONVERSION])

    async def _leave_traces(self, came: Single | BulkRequest, items: Sequence[Told], request_id: str) -> None:
        """Note what was not stored, so that whoever looks for its order learns why."""

        def leave(pair: tuple[object, Told]) -> None:
            item, told_ = pair
            if (why := why_not_stored(told_.verdict)) is not None:
                self.telemetry.intake.not_stored(item, *why, request_id, Kind.ADJUSTMENT)

        given = [came.item] if isinstance(came, Single) else came.items
        await in_turns(list(zip(given, items, strict=True)), leave)

    def _tell(self, items: Sequence[Told]) -> None:
        stored = [item.verdict.record for item in items if isinstance(item.verdict, Stored)]
        for record in stored:
            self.telemetry.intake.adjusted(record)
        if waiting := Counter(record.account for record in stored if record.state is State.PENDING):
            self.stored(waiting)
        if skipped := sum(isinstance(item.verdict, OriginalNotSent) for item in items):
            self.telemetry.intake.skipped(Reason.ORIGINAL_NOT_SENT, skipped, Kind.ADJUSTMENT)

    def _tell_refused(self, items: Sequence[Told], came: Single | BulkRequest) -> None:
        problems = (_problem(item, self.rows) for item in items)
        codes = (None if problem is None else problem.reason for problem in problems)
        for code, places in refused_by_code(codes).items():
            self.telemetry.intake.refused(code, len(places), orders_of(came, places))

    async def _together(self, items: Sequence[Told], allowance: Allowance) -> web.Response:
        errors = BulkErrors(allowance)
        results = await self.taking.each(list(enumerate(items)), lambda one: result(*one, self.rows, errors))
        whole = summary(items, results)
        return json_reply(whole.body, whole.status)


def _alone(item: Told, rows: Rows, earlier: str) -> web.Response:
    match answer(item, rows):
        case HttpAnswer(status, body):
            return json_reply(body, status, _REPLAYED if isinstance(item.verdict, Replayed) else None)
        case HttpProblem() as problem:
            problem.detail = " ".join(filter(None, (problem.detail, earlier)))
            problem.is_told = True
            raise problem


def _problem(item: Told, rows: Rows) -> HttpProblem | None:
    said = answer(item, rows)
    return said if isinstance(said, HttpProblem) else None
