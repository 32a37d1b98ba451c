"""PostgreSQL beside SQLite in the same run: intake, delivery, replicas and claims; nothing is pinned.

Ratios are of runs that were made in turn. CPU time of PostgreSQL is given without and with its server's.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import postgres, processes, store
from bench.delivered import Delivered, deliver
from bench.delivery import LATENCY_SECONDS, Drained, drain, requests_by_account
from bench.intake import ARRAY
from bench.microsoft import Microsoft
from bench.postgres import Postgres
from bench.processes import GOAL, PYTHON, Service
from bench.report import Line, spread
from bench.started import ANY_CORE, Started, ended

SQLITE, POSTGRES = "sqlite", "postgres"
QUICK_SECONDS = 0.02
CONNECTIONS = 32
SHAPES = {"single POST": 0, f"arrays of {ARRAY}": ARRAY}
ACCOUNTS, REPLICAS = 20, 3
ONE = ("purchase", store.ACCOUNT)
"""The lane of the trials with one account."""
PER_MINUTE, BATCH = 100, 100
"""Requests of each of the twenty accounts, and rows of each request: a limit that two cores can reach."""


@dataclass(frozen=True)
class Cost:
    """What something took of a sidecar, and of the database's server."""

    own: float
    server: float = 0.0

    @property
    def whole(self) -> float:
        return self.own + self.server


@dataclass
class Pairs:
    """Costs of both stores, run in turn."""

    of: dict[str, list[Cost]] = field(default_factory=lambda: {SQLITE: [], POSTGRES: []})

    def ratios(self) -> str:
        """PostgreSQL's in those of SQLite: of the sidecar alone, and with the server."""
        both = list(zip(self.of[SQLITE], self.of[POSTGRES], strict=True))
        alone = spread([other.own / ours.own for ours, other in both])
        return f"{alone}, with the server {spread([other.whole / ours.own for ours, other in both])}"

    def figures(self, form: str) -> str:
        ours = spread([cost.own for cost in self.of[SQLITE]], form)
        other = spread([cost.own for cost in self.of[POSTGRES]], form)
        server = spread([cost.server for cost in self.of[POSTGRES]], form)
        return f"SQLite {ours}, PostgreSQL {other} + {server}"


def needs_server(trial: Callable[..., Iterator[Line]]) -> Callable[..., Iterator[Line]]:
    """The trial, or a line that says why there is none."""

    def run(*arguments: Any) -> Iterator[Line]:
        if postgres.is_installed():
            yield from trial(*arguments)
        else:
            yield Line("PostgreSQL beside SQLite", "printed", "not measured: PostgreSQL is not installed")

    return run


# --- Intake, to delivered --------------------------------------------------------------------------------------------


@needs_server
def intake(folder: Path, repeats: int, seconds: float) -> Iterator[Line]:
    """The same load on a sidecar with a file and on one with a database, both with delivery."""
    with ExitStack() as stack:
        server = stack.enter_context(postgres.server())
        microsoft = Microsoft.start(folder, stack, core=ANY_CORE)
        microsoft.answers_after(QUICK_SECONDS)
        services = {name: _started(folder / name, microsoft, stack, url) for name, url in _both(server).items()}
        for what, array in SHAPES.items():
            runs: dict[str, list[Delivered]] = {SQLITE: [], POSTGRES: []}
            costs = Pairs()
            for run in range(repeats + 1):
                lasts = seconds if run else min(seconds, 1.0)
                for name, service in services.items():
                    seen, cost = _loaded(folder, service, server, name, array, lasts)
                    if run:  # the first warms up
                        runs[name].append(seen)
                        costs.of[name].append(cost)
            yield from _lines(f"PostgreSQL, {what}, {CONNECTIONS} connections", runs, costs)


def _loaded(
    folder: Path, service: Service, server: Postgres, name: str, array: int, seconds: float
) -> tuple[Delivered, Cost]:
    """One load, with its cost in microseconds a conversion."""
    arguments = ("--connections", str(CONNECTIONS), "--seconds", str(seconds), "--array", str(array))
    before = server.cpu_seconds()
    seen = deliver(folder, service, *arguments, core=ANY_CORE, may_refuse=True)
    used = server.cpu_seconds() - before if name == POSTGRES else 0.0
    return seen, Cost(seen.cpu_seconds / seen.conversions * 1e6, used / seen.conversions * 1e6)


