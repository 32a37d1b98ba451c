"""What millions of waiting rows cost those that come and go beside them."""

import contextlib
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import processes
from bench.intake import load
from bench.processes import PYTHON, SUBJECT_CORE, Service, call
from bench.report import Line, spread
from bench.started import Started, ended
from bench.store import filled

PAGES = ("/metrics", "/healthz")
INTAKE = ("--connections", "8", "--rate", "200")
"""Single conversions, 200 a second."""


@dataclass(frozen=True)
class Seen:
    """One sidecar, with its outbox."""

    start_seconds: float
    memory: float
    p99_ms: float
    pages_ms: dict[str, float]


def _look(folder: Path, seconds: float) -> Seen:
    with ExitStack() as stack:
        began = time.monotonic()
        sidecar = processes.start_sidecar(folder, processes.settings())
        started = time.monotonic() - began
        stack.enter_context(ended(sidecar.started))
        load(folder / "load", sidecar, "--seconds", "2", *INTAKE)
        p99 = load(folder / "load", sidecar, "--seconds", str(seconds), *INTAKE).p99_ms
        pages = {page: _page_ms(sidecar, page) for page in PAGES}
        return Seen(started, sidecar.started.memory(), p99, pages)


def _page_ms(sidecar: Service, page: str) -> float:
    took = []
    for _ in range(50):
        began = time.perf_counter()
        status, _ = call(sidecar.url, "GET", page)
        took.append(time.perf_counter() - began)
        assert status == 200
    return median(took) * 1000


def beside(folder: Path, rows: int, repeats: int, seconds: float) -> Iterator[Line]:
    """Intake, memory, start and pages beside a number of waiting rows, and beside none."""
    filled(folder / "full" / "outbox.db", rows)
    empty: list[Seen] = []
    full: list[Seen] = []
    for _ in range(repeats):
        empty.append(_look(folder / "empty", seconds))
        full.append(_look(folder / "full", seconds))
    few, many = median(one.p99_ms for one in empty), median(one.p99_ms for one in full)
    what = f"{rows:,} rows pending against none"
    spreads = [spread([one.p99_ms for one in seen], "{:.1f}") for seen in (empty, full)]
    figure = f"{spreads[0]} and {spreads[1]} ms"
    yield Line(f"{what}: intake p99", "<= 2 x or + 20 ms", figure, many <= 2 * few or many <= few + 20)
    alone = median(one.memory for one in empty)
    grown = median(one.memory for one in full) - alone
    yield Line(f"{what}: memory above it", "<= 30 MiB", f"{grown:+.0f} MiB", grown <= 30)
    yield Line("memory with an empty outbox", "<= 120 MiB", f"{alone:.0f} MiB", alone <= 120)
    longer = median(one.start_seconds for one in full) - median(one.start_seconds for one in empty)
    yield Line(f"{what}: start to ready", "<= 1 s longer", f"{longer:+.2f} s", longer <= 1)
    for page in PAGES:
        took = [one.pages_ms[page] for one in full]
        yield Line(f"{page} beside {rows:,} rows", "<= 5 ms", f"{spread(took, '{:.1f}')} ms", median(took) <= 5)


def claims(folder: Path, rows: int, held: int, repeats: int) -> Iterator[Line]:
    """CPU time of claiming and settling a thousand rows beside many, and beside many that a missing goal holds."""
    cases = {"few": 10_000, "many": rows, "held": 10_000}
    for name, count in cases.items():
        filled(folder / name / "outbox.db", count + 1_000 * (repeats * 20 + 5))
    filled(folder / "held" / "outbox.db", held, event="lead")
    costs: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(repeats):
        for name in cases:
            started = Started.start(
                *("claims", folder / name, SUBJECT_CORE, PYTHON, "-m", "bench.claims", "outbox.db", "20"),
                env=processes.here(),
            )
            with ended(started):
                costs[name].append(started.told()["cpu_ms"])
    for name, what, most in (
        ("many", f"claim and settle of 1,000 rows, {rows:,} pending against 10,000 (CPU)", 1.5),
        ("held", f"claim and settle of 1,000 rows, {held:,} others held by a missing goal (CPU)", 1.2),
    ):
        ratios = [one / few for one, few in zip(costs[name], costs["few"], strict=True)]
        figure = f"{spread(ratios)} x; {spread(costs['few'], '{:.1f}')} and {spread(costs[name], '{:.1f}')} ms"
        yield Line(what, f"<= {most} x", figure, median(ratios) <= most)


def pruning(folder: Path, rows: int, seconds: float) -> Iterator[Line]:
    """Rows that were settled two hundred days ago are pruned while conversions arrive."""
    arguments = ("--connections", "8", "--array", "10", "--rate", "200", "--seconds")
    filled(folder / "old" / "outbox.db", rows, state="delivered", days_ago=200)
    with ExitStack() as stack:
        alone = processes.start_sidecar(folder / "empty", processes.settings())
        stack.enter_context(ended(alone.started))
        load(folder / "load", alone, *arguments, "2")
        before = load(folder / "load", alone, *arguments, str(seconds)).p99_ms
    with ExitStack() as stack:
        sidecar = processes.start_sidecar(folder / "old", processes.settings())
        stack.enter_context(ended(sidecar.started))
        p99, began = [], time.monotonic()
        with _largest(folder / "old" / "outbox.db-wal") as sizes:
            while _delivered(sidecar) > 0:
                p99.append(load(folder / "load", sidecar, *arguments, str(seconds)).p99_ms)
        took = time.monotonic() - began
    worst, log = max(p99, default=0.0), max(sizes)
    figure = f"p99 {before:.1f} ms alone, {worst:.1f} ms at worst beside it; WAL {log / 2**20:.0f} MiB; {took:.0f} s"
    passed = bool(p99) and worst <= before + 50 and log <= 64 * 2**20
    what = f"pruning {rows:,} settled rows, 2,000 conversions a second"
    yield Line(what, "p99 + <= 50 ms, WAL <= 64 MiB", figure, passed)


@contextlib.contextmanager
def _largest(file: Path) -> Iterator[list[int]]:
    """The sizes that a file has meanwhile, ten times a second."""
    sizes, over = [file.stat().st_size], threading.Event()

    def look() -> None:
        while not over.wait(0.1):
            sizes.append(file.stat().st_size)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield sizes
    finally:
        over.set()
        looking.join()


def _delivered(sidecar: Service) -> int:
    _, page = call(sidecar.url, "GET", "/metrics")
    for line in page.decode().splitlines():
        if line.startswith('sidecar_outbox_rows{state="delivered"}'):
            return int(float(line.rpartition(" ")[2]))
    raise AssertionError("no metric of delivered rows")
