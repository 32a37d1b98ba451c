"""Work whose instructions can be counted: `python -m bench.counted ours 2000`, `python -m bench.counted plain 2000`.

`ours` is the path of that many orders from bytes to settled, without HTTP and TLS. `plain` is the least that any script
in Python would do with them: parse, hash twice, write the row into our table, write an answer.

`request` is that many single orders, posted over 32 connections to the whole sidecar, which sends nothing. `bare` are
the same requests to a handler that reads the body and answers 202. Their load is another process, which is not counted.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

from bench import servers
from bench.bodies import Bodies
from bench.processes import here, settings
from bench.raw import INSERT
from bench.steps import ARRAY, BATCH, Steps, send_off, take_in
from bench.store import NOW, opened
from sidecar.cli import main


async def ours(path: Path, rows: int) -> None:
    """A thousand at a time."""
    steps, bodies = Steps(), Bodies(ARRAY)
    async with opened(path) as outbox:
        for _ in range(rows // BATCH):
            await take_in(outbox, bodies, steps)
            await send_off(outbox, steps)


async def plain(path: Path, rows: int) -> None:
    """The same orders, an array in each transaction."""
    async with opened(path):
        pass
    db, bodies, seq = sqlite3.connect(path, isolation_level=None), Bodies(ARRAY), 0
    for _ in range(rows // ARRAY):
        values = []
        for order in json.loads(bodies.next()):
            seq += 1
            user = order["user"]
            hashes = [hashlib.sha256(user[name].encode()).hexdigest() for name in ("email", "phone")]
            key = (hash(order["order_id"]), *hashes)
            computed = (seq, 1, "pending", None, *key, 1, str(order["value"]), None, None, "bench", NOW, NOW, None)
            given = (NOW // 1000, order["order_id"], order["currency"], order["msclkid"], None, *hashes, None)
            values.append((*computed, *given))
        db.execute("BEGIN")
        db.executemany(INSERT, values)
        db.execute("COMMIT")
        json.dumps([{"id": row[0], "state": row[2], "order_id": row[16]} for row in values])
    db.close()


def request(folder: Path, requests: int, array: int = 0) -> None:
    """The sidecar, with orders one by one or in arrays."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    os.chdir(folder)
    Path("config.yaml").write_text(json.dumps(settings(server={"port": port})))
    with _loaded(port, requests, array), contextlib.suppress(SystemExit):
        main(["run", "--config", "config.yaml"], prog_name="sidecar")


def bare(_: Path, requests: int, array: int = 0) -> None:
    """The least that anything over aiohttp can cost."""
    listener = socket.create_server(("127.0.0.1", 0))
    with _loaded(listener.getsockname()[1], requests, array):
        servers.bare(listener=listener)


@contextlib.contextmanager
def _loaded(port: int, requests: int, array: int) -> Iterator[None]:
    """Load this process, which the load ends; AssertionError when an answer was not 202."""
    command = (sys.executable, "-m", "bench.rounds", str(port), str(requests), str(array))
    load = subprocess.Popen(command, env={**os.environ, **here()})
    yield
    assert load.wait() == 0


STORED: dict[str, Callable[[Path, int], Coroutine[Any, Any, None]]] = {"ours": ours, "plain": plain}
SERVED = {"request": request, "bare": bare}


if __name__ == "__main__":
    what, *numbers = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        if what in STORED:
            asyncio.run(STORED[what](Path(place) / "outbox.db", *map(int, numbers)))
        else:
            SERVED[what](Path(place), *map(int, numbers))
