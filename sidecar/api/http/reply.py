"""JSON answers: the one place where a value becomes a response."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
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

_encoded = msgspec.json.Encoder().encode


def encode(value: object) -> bytes:
    """`value` as JSON text, in bytes. Dataclasses and structs are objects; `msgspec.Raw` is JSON text already."""
    try:
        return _encoded(value)
    except UnicodeEncodeError:  # half a surrogate pair, in a text of the caller's, which ASCII can escape
        return json.dumps(value, default=msgspec.to_builtins, separators=(",", ":")).encode("ascii")


def json_reply(
    value: object, status: int = 200, headers: Mapping[str, str] | None = None, content_type: str = JSON
) -> web.Response:
    """`value` as JSON."""
    return reply(encode(value), status, headers, content_type)


def page_reply(items: Iterable[bytes], next_cursor: str | None) -> web.Response:
    """A page of a list; `items` are JSON texts already."""
    return reply(b'{"items":[%b],"next_cursor":%b}' % (b",".join(items), encode(next_cursor)))


def reply(
    body: bytes, status: int = 200, headers: Mapping[str, str] | None = None, content_type: str = JSON
) -> web.Response:
    """A response of JSON that is encoded already."""
    return web.Response(body=body, status=status, headers={"Content-Type": content_type, **(headers or {})})
