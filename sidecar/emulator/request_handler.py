"""Handles a request: plans its faults, runs the operation in one transaction, records it, answers.

Only this module knows aiohttp's requests of the two APIs; every operation is a function of values.
"""

import asyncio
import os
import socket
import struct
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from sqlite3 import Connection
from typing import assert_never

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from sidecar.emulator import ledger, tokens
from sidecar.emulator.call import Answer, Call, Operation, answer_json
from sidecar.emulator.error_bodies import Refused, fault_body, refusal
from sidecar.emulator.error_codes import ErrorCode
from sidecar.emulator.fault_script import Plan, Script
from sidecar.emulator.faults import (
    Ending,
    ExpireTokens,
    FaultCode,
    Hang,
    Malformed,
    OAuthError,
    OddReport,
    PartialErrors,
    Preparation,
    ResetAfter,
    ResetBefore,
    RevokeRefreshTokens,
    SetDate,
    Slow,
    Status,
    resolve_code,
)
from sidecar.emulator.oauth import redirect_error
from sidecar.emulator.options import Clock
from sidecar.emulator.reports import odd_report
from sidecar.emulator.sign_in_errors import error_answer, sign_in_error
from sidecar.emulator.state import State

_NO_ANSWER = Answer(0, b"", "no answer")
_HTML = b"<!doctype html><html><title>Bad gateway</title><body>The gateway did not understand.</body></html>"


@dataclass(slots=True)
class RequestHandler:
    """Runs operations for requests. `stopping` ends requests that hang, and refuses later ones."""

    state: State
    script: Script
    clock: Clock
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    operations: list[str] = field(default_factory=list)
    """The operations that have handlers."""

    def refuse_after_stop(self) -> Middleware:
        """A middleware that resets requests after the stop, such as those of a late TLS handshake."""

        @web.middleware
        async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
            return _reset(request) if self.stopping.is_set() else await handler(request)

        return refuse

    def handler(self, operation: str, work: Operation) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """An aiohttp handler that answers with `work`, unless a scripted fault replaces it."""
        self.operations.append(operation)

        async def handle(request: web.Request) -> web.StreamResponse:
            call = await self._read(request, operation)
            plan = self.script.plan(call)
            for preparation, removed in plan.preparations:
                await self._prepare(preparation, removed)
            served = replace(call, at=self.clock())
            answer = await self.state.transact(lambda db: _serve(db, served, work, plan, call.at))
            return await self._respond(request, served, plan, answer)

        return handle

    async def _read(self, request: web.Request, operation: str) -> Call:
        return Call(
            operation=operation,
            at=self.clock(),
            tracking_id=str(uuid.uuid4()),
            base_url=f"https://{request.host}",
            tenant=request.match_info.get("tenant", "common"),
            headers=request.headers,
            query=request.query,
            body=await request.read(),
        )

    async def _prepare(self, preparation: Preparation, removed: asyncio.Event) -> None:
        match preparation:
            case Slow(seconds=seconds):
                await self._pause(seconds, removed)
            case ExpireTokens():
                await self.state.transact(lambda db: tokens.expire_access_tokens(db, self.clock()))
            case RevokeRefreshTokens():
                await self.state.transact(tokens.revoke_refresh_tokens)
            case SetDate():  # the answer's matter
                pass
            case _:
                assert_never(preparation)

    async def _respond(self, request: web.Request, call: Call, plan: Plan, answer: Answer) -> web.StreamResponse:
        ending = plan.ending
        if isinstance(ending, Hang):
            await self._pause(None, self.stopping)
        if isinstance(ending, Hang | ResetBefore | ResetAfter):
            return _reset(request)
        headers = {**answer.headers, "TrackingId": call.tracking_id, "Content-Type": answer.content_type}
        if (offset := plan.date_offset_seconds) is not None:
            headers["Date"] = formatdate(call.at / 1000 + offset, usegmt=True)
        return web.Response(status=answer.status or 500, body=answer.body, headers=headers)

    async def _pause(self, seconds: float | None, over: asyncio.Event) -> None:
        """Waits until the time is up, `over` is set, or the emulator stops."""
        waits = [asyncio.ensure_future(event.wait()) for event in (over, self.stopping)]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


def _serve(db: Connection, call: Call, work: Operation, plan: Plan, arrived_at: int) -> Answer:
    """Answers the request according to its plan, and records its arrival in the same transaction."""
    answer = _answer(db, call, work, plan.ending)
    ledger.store_request(db, replace(call, at=arrived_at), answer, plan.name)
    return answer


def _answer(db: Connection, call: Call, work: Operation, ending: Ending | None) -> Answer:
    match ending:
        case None:
            return _work(db, call, work)
        case PartialErrors():
            return _work(db, replace(call, planned=ending), work)
        case ResetAfter():
            return replace(_work(db, call, work), status=0)
        case Hang() | ResetBefore():
            return _NO_ANSWER
        case Malformed(applied=applied):
            return _malformed(ending, _work(db, call, work) if applied else answer_json({"PartialErrors": []}))
        case Status(applied=applied):
            return _status(ending, _work(db, call, work) if applied else _NO_ANSWER)
        case FaultCode():
            return _fault(ending, call)
        case OAuthError():
            return _oauth_error(ending, call)
        case OddReport():
            return odd_report(ending, _work(db, call, work))
        case _:
            assert_never(ending)


def _work(db: Connection, call: Call, work: Operation) -> Answer:
    """Runs the operation; a refusal undoes its changes."""
    db.execute("SAVEPOINT work")
    try:
        return work(db, call)
    except Refused as refused:
        db.execute("ROLLBACK TO work")
        return refusal(refused, call.tracking_id)
    finally:
        db.execute("RELEASE work")


def _status(action: Status, answer: Answer) -> Answer:
    headers = {"Retry-After": str(action.retry_after)} if action.retry_after is not None else {}
    body, summary = action.body.encode(), f"HTTP {action.status}"
    return Answer(action.status, body, summary, action.content_type, headers, answer.tally)


def _fault(action: FaultCode, call: Call) -> Answer:
    number, symbol, message = resolve_code(action)
    code = ErrorCode(number, symbol, message)
    body: dict[str, object] = fault_body(code, action.shape, call.tracking_id, action.detail)
    headers = {"Retry-After": str(action.retry_after)} if action.retry_after is not None else {}
    answer = answer_json({"ApplicationFault": body} if action.wrapped else body, action.http_status, symbol)
    return replace(answer, headers=headers)


def _malformed(action: Malformed, answer: Answer) -> Answer:
    match action.body:
        case "html":
            return replace(answer, status=200, body=_HTML, content_type="text/html", headers={})
        case "empty":
            return replace(answer, status=200, body=b"", headers={})
        case "truncated":
            return replace(answer, status=200, body=answer.body[: len(answer.body) // 2], headers={})
        case "content_type":
            return replace(answer, status=200, content_type="text/html", headers={})
        case _:
            assert_never(action.body)


def _oauth_error(action: OAuthError, call: Call) -> Answer:
    if call.operation == "authorize":
        return redirect_error(call, action.aadsts)
    return error_answer(sign_in_error(action.aadsts), call.at, action.error, action.suberror)


def _reset(request: web.Request) -> web.Response:
    """Ends the connection with a TCP reset: lingering 0 seconds drops unsent data. The response is never sent."""
    transport = request.transport
    handle = transport.get_extra_info("socket") if transport is not None else None
    if handle is not None:
        with socket.socket(fileno=os.dup(handle.fileno())) as twin:
            twin.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if transport is not None:
        transport.abort()
    return web.Response(status=503)
