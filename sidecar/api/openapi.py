"""GET /openapi.json: every call as OpenAPI 3.1, from `openapi.yaml`, which tests compare with the code."""

from functools import cache
from importlib.resources import files

import yaml
from aiohttp import web

from sidecar import __version__
from sidecar.api.http.reply import JSON, Json, encode

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where it is there: eight times as quick, and the first reader waits for it."""


def document() -> Json:
    """The description of this version."""
    text = files("sidecar.api").joinpath("openapi.yaml").read_text("utf-8")
    described: Json = yaml.load(text, _LOADER)  # noqa: S506 - either of the two is the safe loader
    described["info"]["version"] = __version__
    return described


async def get(_: web.Request) -> web.Response:
    """The handler of the route."""
    return web.Response(body=_encoded(), content_type=JSON)


@cache
def _encoded() -> bytes:
    return encode(document())
