"""POST /v1/conversions and /v1/validate: from a body to one answer, or to one for each item.

The conversions of a request are stored together, and nothing is answered before they are on disk.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

from aiohttp import web

from sidecar.api.answers import REPLAYED, HttpAnswer
from sidecar.api.conversion_answers import (
    ItemResult,
    Verdict,
    answer,
    minimal_result,
    result,
    results_of,
    summary,
    why_not_stored,
)
from sidecar.api.http.problem import BulkErrors, HttpProblem
from sidecar.api.http.reply import encode, json_reply, reply
from sidecar.api.http.request_id import REQUEST_ID
from sidecar.api.request.admission import Reservation
from sidecar.api.request.items import Received, SingleRequest
from sidecar.api.request.prefer import APPLIED, HEADER, wants_minimal
from sidecar.api.request.reader import RequestReader
from sidecar.api.request.turns import in_turns
from sidecar.api.row_json import Rows
from sidecar.api.validation import validation
from sidecar.core.instant import UnixMillis
from sidecar.core.intake.conversion import Accepted, Reading, Rules, read
from sidecar.core.intake.problem import Allowance
from sidecar.ports.intake import Arrival, Intake, Replayed, Stored
from sidecar.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class ConversionCalls:
    """Stores and validates conversions. `stored` is called with the number of new rows of each account."""

    intake: Intake
    rules: Callable[[], Rules]
    rows: Rows
    telemetry: Telemetry
    now: Callable[[], UnixMillis]
    stored: Callable[[Mapping[str, int]], None]
    reader: RequestReader

    async def add(self, request: web.Request) -> web.Response:
        """Store what can be stored, and answer once it is on disk."""
        started = perf_counter()
        try:
            with self.reader.reserve(request) as reservation:
                allowance = Allowance()
                received, readings = await self._read(request, reservation, allowance)
                results = await self._store(received, readings, request[REQUEST_ID])
                minimal = HEADER in request.headers and wants_minimal(request.headers.getall(HEADER))
                if isinstance(received, SingleRequest):
                    return self._single(results[0], minimal=minimal)
                return await self._bulk(results, allowance, minimal=minimal)
        finally:
            self.telemetry.intake.response_time(perf_counter() - started)

    async def validate(self, request: web.Request) -> web.Response:
        """Answer what would be stored, and store nothing; of a bulk request as `results`, in order."""
        with self.reader.reserve(request) as reservation:
            allowance = Allowance()
            received, readings = await self._read(request, reservation, allowance)
            rules, errors = self.rules(), BulkErrors(allowance)
            if isinstance(received, SingleRequest):
                return json_reply(validation(readings[0], received.item, rules))
            items = list(zip(range(len(readings)), readings, received.items, strict=True))

            def validated(one: tuple[int, Reading, object]) -> bytes:
                index, reading, item = one
                return encode({"index": index, **validation(reading, item, rules, errors)})

            return reply(b'{"results":[%b]}' % b",".join(await self.reader.each(items, validated)))

    def _read(
        self, request: web.Request, reservation: Reservation, allowance: Allowance
    ) -> Awaitable[tuple[Received, list[Reading]]]:
        rules, now = self.rules(), None

        def reading(item: object, key: str | None) -> Reading:
            nonlocal now
            now = now or self.now()  # once for all items, when the body is here
            return read(item, now=now, rules=rules, idempotency_key=key, allowance=allowance)

        return self.reader.read(request, reservation, reading)

    async def _store(self, received: Received, readings: Sequence[Reading], request_id: str) -> list[ItemResult]:
        """Store the accepted ones in one transaction, which is on disk when this returns."""
        now = self.now()
        accepted = (reading.conversion for reading in readings if isinstance(reading, Accepted))
        arrivals = [Arrival(conversion, now, request_id) for conversion in accepted]
        results = list(results_of(readings, await self.intake.put(arrivals) if arrivals else []))
        verdicts = [result.verdict for result in results]
        if new_rows := _rows_of_accounts(verdicts):
            self.stored(new_rows)
        self.telemetry.intake.conversions(received.items, verdicts, self.rules().goal_of)
        if sum(new_rows.values()) < len(verdicts):
            await self._trace(received, results, request_id)
        return results

    async def _trace(self, received: Received, results: Sequence[ItemResult], request_id: str) -> None:
        """Record items that were not stored, so that a search for their order shows why."""

        def trace(pair: tuple[object, ItemResult]) -> None:
            item, result = pair
            if (why := why_not_stored(result.verdict)) is not None:
                self.telemetry.intake.not_stored(item, *why, request_id)

        await in_turns(list(zip(received.items, results, strict=True)), trace)

    def _single(self, item: ItemResult, *, minimal: bool) -> web.Response:
        match answer(item, self.rows, minimal=minimal):
            case HttpAnswer(status, body):
                replayed = REPLAYED if isinstance(item.verdict, Replayed) else {}
                return json_reply(body, status, {**(APPLIED if minimal else {}), **replayed})
            case HttpProblem() as problem:
                problem.is_counted = True
                raise problem

    async def _bulk(self, items: Sequence[ItemResult], allowance: Allowance, *, minimal: bool) -> web.Response:
        whole, rows, numbered = summary(items), self.rows.of_one_answer(), list(enumerate(items))
        errors = BulkErrors(allowance)
        shown = minimal_result if minimal else result
        results = await self.reader.each(numbered, lambda one: encode(shown(*one, rows, errors)))
        return reply(whole.with_results(results), whole.status, APPLIED if minimal else None)


def _rows_of_accounts(verdicts: Iterable[Verdict]) -> dict[str, int]:
    rows: dict[str, int] = {}
    for verdict in verdicts:
        if isinstance(verdict, Stored):
            account = verdict.record.account
            rows[account] = rows.get(account, 0) + 1
    return rows
