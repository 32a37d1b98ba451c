"""The one middleware of every request: its id, the guard, its turn, and an answer for each error."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field

from aiohttp import HttpVersion10, web
from aiohttp.typedefs import Handler, Middleware

from sidecar.api.http.framing import check_framing
from sidecar.api.http.guard import Access, Guard
from sidecar.api.http.problem import HttpProblem, internal, invalid, of_http_error, unavailable
from sidecar.api.http.reply import ALWAYS
from sidecar.api.http.request_id import HEADER, REQUEST_ID, request_id
from sidecar.api.request.admission import SMALL_BYTES, Admission, size_of
from sidecar.core.intake.problem import Problem
from sidecar.ports.errors import StorageUnavailable
from sidecar.telemetry import Telemetry

READYZ = "/readyz"

MOST_PARAMETERS = 20
TOO_MANY_PARAMETERS = Problem("", "too_many_parameters", f"the query has more than {MOST_PARAMETERS} parameters")
"""Found before any of them is taken apart: no call has half as many."""

_MARKS = Callable[[web.Request, web.StreamResponse], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ErrorMiddleware:
    """Makes the middleware and the hook that an application needs."""

    guard: Guard
    telemetry: Telemetry
    new_id: Callable[[], str]
    access_of: Callable[[str], Access]
    """Who may call a path."""
    bring_items: Collection[tuple[str, str]] = ()
    """Method and path of the calls that bring conversions, clicks or adjustments."""
    admission: Admission = field(default_factory=Admission)
    idle_seconds: float = 15.0
    """How long an open connection may be idle."""

    def middleware(self) -> Middleware:
        """Guards the handlers, and turns what they raise into problems."""

        @web.middleware
        async def handle(request: web.Request, handler: Handler) -> web.StreamResponse:
            request[REQUEST_ID] = request_id(request.headers.get(HEADER), self.new_id)
            try:
                check_framing(request)
                access = self.access_of(request.path)
                self.guard.check(request.method, access, request.headers)
                await self._admit(request, access)
                return self._fitting(request, await handler(request))
            except Exception as error:
                answer = self._answer_to(error, request)
                if answer is None:
                    raise
                # Its frames hold the body, and some hold the error: a cycle that would hold both for long.
                error.__traceback__ = None
                return answer

        return handle

    async def _admit(self, request: web.Request, access: Access) -> None:
        """Wait for the request's turn; HttpProblem where it would cost more than any good one."""
        if request.rel_url.raw_query_string.count("&") >= MOST_PARAMETERS and request.match_info.http_exception is None:
            raise invalid([TOO_MANY_PARAMETERS])
        if access is not Access.PROBE:  # a probe needs no turn
            await self.admission.lanes.turn(request)
            if request.method != "POST":
                self.admission.check_answers()

    def _fitting(self, request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
        """The response, if there is room for it until the other side has read it."""
        size = size_of(response)
        if size > SMALL_BYTES:
            self.admission.check_answer(size, outcome_unknown=request.method == "POST")
        return response

    def _answer_to(self, error: Exception, request: web.Request) -> web.StreamResponse | None:
        """The answer to an error; None where aiohttp answers it."""
        match error:
            case HttpProblem():
                return self._refused(error, request)
            case StorageUnavailable():
                self.telemetry.service.trouble_raised(error.code, detail=str(error))
                return self._refused(unavailable(error), request)
            case web.HTTPException():
                if error.status < 400:
                    return None
                paths = [resource.canonical for resource in request.app.router.resources()]
                return self._refused(of_http_error(error, paths, request.path), request)
            case ConnectionError():
                # The caller is gone: the answer is not read, and nothing of the request is held.
                return web.Response() if request.transport is None else None
            case _:
                return self._failed(request, error)

    def marks(self) -> _MARKS:
        """Runs before the headers of any answer leave, also of one that is streamed."""

        keep_alive = f"timeout={int(self.idle_seconds)}"

        async def mark(request: web.Request, response: web.StreamResponse) -> None:
            headers = response.headers
            headers.update(ALWAYS)
            headers[HEADER] = request.get(REQUEST_ID) or request_id(request.headers.get(HEADER), self.new_id)
            stays_open = "keep-alive" if request.version == HttpVersion10 else None
            if headers.get("Connection") == stays_open:
                headers["Keep-Alive"] = keep_alive

        return mark

    def _refused(self, problem: HttpProblem, request: web.Request) -> web.Response:
        """Count the refusal: of items, or of a call. A probe that is not ready every second is not counted."""
        if (request.method, request.path) in self.bring_items:
            if not problem.is_counted:
                self.telemetry.intake.refused(problem.reason)
        elif request.path != READYZ:
            self.telemetry.intake.call_refused(problem.reason)
        return problem.reply()

    def _failed(self, request: web.Request, error: Exception) -> web.Response:
        resource = request.match_info.route.resource
        self.telemetry.service.loop_failed(f"{request.method} {resource.canonical if resource else '?'}", error)
        if request.writer.output_size > 0:
            raise ConnectionError("half an answer was sent already") from error
        return internal().reply()
