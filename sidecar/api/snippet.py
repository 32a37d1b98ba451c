"""GET /msclkid.js: a script for the site, which stores a landing URL's click id in a cookie and makes no request."""

from functools import cache
from importlib.resources import files

from aiohttp import web


async def get(_: web.Request) -> web.Response:
    """The handler of the route."""
    return web.Response(text=script(), content_type="application/javascript", charset="utf-8")


@cache
def script() -> str:
    """The script of this version."""
    return files("sidecar.api").joinpath("msclkid.js").read_text("utf-8")
