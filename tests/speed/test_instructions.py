"""What a conversion costs in instructions, as a multiple of the least that any script would need, without a clock.

A change that needs more raises the bound on purpose, and shows `make bench` before and after.
"""

import asyncio
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

VALGRIND = "valgrind counts instructions: install it (`apt-get install valgrind`, `dnf install valgrind`)"
COUNT = ("--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")

MOST = 5.0
"""It takes 3.3, within a hundredth from run to run."""


async def instructions(what: str, rows: int) -> int:
    """The instructions of a whole process that does this with `rows` rows, its start and its end included."""
    command = ("valgrind", *COUNT, sys.executable, "-m", "bench.counted", what, str(rows))
    root = Path(__file__).parent.parent.parent
    started = await asyncio.create_subprocess_exec(
        *command,
        cwd=root,
        env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        told = (await started.communicate())[0].decode()
    finally:
        if started.returncode is None:
            started.kill()
    found = re.search(r"I\s+refs:\s+([\d,]+)", told)
    assert started.returncode == 0 and found is not None, told[-2_000:]
    return int(found[1].replace(",", ""))


async def a_row(what: str) -> float:
    """What each further row costs."""
    few, many = 1_000, 3_000
    return (await instructions(what, many) - await instructions(what, few)) / (many - few)


@pytest.mark.timeout(600)  # four processes under valgrind, beside other tests
@pytest.mark.skipif(shutil.which("valgrind") is None, reason=VALGRIND)
async def test_conversion_costs_few_times_what_a_plain_script_does() -> None:
    ours, plain = await asyncio.gather(a_row("ours"), a_row("plain"))
    assert plain > 50_000, "the yardstick has shrunk"
    assert ours / plain <= MOST, f"{ours:,.0f} instructions a row, {plain:,.0f} those of a plain script"
