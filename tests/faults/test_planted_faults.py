"""The checker finds each fault that is planted in the real product, over real processes and a real database."""

import asyncio
from pathlib import Path

import pytest
from history_check.violation import Kind
from postgres_server_kit import PostgresServer, running_server, wait_for
from process_kit.turned_clock import TurnedClock, needs_libfaketime
from replica_trial import trial
from replica_trial.replica import planted
from replica_trial.trial import DATABASE, Trial

OVERTAKEN = "SELECT 1 FROM batches WHERE token > 1 AND settled_at IS NOT NULL"
"""Whether another replica has taken a batch over, and settled it."""

ON_ITS_WAY = "SELECT 1 FROM batches WHERE token > 0 AND settled_at IS NULL"

CLAIMED_AGAIN = "SELECT 1 FROM batches WHERE token > 1"

HOUR = 3_600

UNIQUE = r"SELECT indexname FROM pg_indexes WHERE tablename = 'entries' AND indexdef ~ 'UNIQUE.*\(.*key_(hash|digest)'"


def _plant(run: Trial, fault: str) -> None:
    for replica in run.replicas:
        replica.before = planted(fault)


async def _found(run: Trial) -> set[Kind]:
    found = await run.violations()
    print(*found[:5], sep="\n")
    return {one.kind for one in found}


def _drop_unique_indexes(server: PostgresServer) -> None:
    for (name,) in server.run(UNIQUE, database=DATABASE):
        server.run(f"DROP INDEX {name}", database=DATABASE)


@pytest.mark.faults
async def test_order_stored_twice_is_found_where_keys_are_not_checked(tmp_path: Path) -> None:
    with running_server() as server:
        async with trial.opened(tmp_path, [server], lambda: server, seed=2) as run:
            _plant(run, "key check off")
            await run.begin()
            await asyncio.to_thread(_drop_unique_indexes, server)
            async with run.load(pause=0.1):
                await asyncio.sleep(6)  # how long callers are at work
            await run.settled(120)
            assert Kind.DOUBLED in await _found(run)


@pytest.mark.faults
async def test_loss_is_found_where_a_commit_is_answered_before_it_is_on_disk(tmp_path: Path) -> None:
    with running_server(wal_writer_delay="10s", wal_writer_flush_after="64MB") as server:
        async with trial.opened(tmp_path, [server], lambda: server, seed=7) as run:
            _plant(run, "commit unsafe")
            await run.begin()
            async with run.load(pause=0.1):
                await asyncio.sleep(6)  # how long callers are at work before it
                await asyncio.to_thread(server.restart, "immediate")
            await run.settled(120)
            assert Kind.LOST in await _found(run)


@pytest.mark.faults
async def test_late_settlement_is_found_where_no_token_is_asked_for(tmp_path: Path) -> None:
    """A replica is stopped while its requests are on their way, until another one has settled its batches."""
    with running_server() as server:
        async with trial.opened(tmp_path, [server], lambda: server, seed=3) as run:
            _plant(run, "fence off")
            await run.begin()
            await run.there.fault("slow", times=None, seconds=2)
            async with run.load(pause=0.2):
                await asyncio.sleep(8)  # how long callers are at work before it
                with run.replicas[0].frozen():
                    await asyncio.to_thread(wait_for, lambda: server.run(OVERTAKEN, database=DATABASE))
            await run.there.call("DELETE", "faults")
            await run.settled(120)
            assert Kind.STALE in await _found(run)


@pytest.mark.faults
async def test_limit_exceeded_is_found_where_a_replica_ignores_leases(tmp_path: Path) -> None:
    with running_server() as server:
        async with trial.opened(tmp_path, [server], lambda: server, seed=4, batch_size=1) as run:
            run.replicas[0].before = planted("lease ignored")
            await run.begin()
            async with run.load(pause=0.2):
                await asyncio.sleep(60)  # how long an account has more to send than it may
            await run.settled(240)
            assert Kind.LIMIT in await _found(run)


@pytest.mark.faults
async def test_batches_sent_twice_are_found_where_a_replica_makes_leases_by_its_own_clock(tmp_path: Path) -> None:
    """It is an hour behind: to the others it died long ago, so that they take over what it has on its way."""
    with running_server() as server:
        async with trial.opened(tmp_path, [server], lambda: server, seed=5) as run:
            run.replicas[0].before = planted("own clock")
            await run.begin_alone()
            await run.there.fault("slow", times=None, seconds=30)
            async with run.load(pause=0.2):
                await asyncio.to_thread(wait_for, lambda: server.run(ON_ITS_WAY, database=DATABASE))
                await run.join()
                await asyncio.to_thread(wait_for, lambda: server.run(CLAIMED_AGAIN, database=DATABASE))
            await run.there.call("DELETE", "faults")
            await run.settled(240)
            assert await _found(run) & {Kind.DOUBLED, Kind.LIMIT}


@pytest.mark.faults
@needs_libfaketime
@pytest.mark.parametrize("away", [HOUR, -HOUR])
async def test_replica_whose_clock_is_wrong_by_an_hour_breaks_nothing(tmp_path: Path, away: int) -> None:
    clock = TurnedClock(tmp_path / "clock")
    clock.set(away)
    with running_server() as server:
        async with trial.opened(tmp_path, [server], lambda: server, seed=6) as run:
            run.replicas[2].env = clock.environment()
            await run.begin()
            await run.there.fault("slow", times=None, seconds=1)
            async with run.load(pause=0.2):
                await asyncio.sleep(20)  # how long callers are at work
            await run.there.call("DELETE", "faults")
            await run.settled(240)
            await run.check()
