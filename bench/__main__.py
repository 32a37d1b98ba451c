"""`python -m bench`: measures everything and prints the table of docs/performance.md."""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from bench import intake
from bench.report import Line, as_json, table

Trial = Callable[[Path, "argparse.Namespace"], Iterator[Line]]


def _intake(folder: Path, given: argparse.Namespace) -> Iterator[Line]:
    return intake.measure(folder, given.repeats, 2.0 if given.quick else 5.0)


TRIALS: Mapping[str, Trial] = {"intake": _intake}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=TRIALS, default=[], help="these trials alone")
    parser.add_argument("--quick", action="store_true", help="small: to see that it works, not what it costs")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="JSON in place of the table")
    given = parser.parse_args()
    lines: list[Line] = []
    for name, trial in TRIALS.items():
        if given.only and name not in given.only:
            continue
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            os.environ["SQLITE_TMPDIR"] = folder  # where it sorts what an index is made of
            for line in trial(Path(folder), given):
                print(f"{line.verdict:>5}  {line.what}: {line.figure}", file=sys.stderr, flush=True)
                lines.append(line)
    print(as_json(lines) if given.json else table(lines))


if __name__ == "__main__":
    main()