def _lines(what: str, runs: Mapping[str, Sequence[Delivered]], costs: Pairs) -> Iterator[Line]:
    yield Line(
        f"{what}: CPU of a conversion to delivered, in those of SQLite",
        "printed",
        f"{costs.ratios()}; {costs.figures('{:.0f}')} us",
    )
    rates = {name: [run.per_second for run in of_one] for name, of_one in runs.items()}
    ratios = [other / ours for ours, other in zip(rates[SQLITE], rates[POSTGRES], strict=True)]
    shown = ", ".join(f"{name} {spread(rate, '{:.0f}')}" for name, rate in rates.items())
    yield Line(f"{what}: accepted a second, in those of SQLite", "printed", f"{spread(ratios)}; {shown}")
    p99 = {name: [run.p99_ms for run in of_one] for name, of_one in runs.items()}
    slower = [other / ours for ours, other in zip(p99[SQLITE], p99[POSTGRES], strict=True)]
    shown = ", ".join(f"{name} {spread(one, '{:.0f}')}" for name, one in p99.items())
    yield Line(f"{what}: p99 in those of SQLite", "printed", f"{spread(slower)}; {shown} ms")


def _both(server: Postgres) -> dict[str, str]:
    """A URL of each store."""
    return {SQLITE: "sqlite:///outbox.db", POSTGRES: server.database()}


def _started(folder: Path, microsoft: Microsoft, stack: ExitStack, url: str, **sections: Any) -> Service:
    settings = microsoft.settings(storage={"url": url}, **sections)
    sidecar = processes.start_sidecar(folder, settings, core=ANY_CORE)
    stack.enter_context(ended(sidecar.started))
    return sidecar


# --- Delivery --------------------------------------------------------------------------------------------------------


@needs_server
def ceiling(folder: Path, rows: int, seconds: float) -> Iterator[Line]:
    """A backlog of one account at Microsoft's limit, from each store."""
    drained: dict[str, Drained] = {}
    with ExitStack() as whole:
        server = whole.enter_context(postgres.server())
        for name, url in _both(server).items():
            _fill(folder / name, url, rows, ONE)
            with ExitStack() as stack:
                microsoft = Microsoft.start(folder / name, stack, core=ANY_CORE)
                microsoft.answers_after(LATENCY_SECONDS)
                sidecar = _started(folder / name, microsoft, stack, url)
                drained[name] = drain(sidecar, microsoft, lambda: _after(seconds))
    ratio = drained[POSTGRES].per_row / drained[SQLITE].per_row
    figure = f"{ratio:.2f} x the CPU of a row; SQLite: {drained[SQLITE]}; PostgreSQL: {drained[POSTGRES]}"
    what = f"PostgreSQL, drain {rows:,} rows, one account, API {LATENCY_SECONDS * 1000:.0f} ms"
    yield Line(what, ">= 95 % of the limit", figure, drained[POSTGRES].share >= 0.95)


def _after(seconds: float) -> int:
    time.sleep(seconds)
    return 0


