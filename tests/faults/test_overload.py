"""Ten times of what the machine can take: who is let in is answered within a second, the rest is told to come again."""

from pathlib import Path
from statistics import quantiles

import pytest
from process_kit.crowd import Crowd, crowd
from process_kit.preloaded import compiled, needs_gcc
from process_kit.running import Starter
from process_kit.service import Services, config
from process_kit.vitals import memory
from promises import Show

MEBIBYTE = 2**20
FSYNC_MICROSECONDS = "50000"
MEMORY = 64 * MEBIBYTE


async def _overload(starter: Starter, services: Services, connections: int, seconds: float) -> tuple[Crowd, int, int]:
    """Return the answers to a crowd, how many bytes memory grew, and how many acknowledged orders have no row."""
    slow: Path = await compiled("fsync_trouble", starter.folder)
    environment = {"LD_PRELOAD": str(slow), "FSYNC_MICROSECONDS": FSYNC_MICROSECONDS}
    sidecar = await services.start(config(None), env=environment)
    assert (await sidecar.call("POST", "/v1/accounts/default/pause", {})).status == 200
    await crowd(sidecar.url, 10, 1.0)
    before = memory(sidecar.running.pid)
    seen = await crowd(sidecar.url, connections, seconds)
    grown = memory(sidecar.running.pid) - before
    kept = {row["order_id"] for row in await sidecar.rows()}
    return seen, grown, len(seen.stored - kept)


@needs_gcc
async def test_overload_is_refused_and_what_is_accepted_is_kept(starter: Starter, services: Services) -> None:
    """The short form."""
    seen, _, missing = await _overload(starter, services, connections=500, seconds=2)
    assert set(seen.statuses) == {202, 503}
    assert (missing, seen.closed) == (0, 0)


@pytest.mark.faults
@pytest.mark.promise("C12")
async def test_2000_busy_connections_and_a_slow_disk(starter: Starter, services: Services, shown: Show) -> None:
    seen, grown, missing = await _overload(starter, services, connections=2_000, seconds=20)
    p99 = quantiles(seen.accepted, n=100)[98]
    assert set(seen.statuses) == {202, 503}
    assert seen.closed == 0
    assert grown <= MEMORY
    assert p99 <= 1.0
    shown(
        f"{seen.statuses.total():,} requests of 2,000 connections, fsync 50 ms slower",
        lost=missing,
        figure=f"{seen.statuses[202]:,} accepted, p99 {p99:.2f} s; {seen.statuses[503]:,} answered 503; "
        f"memory + {grown / MEBIBYTE:.0f} MiB",
    )
