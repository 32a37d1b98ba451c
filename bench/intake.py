"""Intake beside its yardsticks: one load in turn on a bare handler, on ours without a store, and on the sidecar.

CPU time of the process is what is compared first: on a shared machine wall time swings, CPU time hardly.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench import processes
from bench.processes import OTHER_CORE, PYTHON, SUBJECT_CORE, Service
from bench.report import Line, spread
from bench.started import Started, ended

ARRAY = 100


@dataclass(frozen=True)
class Load:
    """What one run of the load generator saw, and the CPU time of what it was sent to."""

    conversions: int
    seconds: float
    cpu_seconds: float
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    p999_ms: float = 0.0
    refused: int = 0
    """Requests that were answered 503."""

    @property
    def per_second(self) -> float:
        return self.conversions / self.seconds

    @property
    def per_cpu_second(self) -> float:
        return self.conversions / self.cpu_seconds


def load(
    folder: Path, service: Service, *arguments: str, core: int | None = OTHER_CORE, may_refuse: bool = False
) -> Load:
    """Load it once; AssertionError when anything but 202 was answered, or 503 where that may be."""
    before = service.started.cpu_seconds()
    generator = processes.start_load(folder, service.url, *arguments, core=core)
    with ended(generator):
        told = generator.told()
    used = service.started.cpu_seconds() - before
    assert set(told["statuses"]) <= {"202", *(["503"] if may_refuse else [])}, told["statuses"]
    slow = {f"{name}_ms": milliseconds for name, milliseconds in told["percentiles"].items()}
    return Load(told["conversions"], told["seconds"], used, **slow, refused=told["statuses"].get("503", 0))


@dataclass
class Rounds:
    """The runs of each service, in the order in which they were made."""

    runs: dict[str, list[Load]] = field(default_factory=dict)

    def add(self, name: str, run: Load) -> None:
        self.runs.setdefault(name, []).append(run)

    def cpu_ratio(self, name: str, to: str) -> list[float]:
        """How many a CPU second, as a share of the other's in the same round."""
        return self._ratios(name, to, "per_cpu_second")

    def rate_ratio(self, name: str, to: str) -> list[float]:
        """How many a second, as a share of the other's in the same round."""
        return self._ratios(name, to, "per_second")

    def _ratios(self, name: str, to: str, of: str) -> list[float]:
        return [getattr(a, of) / getattr(b, of) for a, b in zip(self.runs[name], self.runs[to], strict=True)]


def measure(folder: Path, repeats: int, seconds: float) -> Iterator[Line]:
    """Everything about intake."""
    with ExitStack() as stack:
        services = dict(_services(folder, stack))
        given = ("--seconds", str(seconds))
        for service in services.values():  # warms up
            load(folder / "load", service, "--seconds", "1")
        single, many = Rounds(), Rounds()
        for _ in range(repeats):
            for name, service in services.items():
                single.add(name, load(folder / "load", service, *given))
            for name, service in services.items():
                array = 0 if name == "bare" else ARRAY
                many.add(name, load(folder / "load", service, *given, "--array", str(array)))
            many.add("raw", _raw(folder / "raw"))
        half = median(run.per_second for run in single.runs["sidecar"]) / 2
        paced = [load(folder / "load", services["sidecar"], *given, "--rate", str(half)) for _ in range(repeats)]
    yield from _singles(single, paced)
    yield from _arrays(many)


def _services(folder: Path, stack: ExitStack) -> Iterator[tuple[str, Service]]:
    (folder / "unstored").mkdir(parents=True)
    (folder / "unstored" / "config.yaml").write_text(json.dumps(processes.settings()))
    for name in ("bare", "unstored"):
        yield name, _kept(processes.start_server(name, folder / name), stack)
    yield "sidecar", _kept(processes.start_sidecar(folder / "sidecar", processes.settings()), stack)


def _kept(service: Service, stack: ExitStack) -> Service:
    stack.enter_context(ended(service.started))
    return service


def _raw(folder: Path) -> Load:
    """The same rows written by a script that does nothing else, with the same commits."""
    folder.mkdir(parents=True, exist_ok=True)
    started = Started.start("raw", folder, SUBJECT_CORE, PYTHON, "-m", "bench.raw", str(ARRAY), env=processes.here())
    with ended(started):
        told: dict[str, Any] = started.told()
    return Load(told["rows"], told["seconds"], told["cpu_seconds"])


def _singles(rounds: Rounds, paced: list[Load]) -> Iterator[Line]:
    what = "single POST, 64 connections, durable"
    rates = ", ".join(
        f"{name} {spread([run.per_second for run in runs], '{:.0f}')}" for name, runs in rounds.runs.items()
    )
    costs = ", ".join(
        f"{name} {spread([1e6 / run.per_cpu_second for run in runs], '{:.0f}')}" for name, runs in rounds.runs.items()
    )
    yield Line(f"{what}: requests a second", "printed", rates)
    yield Line(f"{what}: CPU microseconds a request", "printed", costs)
    for to, least in (("bare", 0.30), ("unstored", 0.8)):
        ratios = rounds.cpu_ratio("sidecar", to)
        of_rate = spread(rounds.rate_ratio("sidecar", to))
        passed = median(ratios) >= least
        yield Line(f"{what}: share of {to}, by CPU", f">= {least}", f"{spread(ratios)}; by rate {of_rate}", passed)
    p99 = [run.p99_ms for run in paced]
    yield Line(f"{what}: p99 at half of that load", "<= 25 ms", f"{spread(p99, '{:.1f}')} ms", median(p99) <= 25)


def _arrays(rounds: Rounds) -> Iterator[Line]:
    what = f"arrays of {ARRAY}"
    costs = ", ".join(
        f"{name} {spread([1e6 / run.per_cpu_second for run in runs], '{:.1f}')}"
        for name, runs in rounds.runs.items()
        if name != "bare"
    )
    yield Line(f"{what}: CPU microseconds a conversion", "printed", costs)
    to_bare = rounds.rate_ratio("sidecar", "bare")
    by_cpu = rounds.cpu_ratio("sidecar", "bare")
    figure = f"{spread(to_bare)}; by CPU {spread(by_cpu)}"
    yield Line(f"{what}: conversions a second to requests of bare", ">= 1", figure, median(by_cpu) >= 1)
    to_raw = rounds.cpu_ratio("sidecar", "raw")
    figure = f"{spread(to_raw)}; by rate {spread(rounds.rate_ratio('sidecar', 'raw'))}"
    yield Line(f"{what}: share of raw sqlite3, by CPU", ">= 0.7", figure, median(to_raw) >= 0.7)
