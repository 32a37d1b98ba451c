"""Three replicas over one database, with everything that can happen to them: the checker finds nothing wrong."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import postgres_kit
import pytest
from history_check.events import Answered, Event, Requested, Row, Taken
from history_check.limit import fullest
from postgres_server_kit import running_pair, running_server
from promises import Show
from replica_trial import trial
from replica_trial.disasters import Disasters

FREEZE_SECONDS = 20.0
"""Longer than a lease."""


@pytest.mark.skipif(postgres_kit.binaries() is None, reason="no PostgreSQL server is installed")
async def test_three_replicas_keep_the_books_over_kills_and_a_crash_of_the_database(tmp_path: Path) -> None:
    """The short form."""
    await _survive(tmp_path, 17, {"kill -9": 3, "cut": 1, "SIGTERM": 1}, {"restart": 1}, accounts=5, pause=0.3)


@pytest.mark.faults
@pytest.mark.promise("A9")
async def test_three_replicas_without_a_disaster_repeat_nothing_and_balance(tmp_path: Path, shown: Show) -> None:
    with running_server() as server:
        async with trial.opened(tmp_path, [server], lambda: server, seed=1) as run:
            await run.begin()
            async with run.load(pause=0.2):
                await asyncio.sleep(8)  # how long callers are at work
            await run.settled(120)
            await run.check()
            requests = sum(isinstance(event, Requested) for event in await run.log())
            shown(
                "1 quiet trial", lost=0, figure=f"{len(run.answers)} answers, {requests} requests, none of them twice"
            )


@pytest.mark.faults
@pytest.mark.promise("A9")
@pytest.mark.timeout(3_600)
async def test_three_replicas_keep_the_books_over_a_hundred_kills_and_all_that_networks_and_servers_do(
    tmp_path: Path, shown: Show
) -> None:
    to_replicas = {"kill -9": 100, "SIGSTOP": 6, "cut": 10, "silence": 6, "SIGTERM": 9}
    to_servers = {"restart": 10, "promotion": 5}
    tried, figure = await _survive(tmp_path, 1997, to_replicas, to_servers, accounts=20, pause=0.7, life_seconds=12)
    shown(tried, lost=0, figure=figure)


async def _survive(
    folder: Path,
    seed: int,
    to_replicas: Mapping[str, int],
    to_servers: Mapping[str, int],
    *,
    accounts: int,
    pause: float,
    life_seconds: float = 1.0,
    settle_seconds: float = 300,
) -> tuple[str, str]:
    """What was tried, and a figure; AssertionError with what the checker found."""
    print(f"seed {seed}")
    with running_pair(wal_sender_timeout="5s") as pair:
        servers = [pair.primary, pair.standby]
        async with trial.opened(folder, servers, lambda: pair.primary, seed=seed, accounts=accounts) as run:
            await run.begin()
            disasters = Disasters(run.replicas, pair, random.Random(seed), FREEZE_SECONDS, life_seconds)
            run.disasters = disasters.log
            await run.there.fault("slow", times=None, probability=0.3, seed=seed, seconds=2)
            async with run.load(pause=pause):
                await disasters.run(to_replicas, to_servers)
            await run.settled(settle_seconds)
            await run.check()
            happened = ", ".join(f"{times} x {what}" for what, times in sorted(disasters.happened.items()))
            return f"{happened}, {disasters.early} kills before it listened", _figure(await run.log())


def _figure(log: Sequence[Event]) -> str:
    posts = [event for event in log if isinstance(event, Answered)]
    rows = sum(isinstance(event, Row) for event in log)
    again = sum(event.seen > 1 for event in log if isinstance(event, Taken))
    without = sum(not post.is_stored for post in posts)
    minutes: defaultdict[str, list[int]] = defaultdict(list)
    for event in log:
        if isinstance(event, Requested):
            minutes[event.account].append(event.at)
    most = max(fullest(sorted(at)) for at in minutes.values())
    return (
        f"{len(posts):,} posts, {without:,} of them without an answer or 503, {rows:,} rows, {again:,} conversions "
        f"sent again, fullest minute {most} of 60"
    )
