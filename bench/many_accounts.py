"""Many accounts of one process: `python -m bench.many_accounts serve` or `idle`, with `--postgres` over a server.

`serve` posts a few rows to each of a thousand accounts at once, and says how long the last one waited. `idle` lets ten
thousand accounts do nothing, and says what they cost beside one account. Everything lies in a temporary folder, which
is deleted at the end. Nothing is pinned: CPU times count, seconds only on a machine that does nothing else.
"""

import argparse
import contextlib
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bench import postgres, processes
from bench.microsoft import Microsoft
from bench.postgres import Postgres
from bench.processes import Service
from bench.started import ANY_CORE, ended

DEADLINE_SECONDS = 900.0

WAITED = "SELECT max(settled_at) - max(received_at) FROM entries WHERE state = 'delivered'"
PENDING = "SELECT count(*) FROM entries WHERE state = 'pending'"
READ = "SELECT count(*) FROM catalogues"


@dataclass(frozen=True)
class Place:
    """Where a sidecar stores, and what it has in its tables."""

    folder: Path
    url: str

    def number(self, query: str) -> int:
        if self.url.startswith("postgresql:"):
            with psycopg.connect(self.url) as db:
                (found,) = db.execute(query).fetchone() or (0,)
        else:
            with contextlib.closing(sqlite3.connect(self.folder / "outbox.db")) as db:
                (found,) = db.execute(query).fetchone()
        return int(found or 0)


@dataclass(frozen=True)
class Idle:
    """What a process costs that has nothing to do."""

    cores: float
    server_cores: float
    mib: float


@contextlib.contextmanager
def running(folder: Path, server: Postgres | None, accounts: int, linger: str) -> Iterator[tuple[Service, Place]]:
    """A sidecar with that many accounts, and the emulator that it sends to."""
    with ExitStack() as stack:
        microsoft = Microsoft.start(folder, stack, requests_per_minute=100_000, core=ANY_CORE)
        place = Place(folder / "sidecar", server.database() if server else "sqlite:///outbox.db")
        named = {
            f"shop{n}": {"customer_id": str(110_000_000 + n), "account_id": str(210_000_000 + n)}
            for n in range(accounts)
        }
        delivery = {"linger": linger, "goal_settle": "0s", "click_settle": "0s"}
        given = microsoft.settings(accounts=named, delivery=delivery, storage={"url": place.url})
        sidecar = processes.start_sidecar(place.folder, given, core=ANY_CORE)
        stack.enter_context(ended(sidecar.started))
        yield sidecar, place


def serve(folder: Path, server: Postgres | None, accounts: int, rows: int) -> str:
    """Post the rows, one for each account at a time, and wait until all are delivered."""
    with running(folder, server, accounts, "2s") as (sidecar, place):
        placed_at, before = int(time.time()) - 3_600, sidecar.started.cpu_seconds()
        for number in range(rows):
            orders = [
                {
                    "event": "purchase",
                    "account": f"shop{n}",
                    "order_id": f"{n}-{number}",
                    "value": 1,
                    "time": placed_at,
                    "msclkid": f"{n:08x}{number:024x}",
                }
                for n in range(accounts)
            ]
            for first in range(0, accounts, 1_000):
                sidecar.call("POST", "/v1/conversions", orders[first : first + 1_000])
        _until(lambda: place.number(PENDING) == 0)
        used = sidecar.started.cpu_seconds() - before
        waited = place.number(WAITED) / 1000
        return (
            f"{accounts:,} accounts with {rows} rows each: the last row was delivered {waited:.1f} s after the last "
            f"one was received; {used:.1f} s of CPU time, {used / accounts * 1000:.1f} ms an account, readings included"
        )


def idle(folder: Path, server: Postgres | None, accounts: int, seconds: float) -> Idle:
    """Wait until all goals were read once, then watch."""
    with running(folder, server, accounts, "2s") as (sidecar, place):
        _until(lambda: place.number(READ) == accounts)
        time.sleep(10)  # what follows from the last reading
        started, before = time.monotonic(), sidecar.started.cpu_seconds()
        server_before = server.cpu_seconds() if server else 0.0
        time.sleep(seconds)
        took, used = time.monotonic() - started, sidecar.started.cpu_seconds() - before
        server_used = server.cpu_seconds() - server_before if server else 0.0
        return Idle(used / took, server_used / took, sidecar.started.memory())


def _until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + DEADLINE_SECONDS
    while not holds():
        assert time.monotonic() < until, "this takes too long"
        time.sleep(0.2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("serve", "idle"))
    parser.add_argument("--postgres", action="store_true", help="over a server of its own, in place of a file")
    parser.add_argument("--accounts", type=int, help="1,000 that are served, or 10,000 idle ones")
    parser.add_argument("--rows", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=120.0, help="how long idle accounts are watched")
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        server = stack.enter_context(postgres.server()) if given.postgres else None
        if given.what == "serve":
            print(serve(folder / "many", server, given.accounts or 1_000, given.rows))
            return
        accounts = given.accounts or 10_000
        one, many = (idle(folder / str(number), server, number, given.seconds) for number in (1, accounts))
        print(f"one account: {one.cores:.2%} of a core, {one.mib:.0f} MiB, server {one.server_cores:.2%}")
        print(f"{accounts:,} accounts: {many.cores:.2%} of a core, {many.mib:.0f} MiB, server {many.server_cores:.2%}")


if __name__ == "__main__":
    main()
