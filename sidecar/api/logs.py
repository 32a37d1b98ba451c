"""GET /logs: the journal as pages, as lines, or as a stream of events; a browser is led to the dashboard."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlencode

from aiohttp import web

from sidecar.api.http.guard import wants_page
from sidecar.api.http.problem import UNAVAILABLE, HttpProblem
from sidecar.api.http.reply import encode, page_reply
from sidecar.api.log_query import FILTERS, LogRequest, read_request
from sidecar.api.log_traces import with_traces
from sidecar.api.request.admission import ROW_BYTES, Admission, admission_of
from sidecar.api.request.query import to_cursor
from sidecar.api.request.turns import in_turns
from sidecar.ports.journal import Journal, JournalPage, JournalQuery, StoredEntry, facts_of
from sidecar.telemetry import Follower, Followers, TooManyFollowers, TracesOfOrders

NDJSON = "application/x-ndjson"

HEARTBEAT_SECONDS = 15.0
WRITE_SECONDS = 60.0
"""A client that reads nothing for so long is disconnected."""

_HEARTBEAT = b": still here\n\n"
_STREAM_HEADERS = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}


@dataclass(frozen=True, slots=True)
class LogCalls:
    """Reads from the journal; a stream gets new entries from `followers`."""

    journal: Journal
    followers: Followers
    heartbeat_seconds: float = HEARTBEAT_SECONDS
    traces: TracesOfOrders | None = None
    """Of orders that were not stored; the first page about an order has them among its facts."""

    async def get(self, request: web.Request) -> web.StreamResponse:
        """The handler of the route; authorisation happened before. HttpProblem when it cannot be answered."""
        if wants_page(request.headers):
            return _to_dashboard(request)
        asked = read_request(request.query.items(), request.headers.get("Last-Event-ID"))
        if asked.follow:
            return await self._follow(request, asked)
        async with admission_of(request).page(asked.query.limit):
            page = await self._page(asked.query)
            if NDJSON in request.headers.get("Accept", ""):
                return await _lines(page)
            rows = await in_turns(page.items, lambda item: encode(facts_of(item.entry)))
            return page_reply(rows, to_cursor(page.next_seq))

    async def _page(self, query: JournalQuery) -> JournalPage:
        page = await self.journal.read(query)
        if self.traces is None or query.order_id is None or query.before_seq is not None:
            return page
        return with_traces(page, query, await self.traces.of_order(query.order_id))

    async def _follow(self, request: web.Request, asked: LogRequest) -> web.StreamResponse:
        try:
            with self.followers.follow(asked.query) as follower:
                admission = admission_of(request)
                admission.check_answers(asked.query.limit * ROW_BYTES)
                response = web.StreamResponse(headers=_STREAM_HEADERS)
                await response.prepare(request)
                await self._stream(response, self._events(asked, follower, admission))
                return response
        except TooManyFollowers:
            detail = f"{self.followers.limit} clients follow the log already; end one of them."
            raise HttpProblem(UNAVAILABLE, detail, headers={"Retry-After": "15"}) from None

    async def _stream(self, response: web.StreamResponse, chunks: AsyncIterator[bytes]) -> None:
        try:
            async for chunk in chunks:
                async with asyncio.timeout(WRITE_SECONDS):
                    await response.write(chunk)
        except (ConnectionError, TimeoutError):  # the client left, or might as well have
            response.force_close()
        except HttpProblem:  # no room for the page that comes next: the client asks again from where it is
            response.force_close()

    async def _events(self, asked: LogRequest, follower: Follower, admission: Admission) -> AsyncIterator[bytes]:
        """First the history, oldest first, then new entries; none twice."""
        yield _HEARTBEAT  # so that the client sees at once that it is connected
        seen = 0
        async for chunk, last in self._history(asked, admission):
            yield chunk
            seen = last
        over = False
        while not over:
            entries, missed = await follower.next(self.heartbeat_seconds)
            over = follower.closed  # checked before a slow write: entries until then are in `entries`
            fresh = [one for one in entries if one.seq > seen]
            gap = f"event: gap\ndata: {json.dumps({'missed': missed})}\n\n" if missed else ""
            yield "".join((*map(_event_of, fresh), gap)).encode() or _HEARTBEAT

    async def _history(self, asked: LogRequest, admission: Admission) -> AsyncIterator[tuple[bytes, int]]:
        """The newest page, or everything after the fact at which an earlier watch broke off; and its last number."""
        after = asked.resume_after
        if after is None:
            yield await self._first_page(asked.query, admission)
        while after is not None:
            async with admission.page(asked.query.limit):
                page = await self.journal.read_on(asked.query, after)
                chunk = "".join(await in_turns(page.items, _event_of)).encode()
            if page.items:
                yield chunk, page.items[-1].seq
            after = page.next_seq

    async def _first_page(self, query: JournalQuery, admission: Admission) -> tuple[bytes, int]:
        """The newest page, oldest first, and the event `page`, whose cursor leads to what is older."""
        async with admission.page(query.limit):
            page = await self._page(query)
            events = await in_turns(page.items[::-1], _event_of)
        end = f"event: page\ndata: {json.dumps({'next_cursor': to_cursor(page.next_seq)})}\n\n"
        return "".join((*events, end)).encode(), max((item.seq for item in page.items), default=0)


def _to_dashboard(request: web.Request) -> web.Response:
    """302 to the view of the page that shows the same, with the filters as they were given."""
    filters = [(name, value) for name, value in request.query.items() if name in FILTERS]
    query = f"?{urlencode(filters)}" if filters else ""
    return web.Response(status=302, headers={"Location": f"./#/logs{query}", "Vary": "Accept"})


async def _lines(page: JournalPage) -> web.Response:
    """One object a line; the cursor, if there is more, in a header."""
    cursor = to_cursor(page.next_seq)
    headers = {"X-Next-Cursor": cursor} if cursor else {}
    lines = await in_turns(page.items, lambda item: f"{json.dumps(facts_of(item.entry))}\n")
    return web.Response(text="".join(lines), content_type=NDJSON, headers=headers)


def _event_of(item: StoredEntry) -> str:
    """One event; a trace has no id, since a watch cannot resume after it."""
    number = f"id: {item.seq}\n" if item.seq else ""
    return f"{number}data: {json.dumps(facts_of(item.entry))}\n\n"
