"""Reading a body: JSON only, not compressed, not too large, not too slow. What it says is left to the handlers."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from sidecar.api.http.connection import read_in_large_pieces
from sidecar.api.http.problem import BAD_HTTP, ENCODED, NOT_JSON, TOO_LARGE, TOO_SLOW, HttpProblem
from sidecar.api.http.reply import JSON


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """How large a body may be, and how long it may take to arrive."""

    max_bytes: int = 2 * 2**20
    seconds: float = 10.0


async def read_json_bytes(request: web.Request, limits: BodyLimits) -> bytes:
    """The body of a request that says it is JSON; HttpProblem otherwise, with the rest of the body left unread."""
    check_content(request, limits)
    return await read_checked(request, limits)


async def read_checked(request: web.Request, limits: BodyLimits, hold: Callable[[int], None] | None = None) -> bytes:
    """The body of a request that `check_content` let pass: nothing here asks what it says that it is.

    `hold` is told how large the body is so far, and may refuse to go on; without it the body is read in small pieces.
    """
    await _invite(request)
    try:
        return await _read(request, limits, hold)
    except TimeoutError:
        said = f"Send it within {limits.seconds:g} seconds."
        raise HttpProblem(TOO_SLOW, said, close=True) from None
    except web.RequestPayloadError:
        raise HttpProblem(BAD_HTTP, "The body is not framed as its headers say.", close=True) from None


def check_content(request: web.Request, limits: BodyLimits) -> None:
    """Refuse what is not plain JSON, or says that it is too large, before any of it is read.

    A web page cannot send that type without asking first, which is never granted.
    """
    headers = request.headers
    media_type = headers.get("Content-Type", "").partition(";")[0].strip()
    if media_type.lower() != JSON:
        raise HttpProblem(NOT_JSON, "Send JSON and say so: `Content-Type: application/json`.")
    encodings = [encoding.strip().lower() for encoding in headers.getall("Content-Encoding", [])]
    if set(encodings) - {"", "identity"}:
        raise HttpProblem(ENCODED, "Send the body as it is, not compressed.")
    _check_size(request.content_length or 0, limits)


async def _read(request: web.Request, limits: BodyLimits, hold: Callable[[int], None] | None) -> bytes:
    content = request.content
    if content.is_eof():  # all here already, as nearly always: no timer needed
        body = await content.read()
        _check_size(len(body), limits)
        return body
    chunks: list[bytes] = []  # one that grows would be moved again and again, and leave holes in memory
    size = 0
    try:
        async with asyncio.timeout(limits.seconds):
            with contextlib.nullcontext() if hold is None else read_in_large_pieces(request):
                while chunk := await content.readany():
                    chunks.append(chunk)
                    size += len(chunk)
                    _check_size(size, limits)
                    if hold is not None:
                        hold(size)
        return b"".join(chunks)
    finally:
        chunks.clear()  # what is refused must not live as long as the traceback of the refusal


def _check_size(size: int, limits: BodyLimits) -> None:
    if size > limits.max_bytes:
        raise _too_large(limits)


def _too_large(limits: BodyLimits) -> HttpProblem:
    said = f"At most {limits.max_bytes} bytes are taken (server.max_body). Send less at once."
    return HttpProblem(TOO_LARGE, said, close=True)


async def _invite(request: web.Request) -> None:
    """Answer `Expect: 100-continue` only now that the request may send its body."""
    if request.headers.get("Expect", "").lower() == "100-continue" and request.version >= (1, 1):
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself has not begun
