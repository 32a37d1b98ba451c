"""POST /v1/clicks stores ad clicks of visitors and wakes the conversions that waited for one; GET returns them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import assert_never

from aiohttp import web

from sidecar.api.answers import bulk_status
from sidecar.api.http.problem import BulkErrors, invalid
from sidecar.api.http.reply import Json, encode, json_reply, page_reply
from sidecar.api.request import query as parameters
from sidecar.api.request.admission import admission_of
from sidecar.api.request.items import SingleRequest
from sidecar.api.request.reader import RequestReader
from sidecar.api.request.turns import in_turns
from sidecar.core.instant import UnixMillis, text_of_millis, text_of_seconds
from sidecar.core.intake import fields
from sidecar.core.intake.click import Capture, CaptureRules, Clicked, NotCaptured, RejectedClick, read_click
from sidecar.core.intake.problem import Allowance, Problem
from sidecar.ports.intake import Captured, Clicks
from sidecar.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class ClickCalls:
    """Stores and returns clicks. `due` is called with the number of rows of each account that are due again."""

    clicks: Clicks
    rules: Callable[[], CaptureRules]
    telemetry: Telemetry
    now: Callable[[], UnixMillis]
    due: Callable[[Mapping[str, int]], None]
    reader: RequestReader

    async def capture(self, request: web.Request) -> web.Response:
        """Store the valid ones, and answer once they are on disk. A repeat changes nothing, so no key is needed."""
        with self.reader.reserve(request) as reservation:
            now = self.now()
            allowance = Allowance()
            read = partial(read_click, now=now, rules=self.rules(), allowance=allowance)
            received, readings = await self.reader.read(request, reservation, lambda item, _: read(item))
            await self._store(readings, now)
            if isinstance(received, SingleRequest):
                if isinstance(reading := readings[0], RejectedClick):
                    raise invalid(reading.problems)
                return json_reply(_answer(reading), 202)
            return await self._bulk(readings, allowance)

    async def find(self, request: web.Request) -> web.Response:
        """The stored clicks of a visitor, newest first: of one account, or of all that are configured."""
        found = parameters.read(request.query.items(), _READERS)
        if "visitor_id" not in found:
            raise invalid([Problem("visitor_id", "required", "is required: whose clicks are wanted")])
        accounts = (found["account"],) if "account" in found else self.rules().accounts
        limit = found.get("limit", _DEFAULT_LIMIT)
        async with admission_of(request).page(limit):
            page = await self.clicks.of_visitor(found["visitor_id"], accounts, found.get("cursor"), limit)
            rows = await in_turns(page.clicks, lambda each: encode(show(each)))
            return page_reply(rows, parameters.to_cursor(page.next_seq))

    async def _store(self, readings: Sequence[Capture], now: UnixMillis) -> None:
        captures = [Captured(reading.click, now) for reading in readings if isinstance(reading, Clicked)]
        if captures:
            woken = await self.clicks.capture(captures)
            self.telemetry.intake.captured(len(captures), sum(woken.values()))
            if woken:
                self.due(woken)

    async def _bulk(self, readings: Sequence[Capture], allowance: Allowance) -> web.Response:
        captured = sum(isinstance(reading, Clicked) for reading in readings)
        rejected = 0
        for reading in readings:
            if isinstance(reading, RejectedClick):
                rejected += 1
                self.telemetry.intake.refused(reading.problems[0].code, 1)
        status = bulk_status(rejected, len(readings))
        counts = {"captured": captured, "not_captured": len(readings) - captured - rejected, "rejected": rejected}
        errors = BulkErrors(allowance)
        results = await self.reader.each(list(enumerate(readings)), lambda one: _result(*one, errors))
        return json_reply({**counts, "results": results}, status)


_DEFAULT_LIMIT = 100

_READERS: parameters.Readers = {
    "visitor_id": fields.visitor_id,
    "account": parameters.text,
    "limit": parameters.limit,
    "cursor": parameters.cursor,
}


def show(captured: Captured) -> Json:
    """A click as JSON, with the times when it was made and received."""
    click = captured.click
    return {
        "account": click.account,
        "visitor_id": click.visitor_id,
        "msclkid": click.msclkid,
        "clicked_at": text_of_seconds(click.clicked_at),
        "captured_at": text_of_millis(captured.captured_at),
    }


def _result(index: int, reading: Capture, errors: BulkErrors) -> Json:
    if isinstance(reading, RejectedClick):
        return {"index": index, "status": 422, **errors.of(reading.problems)}
    return {"index": index, "status": 202, **_answer(reading)}


def _answer(reading: Clicked | NotCaptured) -> Json:
    match reading:
        case Clicked(warnings=warnings):
            return {"captured": True, "reason": None, "warnings": warnings}
        case NotCaptured(reason, warnings):
            return {"captured": False, "reason": reason, "warnings": warnings}
        case _:
            assert_never(reading)