def _fill(folder: Path, url: str, rows: int, *lanes: tuple[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if url.startswith("postgresql:"):
        postgres.filled(url, rows, *lanes)
        return
    for event, account in lanes:
        store.filled(folder / "outbox.db", rows, event=event, account=account)


@needs_server
def replicas(folder: Path, seconds: float) -> Iterator[Line]:
    """Twenty accounts at their limits: three replicas over one database, and one process with a file."""
    names = [f"account{number}" for number in range(ACCOUNTS)]
    sections = {
        "accounts": {name: {"customer_id": str(100 + n), "account_id": str(200 + n)} for n, name in enumerate(names)},
        "events": {name: {"goal": GOAL, "currency": "USD", "account": name} for name in names},
        "delivery": {"batch_size": BATCH, "requests_per_minute": PER_MINUTE},
    }
    rows = int((seconds + 60) / 60 * PER_MINUTE * BATCH)
    costs, shares = Pairs(), {}
    with ExitStack() as whole:
        server = whole.enter_context(postgres.server())
        for name, url in _both(server).items():
            _fill(folder / name, url, rows, *((account, account) for account in names))
            with ExitStack() as stack:
                microsoft = Microsoft.start(folder / name, stack, requests_per_minute=PER_MINUTE, core=ANY_CORE)
                microsoft.answers_after(LATENCY_SECONDS)
                count = REPLICAS if name == POSTGRES else 1
                places = [folder / name / str(number) if count > 1 else folder / name for number in range(count)]
                services = [_started(place, microsoft, stack, url, **sections) for place in places]
                shares[name], cost = _watched(services, server if name == POSTGRES else None, microsoft, seconds)
                costs.of[name].append(cost)
    what = f"PostgreSQL, {REPLICAS} replicas, {ACCOUNTS} accounts at {PER_MINUTE} requests a minute of {BATCH} rows"
    least = {name: f"{min(of_one):.1%} to {max(of_one):.1%}" for name, of_one in shares.items()}
    figure = f"{least[POSTGRES]}, one process with SQLite {least[SQLITE]}"
    enough = len(shares[POSTGRES]) == ACCOUNTS and min(shares[POSTGRES]) >= 0.95
    yield Line(f"{what}: share of the limit", "every account >= 95 %", figure, enough)
    figure = f"{costs.ratios()}; {costs.figures('{:.0f}')} us"
    yield Line(f"{what}: CPU of a delivered row, in those of SQLite", "printed", figure)


def _watched(
    services: Sequence[Service], server: Postgres | None, microsoft: Microsoft, seconds: float
) -> tuple[list[float], Cost]:
    """Each account's share of its limit, and microseconds a row, once all accounts have begun."""
    until = time.monotonic() + 120
    while len(requests_by_account(microsoft)) < ACCOUNTS:
        assert time.monotonic() < until, "not every account has begun"
        time.sleep(1)
    first, own, other, began = requests_by_account(microsoft), _cpu(services), _server_cpu(server), time.monotonic()
    time.sleep(seconds)
    last, took = requests_by_account(microsoft), time.monotonic() - began
    sent = {account: count - first.get(account, 0) for account, count in last.items()}
    rows = sum(sent.values()) * BATCH
    cost = Cost((_cpu(services) - own) / rows * 1e6, (_server_cpu(server) - other) / rows * 1e6)
    return [count / (PER_MINUTE * took / 60) for count in sent.values()], cost


def _cpu(services: Sequence[Service]) -> float:
    return sum(service.started.cpu_seconds() for service in services)


def _server_cpu(server: Postgres | None) -> float:
    return server.cpu_seconds() if server else 0.0


# --- Claims ----------------------------------------------------------------------------------------------------------


@needs_server
def claims(folder: Path, rows: int, repeats: int, batches: int = 20) -> Iterator[Line]:
    """Claiming and settling a thousand rows beside many, and beside few, in each store."""
    few = 10_000
    added = 1_000 * (repeats * (batches + 1) + 5)
    with postgres.server() as server:
        places: dict[tuple[str, int], str] = {}
        for count in (few, rows):
            for name, url in _both(server).items():
                _fill(folder / f"{name}{count}", url, count + added, ONE)
                places[name, count] = url if name == POSTGRES else "outbox.db"
        costs = {count: Pairs() for count in (few, rows)}
        for _ in range(repeats):
            for (name, count), place in places.items():
                more = (str(server.pid),) if name == POSTGRES else ()
                costs[count].of[name].append(_claimed(folder / f"{name}{count}", place, str(batches), *more))
    for count, pairs in costs.items():
        what = f"PostgreSQL, claim and settle of 1,000 rows, {count:,} pending: CPU in that of SQLite"
        yield Line(what, "printed", f"{pairs.ratios()}; {pairs.figures('{:.1f}')} ms")
    both = zip(costs[few].of[POSTGRES], costs[rows].of[POSTGRES], strict=True)
    ratios = [many.whole / one.whole for one, many in both]
    what = f"PostgreSQL, claim and settle of 1,000 rows, {rows:,} pending against {few:,} (CPU)"
    yield Line(what, "<= 1.5 x", spread(ratios), sorted(ratios)[len(ratios) // 2] <= 1.5)


def _claimed(folder: Path, *arguments: str) -> Cost:
    started = Started.start("claims", folder, ANY_CORE, PYTHON, "-m", "bench.claims", *arguments, env=processes.here())
    with ended(started):
        told = started.told()
    return Cost(told["cpu_ms"], told["server_cpu_ms"])
