"""A load that is waited for until its last row is delivered, and the headline: what a conversion costs in all."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench import processes
from bench.intake import ARRAY, Load, load
from bench.microsoft import Microsoft, pending
from bench.processes import Service
from bench.report import Line, spread
from bench.started import ended

POLL_SECONDS = 0.2
"""Between two looks at what is left: each of them costs the sidecar as much as a request."""


@dataclass(frozen=True)
class Delivered(Load):
    """A load of the sidecar; its CPU time counts until the last row is delivered."""

    delivered_seconds: float = 0.0
    """From the first request until then."""
    cpu_by_thread: Mapping[str, float] = field(default_factory=dict)
    memory: float = 0.0
    """The most that was resident, in MiB."""

    @property
    def delivered_per_second(self) -> float:
        return self.conversions / self.delivered_seconds


def deliver(folder: Path, sidecar: Service, *arguments: str, **how: Any) -> Delivered:
    """Load it once, `how` as in `load`, and wait until everything is delivered."""
    process = sidecar.started
    process.forget_most_memory()
    threads, began = process.cpu_by_thread(), time.monotonic()
    loaded = load(folder / "load", sidecar, *arguments, **how)
    while pending(sidecar):
        time.sleep(POLL_SECONDS)
    by_thread = {name: seconds - threads.get(name, 0.0) for name, seconds in process.cpu_by_thread().items()}
    whole = {"cpu_seconds": sum(by_thread.values()), "delivered_seconds": time.monotonic() - began}
    return Delivered(**{**asdict(loaded), **whole}, cpu_by_thread=by_thread, memory=process.most_memory())


def headline(folder: Path, repeats: int, seconds: float) -> Iterator[Line]:
    """Rows for a CPU second of the sidecar: arrays of 100, from the request until Microsoft has taken them."""
    costs: dict[str, list[Delivered]] = {"": [], "--random-ids": []}
    with ExitStack() as stack:
        microsoft = Microsoft.start(folder, stack)
        sidecar = processes.start_sidecar(folder / "sidecar", microsoft.settings())
        stack.enter_context(ended(sidecar.started))
        arguments = ("--array", str(ARRAY), "--connections", "8", "--seconds")
        deliver(folder, sidecar, *arguments, "1")  # warms up
        for _ in range(repeats):
            for ids, runs in costs.items():
                runs.append(deliver(folder, sidecar, *arguments, str(seconds), *filter(None, [ids])))
    what = f"rows a CPU second, arrays of {ARRAY}, from request to delivered"
    passed = median(run.per_cpu_second for run in costs[""]) >= 22_000
    yield Line(what, ">= 22,000", _figure(costs[""]), passed)
    yield Line(
        "the same, with order ids at random in place of such as count up", "printed", _figure(costs["--random-ids"])
    )


def _figure(runs: Sequence[Delivered]) -> str:
    rates = spread([run.delivered_per_second for run in runs], "{:.0f}")
    return f"{spread([run.per_cpu_second for run in runs], '{:.0f}')}; a second {rates}"
