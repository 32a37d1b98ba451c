"""`python -m bench`: measures everything and prints the table of docs/performance.md."""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from bench import at_limit, backlog, delivered, delivery, intake, neighbours, two_stores, unpinned
from bench.processes import PYTHON, SUBJECT_CORE, here
from bench.report import Line, as_json, spread, table
from bench.started import Started, ended

Trial = Callable[[Path, "argparse.Namespace"], Iterator[Line]]


def _intake(folder: Path, given: argparse.Namespace) -> Iterator[Line]:
    return intake.measure(folder, given.repeats, 2.0 if given.quick else 5.0)


def _ceiling(folder: Path, given: argparse.Namespace) -> Iterator[Line]:
    return delivery.ceiling(folder, *((400_000, 15.0) if given.quick else (3_500_000, 180.0)))


def _ten_accounts(folder: Path, given: argparse.Namespace) -> Iterator[Line]:
    return delivery.ten_accounts(folder, 30.0 if given.quick else 120.0)


def _headline(folder: Path, given: argparse.Namespace) -> Iterator[Line]:
    return delivered.headline(folder, given.repeats, 2.0 if given.quick else 5.0)


def _unpinned(shapes: Sequence[unpinned.Shape]) -> Trial:
    return lambda folder, given: unpinned.measure(folder, shapes, given.repeats, 1.0 if given.quick else 4.0)


def _at_limit(folder: Path, given: argparse.Namespace) -> Iterator[Line]:
    return at_limit.measure(folder, given.repeats, 2.0 if given.quick else 10.0)


def _steps(folder: Path, given: argparse.Namespace) -> Iterator[Line]:
    took: dict[str, list[float]] = {}
    for _ in range(given.repeats):
        command = (PYTHON, "-m", "bench.steps")
        started = Started.start("steps", folder, SUBJECT_CORE, *command, env=here())
        with ended(started):
            for step, microseconds in started.told().items():
                took.setdefault(step, []).append(microseconds)
    for step, all_ in took.items():
        yield Line(f"step: {step}, CPU microseconds a conversion", "printed", spread(all_, "{:.1f}"))
    whole = [sum(one) for one in zip(*took.values(), strict=True)]
    yield Line("all steps, without HTTP, TLS and threads", "printed", spread(whole, "{:.0f}"))


def _sdk(folder: Path, given: argparse.Namespace) -> Iterator[Line]:
    return delivery.sdk(folder, given.repeats, 2_000 if given.quick else 20_000)


def _beside(folder: Path, given: argparse.Namespace) -> Iterator[Line]:
    return backlog.beside(folder, 200_000 if given.quick else 5_000_000, given.repeats, 2.0 if given.quick else 10.0)


def _claims(folder: Path, given: argparse.Namespace) -> Iterator[Line]:
    rows, held = (200_000, 50_000) if given.quick else (5_000_000, 1_000_000)
    return backlog.claims(folder, rows, held, given.repeats)


def _pruning(folder: Path, given: argparse.Namespace) -> Iterator[Line]:
    return backlog.pruning(folder, 50_000 if given.quick else 2_000_000, 2.0 if given.quick else 10.0)


def _postgres_intake(folder: Path, given: argparse.Namespace) -> Iterator[Line]:
    return two_stores.intake(folder, given.repeats, 1.0 if given.quick else 4.0)


def _postgres_ceiling(folder: Path, given: argparse.Namespace) -> Iterator[Line]:
    return two_stores.ceiling(folder, *((300_000, 6.0) if given.quick else (2_000_000, 60.0)))


def _postgres_replicas(folder: Path, given: argparse.Namespace) -> Iterator[Line]:
    return two_stores.replicas(folder, 10.0 if given.quick else 60.0)


def _postgres_claims(folder: Path, given: argparse.Namespace) -> Iterator[Line]:
    return two_stores.claims(folder, 50_000 if given.quick else 5_000_000, given.repeats)


TRIALS: Mapping[str, Trial] = {
    "headline": _headline,
    "unpinned_singles": _unpinned(unpinned.SINGLES),
    "unpinned_arrays": _unpinned(unpinned.ARRAYS),
    "at_limit": _at_limit,
    "steps": _steps,
    "sdk": _sdk,
    "intake": _intake,
    "ceiling": _ceiling,
    "ten_accounts": _ten_accounts,
    "claims": _claims,
    "beside": _beside,
    "pruning": _pruning,
    "postgres_intake": _postgres_intake,
    "postgres_ceiling": _postgres_ceiling,
    "postgres_replicas": _postgres_replicas,
    "postgres_claims": _postgres_claims,
}


def _measured(name: str, folder: Path, given: argparse.Namespace) -> Iterator[Line]:
    before = neighbours.Reading.now()
    yield from TRIALS[name](folder, given)
    yield neighbours.line(name, before, neighbours.Reading.now())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=TRIALS, default=[], help="these trials alone")
    parser.add_argument("--quick", action="store_true", help="small: to see that it works, not what it costs")
    parser.add_argument("--repeats", type=int, help="rounds; default 5, and 1 of the small ones")
    parser.add_argument("--json", action="store_true", help="JSON in place of the table")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # its processes are ended and its files removed
    given.repeats = given.repeats or (1 if given.quick else 5)
    lines: list[Line] = []
    for name in TRIALS:
        if given.only and name not in given.only:
            continue
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            os.environ["SQLITE_TMPDIR"] = folder  # where it sorts what an index is made of
            for line in _measured(name, Path(folder), given):
                print(f"{line.verdict:>5}  {line.what}: {line.figure}", file=sys.stderr, flush=True)
                lines.append(line)
    print(as_json(lines) if given.json else table(lines))


if __name__ == "__main__":
    main()
