"""What conversions and requests cost in instructions, as multiples of the least that any script or server would need.

No clock is involved.

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

MOST_OF_A_REQUEST = 4.6
"""It takes 4.3."""


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


async def each(what: str, few: int = 1_000, many: int = 3_000) -> float:
    """What each further row or request costs."""
    return (await instructions(what, many) - await instructions(what, few)) / (many - few)


@pytest.mark.timeout(600)  # four processes under valgrind, beside other tests
@pytest.mark.skipif(shutil.which("valgrind") is None, reason=VALGRIND)
async def test_conversion_costs_few_times_what_a_plain_script_does() -> None:
    ours, plain = await asyncio.gather(each("ours"), each("plain"))
    assert plain > 50_000, "the yardstick has shrunk"
    assert ours / plain <= MOST, f"{ours:,.0f} instructions a row, {plain:,.0f} those of a plain script"


@pytest.mark.timeout(1_200)  # as above, and two of them start the whole sidecar
@pytest.mark.skipif(shutil.which("valgrind") is None, reason=VALGRIND)
async def test_single_post_costs_few_times_what_a_bare_handler_does() -> None:
    ours, bare = await asyncio.gather(each("request", 320, 1_280), each("bare", 320, 1_280))
    assert bare > 100_000, "the yardstick has shrunk"
    assert ours / bare <= MOST_OF_A_REQUEST, f"{ours:,.0f} instructions a request, {bare:,.0f} those of a bare handler"
