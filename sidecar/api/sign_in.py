"""Connecting to Microsoft in a browser, and the small JSON API that `sidecar connect` does it with in a terminal.

Shows what `microsoft.sign_in_flow` does; who may call is for the guard. No page or answer ever holds a code or a token.
"""

import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web

from sidecar.api.http.problem import HttpProblem, ProblemKind, invalid
from sidecar.api.http.reply import json_reply
from sidecar.api.request.body import parse_body, read_body
from sidecar.api.sign_in_page import PRIVATE, connected_page, error_page
from sidecar.core.instant import text_of_millis, text_or_none
from sidecar.core.intake.fields import LONGEST_TEXT
from sidecar.core.intake.problem import Problem
from sidecar.microsoft.oauth import Application
from sidecar.microsoft.sign_in_error_codes import Remedy
from sidecar.microsoft.sign_in_errors import SignInFailed
from sidecar.microsoft.sign_in_flow import FinishedSignIn, SignInFlow, UnknownSignIn
from sidecar.ports.errors import StorageUnavailable
from sidecar.troubles import CATALOGUE

RETRY_SECONDS = 60
"""`Retry-After` of a 503: an equal request would fail before."""

_PASTE = "must be the whole address that the browser ended at, from http to the last character, with code and state"

_Call = Callable[["SignInCalls", web.Request], Awaitable[web.Response]]


def _error_page(status: int, title: str, detail: str, fix: str) -> web.Response:
    return error_page(status, title, detail, fix, _retry_after(status))


def _problem(status: int, title: str, detail: str, fix: str) -> web.Response:
    """RFC 9457; `fix` is the advice."""
    kind = ProblemKind(status, "sign_in_failed", title)
    return HttpProblem(kind, detail, headers={**PRIVATE, **_retry_after(status)}, members={"fix": fix}).reply()


def _retry_after(status: int) -> dict[str, str]:
    return {"Retry-After": str(RETRY_SECONDS)} if status == 503 else {}


_Failure = Callable[[int, str, str, str], web.Response]
"""Makes the answer of status, title, what happened, and what to do."""

_STATUSES = {Remedy.RECONNECT: 400, Remedy.FIX: 502, Remedy.CONFIGURATION: 502, Remedy.WAIT: 503}


def _failures_as(failed: _Failure) -> Callable[[_Call], _Call]:
    """Answers the failures of a sign-in with `failed`: the page or the JSON."""

    def decorate(call: _Call) -> _Call:
        @functools.wraps(call)
        async def answer(calls: "SignInCalls", request: web.Request) -> web.Response:
            try:
                return await call(calls, request)
            except UnknownSignIn as error:
                return failed(400, "Sign-in expired", f"{str(error).capitalize()}.", "Start again at /connect.")
            except SignInFailed as error:
                trouble, status = CATALOGUE[error.failure.trouble], _STATUSES[error.failure.remedy]
                return failed(status, trouble.title, f"{error}. {trouble.cause}", trouble.solution)
            except StorageUnavailable as error:
                again = "Start again at /connect in a moment."
                return failed(503, "The sign-in could not be stored", f"{error}.", again)

        return answer

    return decorate


@dataclass(frozen=True, slots=True)
class SignInCalls:
    """The handlers of the sign-in, for a browser and for a terminal."""

    connector: SignInFlow
    environment: str
    """As the configuration has it: production, sandbox or emulator."""

    @_failures_as(_error_page)
    async def redirect(self, _: web.Request) -> web.Response:
        """302 to Microsoft's sign-in, or a page with the reason why not."""
        started = await self.connector.begin()
        return web.Response(status=302, headers={**PRIVATE, "Location": started.url})

    @_failures_as(_error_page)
    async def callback(self, request: web.Request) -> web.Response:
        """Microsoft sent the browser back: connect, and show the result."""
        return connected_page(await self.connector.finish(dict(request.query)))

    @_failures_as(_problem)
    async def begin(self, request: web.Request) -> web.Response:
        """For a terminal: {"url", "expires_at"}."""
        await read_body(request)  # the body is not used, but requiring JSON refuses web pages
        started = await self.connector.begin()
        return _json({"url": started.url, "expires_at": text_of_millis(started.expires_at)})

    @_failures_as(_problem)
    async def finish(self, request: web.Request) -> web.Response:
        """For a terminal: the address that the browser ended at, {"redirect_url"}; answers as GET /v1/connection."""
        try:
            query = _query_of(parse_body(await read_body(request)))
        except ValueError:
            raise invalid([Problem("redirect_url", "required", _PASTE)]) from None
        await self.connector.finish(query)
        return self._connection()

    async def connection(self, _: web.Request) -> web.Response:
        """Whether there is a connection, why not, how the last sign-in ended, and the application that signs in."""
        return self._connection()

    @_failures_as(_problem)
    async def sign_out(self, _: web.Request) -> web.Response:
        """Forget the sign-in; conversions wait until the next one. Answers as GET /v1/connection."""
        await self.connector.sign_out()
        return self._connection()

    def _connection(self) -> web.Response:
        return _json({**_connection(self.connector), "environment": self.environment})


def _query_of(body: object) -> dict[str, str]:
    """The query of {"redirect_url": "http://localhost:8077/oauth/callback?code=…&state=…"}; ValueError without one."""
    url = body.get("redirect_url") if isinstance(body, dict) else None
    if not isinstance(url, str) or len(url) > LONGEST_TEXT:
        raise ValueError("redirect_url is missing, or no address that a browser ends at")
    return dict(parse_qsl(urlsplit(url.strip()).query))


def _connection(connector: SignInFlow) -> dict[str, Any]:
    connection = connector.connection
    return {
        "connected": connection.connected,
        "trouble": _trouble(connection.trouble, connection.message),
        "since": text_or_none(connection.since),
        "expires_at": text_or_none(connection.expires_at),
        "retry_at": text_or_none(connection.retry_at),
        "last_sign_in": _last(connector.last),
        "application": _application(connector.application),
    }


def _application(application: Application) -> dict[str, Any]:
    """What identifies it to people; of its secret only whether there is one."""
    return {
        "client_id": application.client_id,
        "redirect_uri": application.redirect_uri,
        "has_secret": bool(application.client_secret),
    }


def _trouble(code: str | None, message: str | None) -> dict[str, str] | None:
    if code is None:
        return None
    known = CATALOGUE.get(code)
    return {"code": code, "message": message or "", "fix": known.solution if known else ""}


def _last(finished: FinishedSignIn | None) -> dict[str, Any] | None:
    if finished is None:
        return None
    failure = finished.failure
    trouble = _trouble(failure.trouble, failure.message) if failure else None
    return {"at": text_of_millis(finished.at), "trouble": trouble}


def _json(body: dict[str, Any]) -> web.Response:
    return json_reply(body, headers=PRIVATE)
