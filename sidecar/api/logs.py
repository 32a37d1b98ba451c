"""GET /logs: what happened, as pages of JSON, as lines of JSON, or as events while it happens."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import asdict, dataclass

from aiohttp import web

from sidecar.api.log_query import LogRequest, read_request
from sidecar.api.parameters import to_cursor
from sidecar.api.problem import UNAVAILABLE, HttpProblem
from sidecar.api.reply import Json, json_reply
from sidecar.core.instant import text_of_millis
from sidecar.ports import Journal, JournalEntry, JournalPage, Kept
from sidecar.telemetry import Follower, Followers, TooManyFollowers

NDJSON = "application/x-ndjson"

HEARTBEAT_SECONDS = 15.0
WRITE_SECONDS = 60.0
"""A client that takes nothing for so long is let go."""

_HEARTBEAT = b": still here\n\n"
_STREAM_HEADERS = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}


@dataclass(frozen=True, slots=True)
class LogsPage:
    """Reads from the journal; watchers get what comes from `followers`."""

    journal: Journal
    followers: Followers
    heartbeat_seconds: float = HEARTBEAT_SECONDS

    async def get(self, request: web.Request) -> web.StreamResponse:
        """The handler of the route; authorisation happened before. HttpProblem when it cannot be answered."""
        asked = read_request(request.query.items(), request.headers.get("Last-Event-ID"))
        if asked.follow:
            return await self._follow(request, asked)
        page = await self.journal.read(asked.query)
        return _lines(page) if NDJSON in request.headers.get("Accept", "") else _json(page)

    async def _follow(self, request: web.Request, asked: LogRequest) -> web.StreamResponse:
        try:
            with self.followers.follow(asked.query) as follower:
                response = web.StreamResponse(headers=_STREAM_HEADERS)
                await response.prepare(request)
                await self._stream(response, asked, follower)
                return response
        except TooManyFollowers:
            said = f"{self.followers.limit} clients follow the log already; end one of them."
            raise HttpProblem(UNAVAILABLE, said, headers={"Retry-After": "15"}) from None

    async def _stream(self, response: web.StreamResponse, asked: LogRequest, follower: Follower) -> None:
        try:
            async for chunk in self._events(asked, follower):
                async with asyncio.timeout(WRITE_SECONDS):
                    await response.write(chunk)
        except (ConnectionError, TimeoutError):  # the client left, or might as well have
            response.force_close()

    async def _events(self, asked: LogRequest, follower: Follower) -> AsyncIterator[bytes]:
        """First what was, oldest first, then what comes; nothing twice."""
        yield _HEARTBEAT  # so that the client sees at once that it is connected
        seen = 0
        async for page in self._history(asked):
            yield _events_of(page.items)
            seen = page.items[-1].seq
        over = False
        while not over:
            came, missed = await follower.next(self.heartbeat_seconds)
            over = follower.closed  # asked before the client takes its time: whatever came till then is in hand
            fresh = [one for one in came if one.seq > seen]
            yield (_events_of(fresh) + _gap(missed)) or _HEARTBEAT

    async def _history(self, asked: LogRequest) -> AsyncIterator[JournalPage]:
        """The newest page, or everything after the fact at which an earlier watch broke off."""
        if asked.resume_after is None:
            newest = await self.journal.read(asked.query)
            if newest.items:
                yield JournalPage(newest.items[::-1], None)
            return
        after: int | None = asked.resume_after
        while after is not None:
            page = await self.journal.read_on(asked.query, after)
            if page.items:
                yield page
            after = page.next_seq


def row_of(entry: JournalEntry) -> Json:
    """An entry as it is shown: what it does not have is left out."""
    fields = {key: value for key, value in asdict(entry).items() if value is not None}
    return fields | {"time": text_of_millis(entry.time)}


def _cursor(page: JournalPage) -> str | None:
    return None if page.next_seq is None else to_cursor(page.next_seq)


def _json(page: JournalPage) -> web.Response:
    return json_reply({"items": [row_of(kept.entry) for kept in page.items], "next_cursor": _cursor(page)})


def _lines(page: JournalPage) -> web.Response:
    """One object a line; the cursor, if there is more, in a header."""
    cursor = _cursor(page)
    headers = {"X-Next-Cursor": cursor} if cursor else {}
    text = "".join(f"{json.dumps(row_of(kept.entry))}\n" for kept in page.items)
    return web.Response(text=text, content_type=NDJSON, headers=headers)


def _events_of(kept: Iterable[Kept]) -> bytes:
    return "".join(f"id: {one.seq}\ndata: {json.dumps(row_of(one.entry))}\n\n" for one in kept).encode()


def _gap(missed: int) -> bytes:
    return f"event: gap\ndata: {json.dumps({'missed': missed})}\n\n".encode() if missed else b""
