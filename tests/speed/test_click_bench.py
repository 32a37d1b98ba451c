"""`make bench` in small: it runs to its end, and prints a line for each size."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

LINE = re.compile(r"\s*([\d,]+)\s+[\d.]+ ms  x\s+([\d.]+)\s+[\d.]+ ms  x\s+([\d.]+)")


def test_bench_prints_look_up_and_claim_for_each_size() -> None:
    command = [sys.executable, "-m", "bench.clicks", "12000", "--batches", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=True)
    _, *lines = done.stdout.splitlines()
    found = [match.groups() for line in lines if (match := LINE.fullmatch(line))]
    assert [size for size, *_ in found] == ["10,000", "12,000"]
    assert found[0][1:] == ("1.00", "1.00")
