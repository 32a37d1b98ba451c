"""Reading a body: JSON only, not compressed, not too large, not too slow. Its content is left to the handlers."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from sidecar.api.http.connection import read_in_large_pieces
from sidecar.api.http.problem import BAD_BODY, BAD_HTTP, ENCODED, NOT_JSON, TOO_LARGE, TOO_SLOW, HttpProblem, invalid
from sidecar.api.http.reply import JSON
from sidecar.core.intake.json_object import JsonObject, Shape
from sidecar.core.intake.json_text import BadBody, parse
from sidecar.core.intake.problem import Findings, Problem


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """How large a body may be, and how long it may take to arrive."""

    max_bytes: int = 2 * 2**20
    seconds: float = 10.0


SMALL_BODY = BodyLimits(max_bytes=64 * 1024)
"""Enough for a request that brings no conversions."""


async def read_body(request: web.Request, limits: BodyLimits = SMALL_BODY) -> bytes:
    """The body of a request that says it is JSON; HttpProblem otherwise, with the rest of the body left unread."""
    check_headers(request, limits)
    return await read_checked_body(request, limits)


def check_headers(request: web.Request, limits: BodyLimits) -> None:
    """Refuse a body that is not plain JSON, or declares a length that is too large, before any of it is read.

    A web page cannot send that type without asking first, which is never granted.
    """
    headers = request.headers
    media_type = headers.get("Content-Type", "")
    if media_type != JSON and media_type.partition(";")[0].strip().lower() != JSON:
        raise HttpProblem(NOT_JSON, "Send JSON and say so: `Content-Type: application/json`.")
    if "Content-Encoding" in headers:
        encodings = [encoding.strip().lower() for encoding in headers.getall("Content-Encoding")]
        if set(encodings) - {"", "identity"}:
            raise HttpProblem(ENCODED, "Send the body as it is, not compressed.")
    _check_size(request.content_length or 0, limits)


async def read_checked_body(
    request: web.Request, limits: BodyLimits, reserve: Callable[[int], None] | None = None
) -> bytes:
    """The body of a request whose headers `check_headers` accepted.

    `reserve` is called with the number of bytes so far, and may raise. Without it the body is read in small pieces.
    """
    try:
        if request.content.is_eof():  # all here already, as nearly always: nothing to ask or to wait for
            body = request.content.read_nowait()
            _check_size(len(body), limits)
            return body
        await _send_continue(request)
        return await _read(request, limits, reserve)
    except TimeoutError:
        raise HttpProblem(TOO_SLOW, f"Send it within {limits.seconds:g} seconds.", close=True) from None
    except web.RequestPayloadError:
        raise HttpProblem(BAD_HTTP, "The body is not framed as its headers say.", close=True) from None


async def _send_continue(request: web.Request) -> None:
    """Answer `Expect: 100-continue` only now that the request may send its body."""
    if request.headers.get("Expect", "").lower() == "100-continue" and request.version >= (1, 1):
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself has not begun


async def _read(request: web.Request, limits: BodyLimits, reserve: Callable[[int], None] | None) -> bytes:
    chunks: list[bytes] = []  # one growing buffer would be moved again and again, and leave holes in memory
    size = 0
    try:
        async with asyncio.timeout(limits.seconds):
            with contextlib.nullcontext() if reserve is None else read_in_large_pieces(request):
                while chunk := await request.content.readany():
                    chunks.append(chunk)
                    size += len(chunk)
                    _check_size(size, limits)
                    if reserve is not None:
                        reserve(size)
        return b"".join(chunks)
    finally:
        chunks.clear()  # a refused body must not live as long as the traceback of its refusal


def _check_size(size: int, limits: BodyLimits) -> None:
    if size > limits.max_bytes:
        detail = f"At most {limits.max_bytes} bytes are taken (server.max_body). Send less at once."
        raise HttpProblem(TOO_LARGE, detail, close=True)


def parse_body(body: bytes) -> Any:
    """The JSON value in `body`; HttpProblem when there is none."""
    try:
        return parse(body)
    except BadBody as error:
        detail = str(error)
        raise HttpProblem(BAD_BODY, f"{detail[0].upper()}{detail[1:]}.") from None


def object_in(body: bytes, shape: Shape, findings: Findings | None = None) -> JsonObject:
    """The JSON object in `body`, to be read member by member and then checked; HttpProblem when it holds no object.

    Problems and warnings go to `findings`.
    """
    value = parse_body(body)
    if not isinstance(value, dict):
        raise invalid([Problem("", "not_an_object", "the body must be an object")])
    return JsonObject(value, shape, findings or Findings())


def check(members: JsonObject) -> None:
    """HttpProblem with every problem that was found while the members were read."""
    if members.findings.problems:
        raise invalid(members.findings.listed)
