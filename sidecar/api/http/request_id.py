"""The id that ties an answer to the log: the caller's own if it is harmless, else a new one."""

import re
from collections.abc import Callable

from aiohttp import web

HEADER = "X-Request-Id"

REQUEST_ID = web.RequestKey("request_id", str)
"""Where the middleware leaves the id for the handlers."""

_harmless = re.compile(r"[!-~]{1,128}").fullmatch


def request_id(given: str | None, new_id: Callable[[], str]) -> str:
    """`given` when it is 1 to 128 visible ASCII characters, else `new_id()`."""
    return given if given is not None and _harmless(given) else new_id()
