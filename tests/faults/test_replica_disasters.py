"""Three replicas over one database, with everything that can happen to them: the checker finds nothing wrong."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import postgres_kit
import pytest
from history_check.events import Requested
from postgres_server_kit import running_pair, running_server
from promises import Show
from replica_trial import trial
from replica_trial.disasters import Disasters
from replica_trial.figures import Figures

FREEZE_SECONDS = 20.0
"""Longer than a lease."""


@dataclass(frozen=True)
class Weather:
    """How many disasters there are, and how much goes on between them."""

    to_replicas: Mapping[str, int]
    to_servers: Mapping[str, int]
    storms: int = 1
    calm_seconds: float = 0.0
    life_seconds: float = 1.0


@dataclass(frozen=True)
class Load:
    """How much callers post, and how fast accounts may send it."""

    accounts: int
    pause: float
    requests_per_minute: int = 60
    batch_size: int = 1_000
    enough: int = 1_000_000
    """Callers of an account rest while as many of its rows wait."""


AT_THE_LIMIT = Load(accounts=20, pause=0.4, requests_per_minute=30, batch_size=2, enough=25)
"""Each account always has more to send than it may."""

SHORT = Weather(
    {"kill -9": 10, "SIGSTOP": 1, "cut": 2, "silence": 2},
    {"restart": 2, "promotion": 1},
    calm_seconds=45,
    life_seconds=3,
)
LONG = Weather(
    {"kill -9": 100, "SIGSTOP": 6, "cut": 10, "silence": 6},
    {"restart": 10, "promotion": 5},
    storms=6,
    calm_seconds=40,
    life_seconds=3,
)


@pytest.mark.skipif(postgres_kit.binaries() is None, reason="no PostgreSQL server is installed")
async def test_three_replicas_keep_the_books_over_kills_and_a_crash_of_the_database(tmp_path: Path) -> None:
    """The short form."""
    weather = Weather({"kill -9": 3, "cut": 1, "SIGTERM": 1}, {"restart": 1})
    await _survive(tmp_path, 17, weather, Load(accounts=5, pause=0.3))


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
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [23, 29, 31])
async def test_three_replicas_keep_books_and_limit_over_a_storm_and_a_rolling_restart(
    tmp_path: Path, shown: Show, seed: int
) -> None:
    await _survive_at_the_limit(tmp_path, shown, seed, SHORT)


@pytest.mark.faults
@pytest.mark.promise("A9")
@pytest.mark.timeout(3_600)
async def test_three_replicas_keep_the_books_over_a_hundred_kills_and_all_that_networks_and_servers_do(
    tmp_path: Path, shown: Show
) -> None:
    await _survive_at_the_limit(tmp_path, shown, 1997, LONG)


async def _survive_at_the_limit(folder: Path, shown: Show, seed: int, weather: Weather) -> None:
    """AssertionError also where the trial proves nothing: too far from the limit, or too little sent."""
    tried, figures = await _survive(folder, seed, weather, AT_THE_LIMIT)
    print(tried, figures, sep="\n")
    assert figures.fullest_over_a_change >= 0.9 * AT_THE_LIMIT.requests_per_minute, str(figures)
    assert figures.in_the_calm >= 200 * weather.storms, str(figures)
    shown(tried, lost=0, figure=str(figures))


async def _survive(folder: Path, seed: int, weather: Weather, load: Load) -> tuple[str, Figures]:
    """What was tried, and figures; AssertionError with what the checker found."""
    print(f"seed {seed}")
    limits = {"requests_per_minute": load.requests_per_minute, "batch_size": load.batch_size}
    with running_pair(wal_sender_timeout="5s") as pair:
        servers = [pair.primary, pair.standby]
        async with trial.opened(
            folder, servers, lambda: pair.primary, seed=seed, accounts=load.accounts, **limits
        ) as run:
            await run.begin()
            disasters = Disasters(
                run.replicas,
                pair,
                random.Random(seed),
                FREEZE_SECONDS,
                weather.life_seconds,
                calm_seconds=weather.calm_seconds,
            )
            run.disasters = disasters.log
            await run.there.fault("slow", times=None, probability=0.3, seed=seed, seconds=2)
            async with run.load(pause=load.pause, enough=load.enough):
                await disasters.run(weather.to_replicas, weather.to_servers, weather.storms)
            await run.settled(300)
            await run.check()
            happened = ", ".join(f"{times} x {what}" for what, times in sorted(disasters.happened.items()))
            tried = f"{happened}, {disasters.early} kills before it listened"
            return tried, Figures(await run.log(), load.requests_per_minute)
