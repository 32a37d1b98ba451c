"""POST /v1/conversions and /v1/validate: from a body to one answer, or to one for each item.

The conversions of a request go to the outbox together, and nothing is answered before they are on disk.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TypeVar, assert_never

from aiohttp import web

from sidecar.api.answers import (
    HttpAnswer,
    ItemResult,
    answer,
    judged,
    minimal,
    minimal_result,
    result_text,
    summary,
    validation,
    why_not_stored,
)
from sidecar.api.http.problem import BulkErrors, HttpProblem
from sidecar.api.http.reply import json_reply, reply, text
from sidecar.api.http.request_id import REQUEST_ID
from sidecar.api.new_rows import NewRows
from sidecar.api.request.admission import Reservation
from sidecar.api.request.items import BulkRequest, Single, orders_of, refused_by_code
from sidecar.api.request.prefer import APPLIED, HEADER, wants_minimal
from sidecar.api.request.reader import RequestReader
from sidecar.api.request.turns import in_turns
from sidecar.api.row_json import Rows
from sidecar.core.instant import UnixMillis
from sidecar.core.intake.conversion import Accepted, Reading, RejectedItem, Rules, Skipped, read
from sidecar.core.problem import Allowance
from sidecar.ports.intake import Arrival, Conflict, Replayed, Stored
from sidecar.ports.outbox import Outbox
from sidecar.telemetry import Telemetry

K = TypeVar("K")

_KindOfRow = tuple[str, str, tuple[str, ...]]
"""Account, event and what it can be matched by: whatever is told of new rows is told of these."""

_REPLAYED = {"Idempotent-Replayed": "true"}
_NO_HEADERS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionCalls:
    """Takes conversions in. `rules` is asked anew for each request; `stored` is told how many rows of which account."""

    outbox: Outbox
    rules: Callable[[], Rules]
    rows: Rows
    telemetry: Telemetry
    now: Callable[[], UnixMillis]
    stored: Callable[[Mapping[str, int]], None]
    taking: RequestReader

    async def add(self, request: web.Request) -> web.Response:
        """Store what can be stored, and answer once it is on disk."""
        started = perf_counter()
        try:
            with self.taking.room(request) as room:
                allowance = Allowance()
                came, readings = await self._readings(request, room, allowance)
                kept = await self._keep(came, readings, request[REQUEST_ID])
                short = HEADER in request.headers and wants_minimal(request.headers.getall(HEADER))
                if isinstance(came, Single):
                    return self._alone_minimal(kept[0], came) if short else self._alone(kept[0], came)
                self._tell_refused(kept, came)
                return await self._together(kept, allowance, short=short)
        finally:
            self.telemetry.intake.answered(perf_counter() - started)

    async def validate(self, request: web.Request) -> web.Response:
        """Say what would become of it, and keep nothing; of an array as `results`, in order."""
        with self.taking.room(request) as room:
            allowance = Allowance()
            came, readings = await self._readings(request, room, allowance)
            rules, errors = self.rules(), BulkErrors(allowance)
            if isinstance(came, Single):
                return json_reply(validation(readings[0], came.item, rules))
            items = list(zip(range(len(readings)), readings, came.items, strict=True))

            def validated(one: tuple[int, Reading, object]) -> str:
                index, reading, item = one
                return text({"index": index, **validation(reading, item, rules, errors)})

            return reply(f'{{"results":[{",".join(await self.taking.each(items, validated))}]}}'.encode())

    async def _readings(
        self, request: web.Request, room: Reservation, allowance: Allowance
    ) -> tuple[Single | BulkRequest, list[Reading]]:
        """What came, and what each item of it means."""

        rules, now = self.rules(), None

        def reading(item: object, key: str | None) -> Reading:
            nonlocal now
            now = now or self.now()  # once for all items, when the body is here
            return read(item, now=now, rules=rules, idempotency_key=key, allowance=allowance)

        return await self.taking.read(request, room, reading)

    async def _keep(self, came: Single | BulkRequest, readings: Sequence[Reading], request_id: str) -> list[ItemResult]:
        """Store the accepted ones in one transaction, which is on disk when this returns."""
        now = self.now()
        accepted = (reading.conversion for reading in readings if isinstance(reading, Accepted))
        arrivals = [Arrival(conversion, now, request_id) for conversion in accepted]
        results = await self.outbox.put(arrivals) if arrivals else []
        items = list(judged(readings, results))
        if not self._tell(items):
            await self._leave_traces(came, items, request_id)
        return items

    async def _leave_traces(self, came: Single | BulkRequest, items: Sequence[ItemResult], request_id: str) -> None:
        """Note what was not stored, so that whoever looks for its order learns why."""

        def leave(pair: tuple[object, ItemResult]) -> None:
            item, judged_ = pair
            if (why := why_not_stored(judged_.verdict)) is not None:
                self.telemetry.intake.not_stored(item, *why, request_id)

        given = [came.item] if isinstance(came, Single) else came.items
        await in_turns(list(zip(given, items, strict=True)), leave)

    def _tell(self, items: Sequence[ItemResult]) -> bool:
        """Tell what came of the items; whether all of them are on disk."""
        all_stored = True
        stored: dict[_KindOfRow, int] = {}
        skipped: dict[tuple[str, str], int] = {}
        for item in items:
            verdict = item.verdict
            if isinstance(verdict, Stored):
                record = verdict.record
                _count(stored, (record.account, record.event, record.matched_by))
            elif isinstance(verdict, Skipped):
                all_stored = False
                _count(skipped, (verdict.reason, verdict.goal))
            elif not isinstance(verdict, Replayed):
                all_stored = False
        if stored:
            self._tell_stored(stored)
        for (reason, _), n in skipped.items():
            self.telemetry.intake.skipped(reason, n)
        self._tell_matches(stored, skipped)
        return all_stored

    def _tell_stored(self, stored: Mapping[_KindOfRow, int]) -> None:
        of_accounts: dict[str, int] = {}
        of_events: dict[tuple[str, tuple[str, ...]], int] = {}
        for (account, event, matched_by), n in stored.items():
            _count(of_accounts, account, n)
            _count(of_events, (event, matched_by), n)
        self.stored(of_accounts)
        for (event, matched_by), n in of_events.items():
            self.telemetry.intake.received(event, matched_by, n)

    def _tell_matches(self, stored: Mapping[_KindOfRow, int], skipped: Mapping[tuple[str, str], int]) -> None:
        """What came in can be matched by this or that, or by nothing; consent that was denied says nothing of it.

        Of a visitor it shows only later whether there was a click: the attributor tells of those.
        """
        events = self.rules().events
        matches = [
            (events[event].goal_in(account), by, n)
            for (account, event, by), n in stored.items()
            if event in events and by != ("visitor",)
        ]
        matches += [(goal, (), n) for (reason, goal), n in skipped.items() if reason == "no_identifier"]
        goals: dict[str, dict[tuple[str, ...], int]] = {}
        for goal, matched_by, n in matches:
            _count(goals.setdefault(goal, {}), matched_by, n)
        for goal, came in goals.items():
            self.telemetry.intake.matches.seen(goal, came)

    async def _together(self, items: Sequence[ItemResult], allowance: Allowance, *, short: bool) -> web.Response:
        whole, rows, pairs = summary(items), self.rows.of_one_answer(), list(enumerate(items))
        errors = BulkErrors(allowance)
        if short:
            results = await self.taking.each(pairs, lambda one: text(minimal_result(*one, rows, errors)))
            return reply(whole.with_results(results), whole.status, APPLIED)
        new_rows = NewRows(rows)
        results = await self.taking.each(pairs, lambda one: result_text(*one, new_rows, errors))
        return reply(whole.with_results(results), whole.status)

    def _tell_refused(self, items: Sequence[ItemResult], came: Single | BulkRequest) -> None:
        for code, places in refused_by_code(_refusal(item) for item in items).items():
            self.telemetry.intake.refused(code, len(places), orders_of(came, places))

    def _alone(self, item: ItemResult, came: Single) -> web.Response:
        return self._replied(answer(item, self.rows), item, came)

    def _alone_minimal(self, item: ItemResult, came: Single) -> web.Response:
        return self._replied(minimal(item, self.rows), item, came, APPLIED)

    def _replied(
        self, said: HttpAnswer | HttpProblem, item: ItemResult, came: Single, headers: Mapping[str, str] = _NO_HEADERS
    ) -> web.Response:
        """The response; of an HttpProblem, which is told in full, it is raised."""
        match said:
            case HttpAnswer(status, body):
                replayed = _REPLAYED if isinstance(item.verdict, Replayed) else _NO_HEADERS
                return json_reply(body, status, {**headers, **replayed})
            case HttpProblem() as problem:
                self._tell_refused([item], came)
                problem.is_told = True
                raise problem
            case _:
                assert_never(said)


def _refusal(item: ItemResult) -> str | None:
    """The code for which an item was refused; None when it was not."""
    match item.verdict:
        case RejectedItem(problems):
            return problems[0].code
        case Conflict():
            return "conflict"
        case _:
            return None


def _count(counts: dict[K, int], thing: K, n: int = 1) -> None:
    """`n` more of `thing`; for the one thing of most requests a Counter would cost more than all the rest here."""
    counts[thing] = counts.get(thing, 0) + n
