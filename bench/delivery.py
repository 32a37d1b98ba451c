"""Delivery at Microsoft's own limit, and what a conversion costs from request to delivered, against the emulator."""

import json
import ssl
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench import processes
from bench.intake import ARRAY, load
from bench.processes import GOAL, Service, Started, ended
from bench.report import Line, spread
from bench.store import filled

BATCH = 1_000
PER_MINUTE = 1_000
"""Requests of one account: Microsoft's limit."""

LATENCY_SECONDS = 0.3


@dataclass(frozen=True)
class Microsoft:
    """The emulator, seen from outside."""

    started: Started
    url: str
    folder: Path

    @classmethod
    def start(cls, folder: Path, stack: ExitStack, requests_per_minute: int = PER_MINUTE) -> "Microsoft":
        started = processes.start_emulator(folder, requests_per_minute=requests_per_minute)
        stack.enter_context(ended(started))
        return cls(started, started.output_matching(r"(https://127\.0\.0\.1:\d+)"), folder)

    def control(self, method: str, path: str, body: object = None) -> Any:
        tls = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        sent = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_emulator/{path}", sent, method=method)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, context=tls) as answer:
            return json.loads(answer.read())

    def answers_after(self, seconds: float) -> None:
        """Every upload takes so long from now on."""
        action = {"type": "slow", "seconds": seconds}
        match = {"operation": "OfflineConversions/Apply"}
        self.control("POST", "faults", {"match": match, "times": None, "action": action})

    def settings(self, **sections: Any) -> dict[str, Any]:
        return processes.settings(self.url, str(self.folder / "ca.pem"), **sections)


def pending(sidecar: Service) -> int:
    return int(sidecar.call("GET", "/healthz")["outbox"]["pending"])


# --- The ceiling -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drained:
    """Rows that were sent in a number of seconds, and the CPU time of the two sides."""

    rows: int
    seconds: float
    cpu_seconds: float
    others_cpu_seconds: float

    @property
    def share(self) -> float:
        """Of what Microsoft's limit allows."""
        return self.rows / self.seconds / (BATCH * PER_MINUTE / 60)

    @property
    def cores(self) -> float:
        return self.cpu_seconds / self.seconds

    def __str__(self) -> str:
        others = self.others_cpu_seconds / self.seconds
        return f"{self.share:.1%} of the limit, sidecar {self.cores:.2f} cores, emulator {others:.2f}"


def _drain(sidecar: Service, microsoft: Microsoft, seconds: float, incoming: int = 0) -> Drained:
    """How a backlog is sent for a number of seconds, after its first batch."""
    began = pending(sidecar)
    until = time.monotonic() + 60
    while began - pending(sidecar) < 10 * BATCH:
        assert time.monotonic() < until, "nothing flows"
        time.sleep(0.5)
    used, others = sidecar.started.cpu_seconds(), microsoft.started.cpu_seconds()
    before, started = pending(sidecar), time.monotonic()
    came = 0
    if incoming:
        arguments = ("--seconds", str(seconds), "--array", str(ARRAY), "--rate", str(incoming / ARRAY))
        came = load(microsoft.folder / "load", sidecar, *arguments, "--connections", "16").conversions
    time.sleep(max(0.0, seconds - (time.monotonic() - started)))
    left, took = pending(sidecar), time.monotonic() - started
    own = sidecar.started.cpu_seconds() - used
    return Drained(before + came - left, took, own, microsoft.started.cpu_seconds() - others)


def ceiling(folder: Path, rows: int, seconds: float) -> Iterator[Line]:
    """One account with a backlog, at several latencies, and with conversions coming in."""
    cases = ((0.3, 0, 8, 0.5), (0.3, 5_000, 8, 1.0), (1.0, 0, 8, None), (1.0, 0, 24, None), (3.0, 0, 64, None))
    for number, (latency, incoming, in_flight, cores) in enumerate(cases):
        with ExitStack() as stack:
            home = folder / str(number)
            filled(home / "sidecar" / "outbox.db", rows)
            microsoft = Microsoft.start(home, stack)
            microsoft.answers_after(latency)
            settings = microsoft.settings(delivery={"max_in_flight": in_flight})
            sidecar = processes.start_sidecar(home / "sidecar", settings)
            stack.enter_context(ended(sidecar.started))
            drained = _drain(sidecar, microsoft, seconds if cores else seconds / 3, incoming)
        what = f"drain {rows:,} rows, one account, API {latency * 1000:.0f} ms, max_in_flight {in_flight}"
        what += f", {incoming:,} a second coming in" if incoming else ""
        target = f">= 95 %, sidecar <= {cores} cores" if cores else "printed"
        passed = drained.share >= 0.95 and drained.cores <= cores if cores else None
        yield Line(what, target, str(drained), passed, _who_is_short(drained))


def _who_is_short(drained: Drained) -> str:
    busy = drained.others_cpu_seconds / drained.seconds
    return "the emulator has no core left" if busy > 0.9 and drained.share < 0.95 else ""


