"""JSON answers: the one place where a value becomes a response."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web

JSON = "application/json"

ALWAYS = {
    "Server": "sidecar",  # without a version: it helps only those who look for a weak one
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Headers of every answer: no browser guesses the type, caches it, or shows it to a page of another site."""

Json = dict[str, Any]
"""An object on its way to being JSON."""

# Made once: json.dumps with other than its defaults makes a new encoder each time. ASCII only, so that a lone
# surrogate in a text of the caller's cannot break the answer.
text = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
"""A value as JSON text."""


def encode(value: object) -> bytes:
    """`value` as JSON text, in bytes."""
    return text(value).encode("ascii")


def json_reply(
    value: object, status: int = 200, headers: Mapping[str, str] | None = None, content_type: str = JSON
) -> web.Response:
    """`value` as JSON."""
    return reply(encode(value), status, headers, content_type)


def page_reply(items: Iterable[str], next_cursor: str | None) -> web.Response:
    """A page of a list; `items` are JSON texts already."""
    return reply(f'{{"items":[{",".join(items)}],"next_cursor":{text(next_cursor)}}}'.encode("ascii"))


def reply(
    body: bytes, status: int = 200, headers: Mapping[str, str] | None = None, content_type: str = JSON
) -> web.Response:
    """A response of JSON that is encoded already."""
    return web.Response(body=body, status=status, headers={"Content-Type": content_type, **(headers or {})})
