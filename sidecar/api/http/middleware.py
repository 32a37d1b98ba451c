"""The one middleware of every request: its id, the guard, its turn, and an answer for each error."""

from collections.abc import Awaitable, Callable, Mapping
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
    bring_items: Mapping[tuple[str, str], Handler] = field(default_factory=dict)
    """By method and path the calls that bring conversions, clicks or adjustments: nearly all requests."""
    admission: Admission = field(default_factory=Admission)
    idle_seconds: float = 15.0
    """How long an open connection may be idle."""

    def middleware(self) -> Middleware:
        """Guards the handlers, and turns what they raise into problems."""

        @web.middleware
        async def handle(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._handle(request, handler)

        return handle

    def around(self, application: Handler) -> Handler:
        """Handles the calls that bring items without the application, and gives it all others.

        The application looks up routes, builds chains and calls hooks for each request: 6 % of a single POST's time.
        """

        def handle(request: web.Request) -> Awaitable[web.StreamResponse]:
            handler = self.bring_items.get((request.method, request.raw_path))
            return application(request) if handler is None else self._handle(request, handler, is_direct=True)

        return handle

    async def _handle(self, request: web.Request, handler: Handler, *, is_direct: bool = False) -> web.StreamResponse:
        """The handler's answer, or that to its error; without the application's hooks, `is_direct`, with its marks."""
        id_ = request[REQUEST_ID] = request_id(request.headers.get(HEADER), self.new_id)
        try:
            check_framing(request)
            access = self.access_of(request.path)
            self.guard.check(request.method, access, request.headers)
            await self._admit(request, access)
            answer = self._fitting(request, await handler(request))
        except Exception as error:
            made = self._answer_to(error, request)
            if made is None:
                raise
            # Its frames hold the body, and some hold the error: a cycle that would hold both for long.
            error.__traceback__ = None
            answer = made
        if is_direct:
            self._mark(answer, id_, stays_open=request.keep_alive and answer.keep_alive is not False)
        return answer

    async def _admit(self, request: web.Request, access: Access) -> None:
        """Wait for the request's turn; HttpProblem where it would cost more than any good one."""
        if request.rel_url.raw_query_string.count("&") >= MOST_PARAMETERS and request.match_info.http_exception is None:
            raise invalid([TOO_MANY_PARAMETERS])
        if access is not Access.PROBE:  # a probe needs no turn
            if not self.admission.lanes.begin(request):
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
                is_unknown = isinstance(error, web.HTTPNotFound)
                paths = [one.canonical for one in request.app.router.resources()] if is_unknown else ()
                return self._refused(of_http_error(error, paths, request.path), request)
            case ConnectionError():
                # The caller is gone: the answer is not read, and nothing of the request is held.
                return web.Response() if request.transport is None else None
            case _:
                return self._failed(request, error)

    def marks(self) -> _MARKS:
        """Runs before the headers of any answer leave, also of one that is streamed."""

        async def mark(request: web.Request, response: web.StreamResponse) -> None:
            id_ = request.get(REQUEST_ID) or request_id(request.headers.get(HEADER), self.new_id)
            keeps = "keep-alive" if request.version == HttpVersion10 else None
            self._mark(response, id_, stays_open=response.headers.get("Connection") == keeps)

        return mark

    def _mark(self, response: web.StreamResponse, request_id: str, *, stays_open: bool) -> None:
        headers = response.headers
        headers.update(ALWAYS)
        headers[HEADER] = request_id
        if stays_open:
            headers["Keep-Alive"] = f"timeout={int(self.idle_seconds)}"

    def _refused(self, problem: HttpProblem, request: web.Request) -> web.Response:
        """Count the refusal: of items, or of a call. A probe that is not ready every second is not counted."""
        if (request.method, request.path) in self.bring_items:
            if not problem.is_counted:
                self.telemetry.intake.refused(problem.reason)
        elif request.path != READYZ:
            self.telemetry.intake.call_refused(problem.reason)
        return problem.reply()

    def _failed(self, request: web.Request, error: Exception) -> web.Response:
        if (request.method, request.raw_path) in self.bring_items:  # mostly without a look-up of its route
            route = request.raw_path
        else:
            resource = request.match_info.route.resource
            route = resource.canonical if resource else "?"
        self.telemetry.service.loop_failed(f"{request.method} {route}", error)
        if request.writer.output_size > 0:
            raise ConnectionError("half an answer was sent already") from error
        return internal().reply()
