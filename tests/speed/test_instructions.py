"""What conversions and requests cost in instructions, as multiples of the least that any script or server would need.

No clock is involved.

A change that needs more raises the bound on purpose, and shows `make bench` before and after.
"""

import asyncio
import os
import re
import shutil
import signal
import sys
from pathlib import Path

import pytest

VALGRIND = "valgrind counts instructions: install it (`apt-get install valgrind`, `dnf install valgrind`)"
COUNT = ("--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")

MOST = 3.25
"""It takes 2.9, within a hundredth from run to run."""

MOST_OF_A_REQUEST = 4.3
"""It takes 3.95, and on a busy machine up to a twentieth more: groups are smaller then."""

EACH = """
import os, runpy, sys
import bench.counted
for number in range(1, len(sys.argv), 2):
    if os.fork() == 0:
        sys.argv[1:] = sys.argv[number : number + 2]
        runpy.run_module("bench.counted", run_name="__main__")
        sys.exit()
    _, status = os.wait()
    assert status == 0
"""
"""A copy of one process does each work, so that they start from the same state and valgrind starts only once."""


async def instructions(*works: tuple[str, int]) -> list[int]:
    """The instructions of each work with that many rows; what starting takes is in each of them."""
    given = [str(part) for work in works for part in work]
    root = Path(__file__).parent.parent.parent
    started = await asyncio.create_subprocess_exec(
        *("valgrind", *COUNT, sys.executable, "-c", EACH, *given),
        cwd=root,
        env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        told = (await started.communicate())[0].decode()
    finally:
        if started.returncode is None:
            os.killpg(started.pid, signal.SIGKILL)  # with the copy that is at work
    *found, _whole = re.findall(r"I\s+refs:\s+([\d,]+)", told)
    assert (started.returncode, len(found)) == (0, len(works)), told[-2_000:]
    return [int(count.replace(",", "")) for count in found]


async def each(ours: str, least: str, few: int = 1_000, many: int = 3_000) -> tuple[float, float]:
    """What each further row or request costs us, and what it costs at least."""
    of_few, of_many, least_few, least_many = await instructions((ours, few), (ours, many), (least, few), (least, many))
    return (of_many - of_few) / (many - few), (least_many - least_few) / (many - few)


@pytest.mark.timeout(600)  # under valgrind, beside other tests
@pytest.mark.skipif(shutil.which("valgrind") is None, reason=VALGRIND)
async def test_conversion_costs_few_times_what_a_plain_script_does() -> None:
    ours, plain = await each("ours", "plain")
    assert plain > 50_000, "the yardstick has shrunk"
    assert ours / plain <= MOST, f"{ours:,.0f} instructions a row, {plain:,.0f} those of a plain script"


@pytest.mark.timeout(1_200)  # as above, and the whole sidecar is started twice
@pytest.mark.skipif(shutil.which("valgrind") is None, reason=VALGRIND)
async def test_single_post_costs_few_times_what_a_bare_handler_does() -> None:
    ours, bare = await each("request", "bare", 320, 1_280)
    assert bare > 100_000, "the yardstick has shrunk"
    assert ours / bare <= MOST_OF_A_REQUEST, f"{ours:,.0f} instructions a request, {bare:,.0f} those of a bare handler"