def ten_accounts(folder: Path, seconds: float) -> Iterator[Line]:
    """Each of ten accounts at a limit of 100 requests a minute, with batches of ten."""
    names = [f"account{number}" for number in range(10)]
    accounts = {name: {"customer_id": str(100 + n), "account_id": str(200 + n)} for n, name in enumerate(names)}
    events = {name: {"goal": GOAL, "currency": "USD", "account": name} for name in names}
    batch, rows = 10, int(seconds / 60 * 100 * 10 * 2)
    with ExitStack() as stack:
        microsoft = Microsoft.start(folder, stack, requests_per_minute=100)
        microsoft.answers_after(LATENCY_SECONDS)
        delivery = {"batch_size": batch, "requests_per_minute": 100}
        for name in names:
            filled(folder / "sidecar" / "outbox.db", rows, event=name, account=name)
        settings = microsoft.settings(accounts=accounts, events=events, delivery=delivery)
        sidecar = processes.start_sidecar(folder / "sidecar", settings)
        stack.enter_context(ended(sidecar.started))
        time.sleep(15)  # every account has begun
        first = _requests_by_account(microsoft)
        time.sleep(seconds)
        last = _requests_by_account(microsoft)
    shares = [(last.get(one, 0) - first.get(one, 0)) / (100 * seconds / 60) for one in last]
    worst = min(shares) if len(shares) == len(names) else 0.0
    what = "ten accounts, each at 100 requests a minute"
    yield Line(what, "every account >= 95 %", f"{worst:.1%} to {max(shares):.1%}", worst >= 0.95)


def _requests_by_account(microsoft: Microsoft) -> dict[str, int]:
    counts: dict[str, int] = {}
    after: int | None = 0
    while after is not None:
        page = microsoft.control("GET", f"ledger/requests?limit=5000&after={after}")
        for request in page["items"]:
            if request["operation"] == "OfflineConversions/Apply":
                counts[request["account_id"]] = counts.get(request["account_id"], 0) + 1
        after = page["next_after"]
    return counts


# --- The headline ----------------------------------------------------------------------------------------------------


def headline(folder: Path, repeats: int, seconds: float) -> Iterator[Line]:
    """Rows for a CPU second of the sidecar: arrays of 100, from the request until Microsoft has taken them."""
    costs: dict[str, list[Delivering]] = {"": [], "--random-ids": []}
    with ExitStack() as stack:
        microsoft = Microsoft.start(folder, stack)
        sidecar = processes.start_sidecar(folder / "sidecar", microsoft.settings())
        stack.enter_context(ended(sidecar.started))
        _deliver(folder, sidecar, 1.0)  # warms up
        for _ in range(repeats):
            for ids, runs in costs.items():
                runs.append(_deliver(folder, sidecar, seconds, *filter(None, [ids])))
    what = f"rows a CPU second, arrays of {ARRAY}, from request to delivered"
    passed = median(run.per_cpu_second for run in costs[""]) >= 16_667
    yield Line(what, ">= 16,667", _figure(costs[""]), passed)
    yield Line(
        "the same, with order ids at random in place of such as count up", "printed", _figure(costs["--random-ids"])
    )


@dataclass(frozen=True)
class Delivering:
    """Rows a CPU second and a second."""

    per_cpu_second: float
    per_second: float


def _deliver(folder: Path, sidecar: Service, seconds: float, *how: str) -> Delivering:
    used, started = sidecar.started.cpu_seconds(), time.monotonic()
    arguments = ("--seconds", str(seconds), "--array", str(ARRAY), "--connections", "8", *how)
    rows = load(folder / "load", sidecar, *arguments).conversions
    while pending(sidecar):
        time.sleep(0.05)
    return Delivering(rows / (sidecar.started.cpu_seconds() - used), rows / (time.monotonic() - started))


def _figure(runs: Sequence[Delivering]) -> str:
    rates = spread([run.per_second for run in runs], "{:.0f}")
    return f"{spread([run.per_cpu_second for run in runs], '{:.0f}')}; a second {rates}"


# --- What a user would write instead ---------------------------------------------------------------------------------


def sdk(folder: Path, repeats: int, rows: int) -> Iterator[Line]:
    """Microsoft's SDK against the same emulator, one conversion a call and a thousand."""
    with ExitStack() as stack:
        microsoft = Microsoft.start(folder, stack, requests_per_minute=1_000_000)
        for batch, share in ((1, 20), (BATCH, 1)):
            costs: list[float] = []
            rates: list[float] = []
            for _ in range(repeats):
                arguments = (microsoft.url, str(folder / "ca.pem"), str(max(rows // share, batch)), str(batch))
                command = (processes.PYTHON, "-m", "bench.sdk", *arguments)
                started = Started.start("sdk", folder, processes.SUBJECT_CORE, *command, env=processes.here())
                with ended(started):
                    told = started.told()
                costs.append(told["cpu_seconds"] / told["rows"] * 1e6)
                rates.append(told["rows"] / told["seconds"])
            what = f"Microsoft's SDK, {batch:,} a call: CPU microseconds a row, and rows a second"
            yield Line(what, "printed", f"{spread(costs, '{:.0f}')}; {spread(rates, '{:.0f}')}")
