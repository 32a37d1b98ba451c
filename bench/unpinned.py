"""Conversions as users post them: nothing pinned, and delivery going on meanwhile to an emulator that needs 20 ms.

In each round the same number of connections posts single conversions to the bare handler. One such request on asyncio's
own event loop is the unit in which a conversion of ours is measured, single or in an array.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

from bench import processes
from bench.delivered import Delivered, deliver
from bench.intake import Load, Rounds, load
from bench.microsoft import Microsoft
from bench.processes import Service
from bench.report import Line, spread
from bench.servers import has_uvloop
from bench.started import ANY_CORE, ended

LATENCY_SECONDS = 0.02
BARE = "bare", "uvloop", "paced"
"""The bare handler on asyncio's own event loop, on uvloop, and on asyncio's at the rate that the sidecar had."""


@dataclass(frozen=True)
class Shape:
    """Requests of one kind over a number of connections; what their figures should be."""

    array: int
    connections: int
    most_cpu: float | None = None
    """In multiples of a bare request, for one conversion from request to delivered."""
    most_p99: float | None = None
    """In multiples of a bare request's."""
    most_memory: float | None = None
    """In MiB."""

    def __str__(self) -> str:
        kind = f"arrays of {self.array:,}" if self.array else "single POST"
        return f"unpinned, {kind}, {self.connections} connection{'s' * (self.connections > 1)}"


SINGLES = (
    Shape(0, 1),
    Shape(0, 32, most_cpu=4.0, most_p99=6.0, most_memory=90.0),
    Shape(0, 256),
)
ARRAYS = (Shape(1, 32), Shape(10, 32), Shape(100, 32, most_cpu=1.3, most_memory=90.0), Shape(1_000, 32))


class Trial(Rounds):
    """The runs of one shape: the sidecar's, and those of the bare handlers beside it."""

    @property
    def ours(self) -> list[Delivered]:
        return [run for run in self.runs["sidecar"] if isinstance(run, Delivered)]

    def yardsticks(self, figure: Callable[[Load], float], form: str) -> str:
        """A figure of the bare handlers."""
        shown = [
            f"{name} {spread([figure(run) for run in self.runs[name]], form)}" for name in BARE if name in self.runs
        ]
        return ", ".join(shown) + ("" if has_uvloop() else " (uvloop is not installed)")


def measure(folder: Path, shapes: Sequence[Shape], repeats: int, seconds: float) -> Iterator[Line]:
    """Each shape with processes of its own, since memory that was used once stays."""
    for number, shape in enumerate(shapes):
        yield from lines(shape, _rounds(folder / str(number), shape, repeats, seconds))


def _rounds(folder: Path, shape: Shape, repeats: int, seconds: float) -> Trial:
    with ExitStack() as stack:
        microsoft = Microsoft.start(folder, stack, core=ANY_CORE)
        microsoft.answers_after(LATENCY_SECONDS)
        sidecar = processes.start_sidecar(folder / "sidecar", microsoft.settings(), core=ANY_CORE)
        stack.enter_context(ended(sidecar.started))
        bare = {name: _bare(name, folder, stack) for name in ("bare", "uvloop")[: 1 + has_uvloop()]}
        trial = Trial()
        for run in range(repeats + 1):
            lasts = ("--connections", str(shape.connections), "--seconds", str(seconds if run else min(seconds, 1.0)))
            ours = deliver(folder, sidecar, *lasts, "--array", str(shape.array), core=ANY_CORE, may_refuse=True)
            others = {name: load(folder / "load", one, *lasts, core=ANY_CORE) for name, one in bare.items()}
            if not shape.array:
                rate = ("--rate", f"{ours.per_second:.0f}")
                others["paced"] = load(folder / "load", bare["bare"], *lasts, *rate, core=ANY_CORE)
            for name, one in {"sidecar": ours, **others}.items() if run else ():  # the first warms up
                trial.add(name, one)
        return trial


def _bare(name: str, folder: Path, stack: ExitStack) -> Service:
    service = processes.start_server(name, folder / name, core=ANY_CORE)
    stack.enter_context(ended(service.started))
    return service


def lines(shape: Shape, trial: Trial) -> Iterator[Line]:
    """What a shape costs, and what its users see."""
    ours, memory = trial.ours, [run.memory for run in trial.ours]
    multiples = trial.cpu_ratio("bare", "sidecar")
    cost = f"{spread([microseconds(run) for run in ours], '{:.0f}')} us, {trial.yardsticks(microseconds, '{:.0f}')}"
    yield Line(
        f"{shape}: CPU of a conversion, to delivered, in requests of bare",
        *_at_most(shape.most_cpu, median(multiples), f"{spread(multiples)}; {cost}"),
    )
    yield Line(f"{shape}: CPU microseconds by thread", "printed", by_thread(ours))
    yield Line(f"{shape}: p50, p99, p99.9 in ms", "printed", f"{_answers(ours)}; {_answers(trial.runs['bare'])}")
    p99 = [run.p99_ms / beside.p99_ms for run, beside in zip(ours, trial.runs["bare"], strict=True)]
    if shape.most_p99:
        figure = f"{spread(p99)}; {trial.yardsticks(lambda run: run.p99_ms, '{:.1f}')} ms"
        yield Line(f"{shape}: p99 in those of bare", *_at_most(shape.most_p99, median(p99), figure))
    rates = [spread([one(run) for run in ours], "{:.0f}") for one in (per_second, lambda run: run.delivered_per_second)]
    refused = sum(run.refused for run in ours)
    figure = f"{rates[0]} accepted, {rates[1]} delivered; {trial.yardsticks(per_second, '{:.0f}')}"
    figure += f"; {refused:,} requests refused with 503" if refused else ""
    yield Line(f"{shape}: conversions a second", "printed", figure)
    most = _at_most(shape.most_memory, median(memory), f"{spread(memory, '{:.0f}')} MiB", " MiB")
    yield Line(f"{shape}: most memory meanwhile", *most)


def _at_most(most: float | None, seen: float, figure: str, unit: str = "") -> tuple[str, str, bool | None]:
    return ("printed", figure, None) if most is None else (f"<= {most:g}{unit}", figure, seen <= most)


def microseconds(run: Load) -> float:
    return 1e6 / run.per_cpu_second


def per_second(run: Load) -> float:
    return run.per_second


def by_thread(runs: Sequence[Delivered]) -> str:
    """CPU microseconds of a conversion in each thread, the most first."""
    names = {name for run in runs for name in run.cpu_by_thread}
    of = {name: mean(run.cpu_by_thread.get(name, 0.0) / run.conversions * 1e6 for run in runs) for name in names}
    shown = sorted(of.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {cost:.1f}" for name, cost in shown if abs(cost) >= 0.05)


def _answers(runs: Sequence[Load]) -> str:
    of = ([run.p50_ms for run in runs], [run.p99_ms for run in runs], [run.p999_ms for run in runs])
    return ", ".join(spread(one, "{:.1f}") for one in of)
