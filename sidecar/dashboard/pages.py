"""Serves the page and its files. Everything it shows, it asks the JSON API for.

The policy allows scripts, styles and calls of this address only, so a page can load nothing from elsewhere.
"""

import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath
from typing import Self

from aiohttp import web

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "Referrer-Policy": "same-origin",
}

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""By suffix; a file of another type is not served."""

INDEX = "index.html"

_GZIP = re.compile(r"(?:^|,)\s*gzip\s*(?:,|$|;\s*q=(?!0(?:\.0*)?\s*(?:,|$)))", re.IGNORECASE)
"""Gzip is accepted: named, and not with a weight of 0."""


@dataclass(frozen=True, slots=True)
class DashboardPages:
    """The handlers; `contents` are the files by their path."""

    contents: Mapping[str, bytes]
    compressed: Mapping[str, bytes]
    """The same in gzip: a third of the bytes."""

    @classmethod
    def of_package(cls) -> Self:
        """Serve the files of this version."""
        return cls(_packaged(), _compressed())

    async def page(self, request: web.Request) -> web.Response:
        """Answer with the page; which view it shows is in the fragment of its address.

        To a caller with a key it says so, since no script can see that: its examples then name the key.
        """
        if "Authorization" in request.headers:
            body = self.contents[INDEX].replace(b"<html", b"<html data-key", 1)
            return web.Response(body=body, headers={**HEADERS, "Content-Type": _TYPES[".html"]})
        return self._file(request, INDEX)

    async def asset(self, request: web.Request) -> web.Response:
        """Answer with a file of the page; 404 where there is none."""
        path = request.match_info["path"]
        if path == INDEX or path not in self.contents:
            raise web.HTTPNotFound
        return self._file(request, path)

    def _file(self, request: web.Request, path: str) -> web.Response:
        headers = {**HEADERS, "Content-Type": _TYPES[PurePosixPath(path).suffix], "Vary": "Accept-Encoding"}
        if _GZIP.search(request.headers.get("Accept-Encoding", "")):
            return web.Response(body=self.compressed[path], headers={**headers, "Content-Encoding": "gzip"})
        return web.Response(body=self.contents[path], headers=headers)


@cache
def _packaged() -> Mapping[str, bytes]:
    return dict(_walk(files("sidecar.dashboard").joinpath("static"), ""))


@cache
def _compressed() -> Mapping[str, bytes]:
    return {path: gzip.compress(content, mtime=0) for path, content in _packaged().items()}


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    found = []
    for item in folder.iterdir():
        if item.is_dir():
            found += _walk(item, f"{prefix}{item.name}/")
        elif PurePosixPath(item.name).suffix in _TYPES:
            found.append((prefix + item.name, item.read_bytes()))
    return found
