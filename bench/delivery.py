"""Delivery at Microsoft's own limit, and what a user would write instead, against the emulator."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import processes
from bench.intake import ARRAY, load
from bench.microsoft import BATCH, ROWS_PER_SECOND, Microsoft, pending
from bench.processes import GOAL, Service
from bench.report import Line, spread
from bench.started import Started, ended
from bench.store import filled

LATENCY_SECONDS = 0.3


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
        return self.rows / self.seconds / ROWS_PER_SECOND

    @property
    def cores(self) -> float:
        return self.cpu_seconds / self.seconds

    @property
    def per_row(self) -> float:
        """CPU seconds of the sidecar."""
        return self.cpu_seconds / self.rows

    def __str__(self) -> str:
        others = self.others_cpu_seconds / self.seconds
        return f"{self.share:.1%} of the limit, sidecar {self.cores:.2f} cores, emulator {others:.2f}"


def drain(sidecar: Service, microsoft: Microsoft, meanwhile: Callable[[], int]) -> Drained:
    """How a backlog is sent, after its first batches; `meanwhile` takes the time, and returns the rows that it adds."""
    began = pending(sidecar)
    until = time.monotonic() + 60
    while began - pending(sidecar) < 10 * BATCH:
        assert time.monotonic() < until, "nothing flows"
        time.sleep(0.5)
    used, others = sidecar.started.cpu_seconds(), microsoft.started.cpu_seconds()
    before, started = pending(sidecar), time.monotonic()
    added = meanwhile()
    left, took = pending(sidecar), time.monotonic() - started
    own = sidecar.started.cpu_seconds() - used
    return Drained(before + added - left, took, own, microsoft.started.cpu_seconds() - others)


def _coming_in(folder: Path, sidecar: Service, seconds: float, per_second: int) -> int:
    """Arrays at that rate of conversions for so long."""
    if not per_second:
        time.sleep(seconds)
        return 0
    arguments = ("--seconds", str(seconds), "--array", str(ARRAY), "--rate", str(per_second / ARRAY))
    return load(folder / "load", sidecar, *arguments, "--connections", "16").conversions


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
            lasts = seconds if cores else seconds / 3
            drained = drain(sidecar, microsoft, partial(_coming_in, home, sidecar, lasts, incoming))
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
        first = requests_by_account(microsoft)
        time.sleep(seconds)
        last = requests_by_account(microsoft)
    shares = [(last.get(one, 0) - first.get(one, 0)) / (100 * seconds / 60) for one in last]
    worst = min(shares) if len(shares) == len(names) else 0.0
    what = "ten accounts, each at 100 requests a minute"
    yield Line(what, "every account >= 95 %", f"{worst:.1%} to {max(shares):.1%}", worst >= 0.95)


def requests_by_account(microsoft: Microsoft) -> dict[str, int]:
    """Uploads that the emulator has taken."""
    counts: dict[str, int] = {}
    after: int | None = 0
    while after is not None:
        page = microsoft.control("GET", f"ledger/requests?limit=5000&after={after}")
        for request in page["items"]:
            if request["operation"] == "OfflineConversions/Apply":
                counts[request["account_id"]] = counts.get(request["account_id"], 0) + 1
        after = page["next_after"]
    return counts


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
