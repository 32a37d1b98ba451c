"""What the rest of the machine does meanwhile: a trial beside other work shows other figures."""

import os
import resource
import time
from pathlib import Path
from typing import NamedTuple, Self

from bench.report import Line
from bench.started import TICKS_PER_SECOND

NOT_IDLE = (0, 1, 2, 5, 6, 7)
"""Columns of /proc/stat: user, nice, system, interrupts, and what the host of a virtual machine took."""


class Reading(NamedTuple):
    """Seconds since some beginning: of the clock, of CPU time on all cores, and of our own part of it."""

    clock: float
    busy: float
    own: float
    """Of the bench, and of the processes that it started and that have ended."""

    @classmethod
    def now(cls) -> Self:
        ticks = Path("/proc/stat").read_text().partition("\n")[0].split()[1:]
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return cls(
            time.monotonic(),
            sum(int(ticks[column]) for column in NOT_IDLE) / TICKS_PER_SECOND,
            sum(one.ru_utime + one.ru_stime for one in used),
        )


def cores_of_others(before: Reading, after: Reading) -> float:
    """How many cores other processes used between the two."""
    return max(0.0, after.busy - before.busy - (after.own - before.own)) / (after.clock - before.clock)


def line(trial: str, before: Reading, after: Reading) -> Line:
    what = f"{trial}: cores that other work used meanwhile, of {os.cpu_count()}"
    return Line(what, "printed", f"{cores_of_others(before, after):.1f}")
