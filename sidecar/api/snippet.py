"""GET /msclkid.js: a script to copy into the site. It keeps a landing URL's click id in a cookie, and calls nobody."""

from functools import cache
from importlib.resources import files

from aiohttp import web

_HEADERS = {"Cache-Control": "public, max-age=86400", "X-Content-Type-Options": "nosniff"}
"""It changes with the version only, and holds nothing of anybody."""


async def get(_: web.Request) -> web.Response:
    """The handler of the route."""
    return web.Response(text=script(), content_type="application/javascript", charset="utf-8", headers=_HEADERS)


@cache
def script() -> str:
    """The script of this version."""
    return files("sidecar.api").joinpath("msclkid.js").read_text("utf-8")
