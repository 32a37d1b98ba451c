"""Arrays as fast as they are answered, beside a backlog that is delivered at Microsoft's limit; nothing is pinned."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from bench import processes
from bench.delivery import drain
from bench.intake import ARRAY, Load, load
from bench.microsoft import ROWS_PER_SECOND, Microsoft
from bench.report import Line, spread
from bench.started import ANY_CORE, ended
from bench.store import filled
from bench.unpinned import LATENCY_SECONDS

CONNECTIONS = 32
MOST_P99_MS = 150.0
LEAST_SHARE = 0.95

START_SECONDS = 30
"""Of a backlog that is being sent already: until the first round, and between two."""


def measure(folder: Path, repeats: int, seconds: float) -> Iterator[Line]:
    """p99 of the arrays, and how much of the limit is delivered meanwhile."""
    arguments = ("--array", str(ARRAY), "--connections", str(CONNECTIONS), "--seconds", str(seconds))
    filled(folder / "sidecar" / "outbox.db", int(ROWS_PER_SECOND * (seconds + START_SECONDS) * repeats))
    loads: list[Load] = []
    with ExitStack() as stack:
        microsoft = Microsoft.start(folder, stack, core=ANY_CORE)
        microsoft.answers_after(LATENCY_SECONDS)
        sidecar = processes.start_sidecar(folder / "sidecar", microsoft.settings(), core=ANY_CORE)
        stack.enter_context(ended(sidecar.started))

        def post() -> int:
            loads.append(load(folder / "load", sidecar, *arguments, core=ANY_CORE))
            return loads[-1].conversions

        shares = [drain(sidecar, microsoft, post).share for _ in range(repeats)]
    yield line(loads, shares)


def line(loads: list[Load], shares: list[float]) -> Line:
    p99 = [run.p99_ms for run in loads]
    delivered = spread([share * 100 for share in shares], "{:.0f}")
    rates = spread([run.per_second for run in loads], "{:.0f}")
    return Line(
        f"unpinned, arrays of {ARRAY}, {CONNECTIONS} connections, beside a backlog: p99, share of the limit",
        f"<= {MOST_P99_MS:.0f} ms, >= {LEAST_SHARE:.0%}",
        f"{spread(p99, '{:.0f}')} ms, {delivered} % of the limit; {rates} a second accepted",
        median(p99) <= MOST_P99_MS and median(shares) >= LEAST_SHARE,
    )
