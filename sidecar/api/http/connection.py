"""Connections: how many, their time limits, and an answer to malformed HTTP.

Closes what aiohttp leaves open; what a request asks for is left to the application.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from aiohttp import web

from sidecar.api.http.problem import BAD_HTTP, PROBLEM_JSON, UNAVAILABLE, HttpProblem
from sidecar.api.http.reply import ALWAYS, encode
from sidecar.api.http.request_id import HEADER
from sidecar.api.http.request_loop import RequestLoop
from sidecar.api.request.admission import Admission, size_of

READ_BYTES = 4 * 1024
"""Taken from a socket at a time: a request with one conversion is smaller, and each of thousands may hold some."""

BODY_BYTES = 64 * 1024
"""The same, while a body of a declared and accepted length is read."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits of connections.

    `idle_seconds` closes a connection on which the headers of the next request are not complete by then. aiohttp has
    one timer for silent, dribbling and idle connections, so one limit holds for all three. `lingering_seconds` is how
    long the rest of a refused body is read and dropped, so that the caller can read the answer. `unread_seconds` ends
    a connection whose other side leaves a part of an answer unread.
    """

    connections: int = 4_096
    idle_seconds: float = 15.0
    lingering_seconds: float = 2.0
    unread_seconds: float = 15.0


@dataclass(frozen=True, slots=True)
class ConnectionFactory:
    """Makes the protocol of each new connection; `server` is the application's, and knows those that are open."""

    server: web.Server
    limits: ConnectionLimits
    refused: Callable[[str], None]
    new_id: Callable[[], str]
    admission: Admission

    def __call__(self) -> asyncio.Protocol:
        """The protocol that a new connection speaks."""
        if len(self.server.connections) >= self.limits.connections:
            self.refused("too_many_connections")
            return _Full(self.new_id())
        return _Connection(self)


class _Connection(RequestLoop):
    """aiohttp's, with its time limits set and its answer to malformed requests replaced by ours."""

    __slots__ = ("_factory", "_giving_up", "_transport", "_unread")

    def __init__(self, factory: ConnectionFactory) -> None:
        self._factory = factory
        self._giving_up: asyncio.TimerHandle | None = None
        self._unread = 0
        super().__init__(
            factory.server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=factory.limits.idle_seconds,
            lingering_time=factory.limits.lingering_seconds,
            read_bufsize=READ_BYTES,
            auto_decompress=False,  # a small bomb would stall the loop, even when it is refused
            access_log=None,  # type: ignore[arg-type] # aiohttp takes it; telemetry reports what happens
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Read in small pieces; notice every byte that the system does not take at once, not only more than 64 KiB."""
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(0)
        transport.max_size = READ_BYTES  # type: ignore[attr-defined] # asyncio's own transports read 256 KiB at a time
        super().connection_made(transport)
        self._transport = transport

    def read_at_once(self, size: int) -> None:
        """Take up to `size` bytes from the socket at a time from now on."""
        self._transport.max_size = size  # type: ignore[attr-defined] # as above

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Go on after a pause. aiohttp calls it for each body, and would parse nothing and look at the socket."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def pause_writing(self) -> None:
        """The other side does not read. aiohttp would wait for ever, and so hold a closed connection.

        Unread bytes count in the budget; where it is used up the connection ends at once.
        """
        super().pause_writing()
        self._unread = self._factory.admission.unread(self._transport.get_write_buffer_size())
        if self._unread == 0:
            self._give_up()
        elif self._giving_up is None:
            loop = asyncio.get_running_loop()
            self._giving_up = loop.call_later(self._factory.limits.unread_seconds, self._give_up)

    def resume_writing(self) -> None:
        """The other side has read everything."""
        self._stop_waiting()
        super().resume_writing()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Stop the timer, and release the unread bytes."""
        self._stop_waiting()
        super().connection_lost(exc)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Write the response; it counts in the budget until the last byte is written.

        aiohttp holds the last response until the next request, which may never arrive: so its body is dropped.
        """
        admission, size = self._factory.admission, size_of(resp)
        admission.hold(size)
        try:
            finished = await super().finish_response(request, resp, start_time)
        finally:
            admission.hold(-size)
        if isinstance(resp, web.Response):
            resp.body = None
        return finished

    def _give_up(self) -> None:
        self._factory.refused("too_slow_reader")
        self._transport.abort()

    def _stop_waiting(self) -> None:
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None
        self._factory.admission.was_read(self._unread)
        self._unread = 0

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """The answer to malformed HTTP. The message of the parser is not repeated: it quotes the request."""
        if status != 400:
            failed = super().handle_error(request, status, exc, message)
            failed.headers.update(ALWAYS)
            return failed
        self._factory.refused(BAD_HTTP.code)
        problem = HttpProblem(BAD_HTTP, "Its request line, its headers or its framing are wrong.", close=True)
        response = problem.reply()
        response.headers.update({HEADER: self._factory.new_id(), **ALWAYS})
        return response


@contextlib.contextmanager
def read_in_large_pieces(request: web.BaseRequest) -> Iterator[None]:
    """Meanwhile the body is read from its socket in as few pieces as it needs, if its length was declared."""
    size = min(request.content_length or 0, BODY_BYTES)
    if size <= READ_BYTES or not isinstance(request.protocol, _Connection):
        yield
        return
    request.content.set_read_chunk_size(size)
    request.protocol.read_at_once(size)
    try:
        yield
    finally:
        request.protocol.read_at_once(READ_BYTES)


class _Full(asyncio.Protocol):
    """Answers that there are too many connections, and closes this one."""

    def __init__(self, request_id: str) -> None:
        self._request_id = request_id

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Answer without waiting for the request."""
        assert isinstance(transport, asyncio.Transport)
        transport.write(_full(self._request_id))
        transport.close()


def _full(request_id: str) -> bytes:
    problem = HttpProblem(UNAVAILABLE, "Too many connections are open. Close some, or keep them alive and reuse them.")
    body = encode(problem.body)
    headers = {
        "Content-Type": PROBLEM_JSON,
        "Retry-After": "1",
        "Connection": "close",
        HEADER: request_id,
        **ALWAYS,
        "Content-Length": str(len(body)),
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 503 Service Unavailable\r\n{lines}\r\n".encode("ascii") + body
