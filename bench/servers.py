"""Yardsticks that serve HTTP: `python -m bench.servers bare|uvloop|unstored` prints where it listens.

`bare` reads the body and answers 202: the least that anything over aiohttp can cost. `uvloop` is the same on the
event loop of that name. `unstored` is the sidecar, but its outbox stores nothing: reading, validation, hashing and the
answer, without keys, disk and delivery.
"""

import asyncio
import importlib.util
import socket
import sys
from collections.abc import Sequence
from itertools import count

from aiohttp import web

from sidecar.core.keys import Key, KeySource
from sidecar.ports.intake import Arrival, PutResult, Stored
from sidecar.store.sql.outbox import SqlOutbox
from sidecar.store.sql.rows import new_row, record_of_new

ANSWER = b'{"state": "pending"}'
NO_KEY = Key(KeySource.NONE, None, None)

_numbers = count(1)


async def _answer(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(body=ANSWER, status=202, content_type="application/json")


def _listening(text: str) -> None:
    """aiohttp prints several lines; the address is the one that counts."""
    for line in text.splitlines():
        if "http://" in line:
            address = line.partition("http://")[2].rstrip(" =")
            print(f"listening on http://{address}", flush=True)


def bare(loop: asyncio.AbstractEventLoop | None = None, listener: socket.socket | None = None) -> None:
    app = web.Application()
    app.router.add_post("/v1/conversions", _answer)
    listener = listener or socket.create_server(("127.0.0.1", 0))
    web.run_app(app, sock=listener, access_log=None, print=_listening, loop=loop)


def on_uvloop() -> None:
    import uvloop  # not everywhere: a trial asks `has_uvloop` first

    bare(uvloop.new_event_loop())


def has_uvloop() -> bool:
    return importlib.util.find_spec("uvloop") is not None


async def _put(_: SqlOutbox, arrivals: Sequence[Arrival]) -> list[PutResult]:
    """What the store would answer for rows that are all new."""
    rows = (new_row(arrival, NO_KEY, "", next(_numbers), 1) for arrival in arrivals)
    return [Stored(record_of_new(row, arrival.conversion)) for row, arrival in zip(rows, arrivals, strict=True)]


def unstored() -> None:
    from sidecar.cli import main

    SqlOutbox.put = _put  # type: ignore[method-assign]
    main(["run", "--config", "config.yaml"], prog_name="sidecar")


if __name__ == "__main__":
    {"bare": bare, "uvloop": on_uvloop, "unstored": unstored}[sys.argv[1]]()
