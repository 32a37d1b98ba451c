"""A server that goes away and returns: refused at once meanwhile, found again by itself, nothing acknowledged lost."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from urllib.parse import urlsplit

import postgres_kit
import psycopg
import pytest
from conversion_kit import LANES, conversion
from outbox_kit import put
from postgres_server_kit import PostgresServer, running_pair, running_server
from postgres_wire_double import COMMIT, Wire, wire_to
from store_kit import running_store

from sidecar.ports.errors import StorageUnavailable
from sidecar.store.postgres import database as databases
from sidecar.store.store import Store

DEADLINE = 60

OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> %s"

WAITING_FOR_STANDBY = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with running_server() as started:
        yield started


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    """A wire to the run's server."""
    async with wire_to(urlsplit(postgres_kit.server_url()).port or 0) as opened:
        yield opened


@pytest.fixture
def database() -> Iterator[str]:
    url = postgres_kit.empty_database()
    yield url
    postgres_kit.drop(url)


def through(wire: Wire, url: str) -> str:
    """The same database, by way of the wire."""
    return url.replace(f":{wire.server_port}/", f":{wire.port}/")


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[Store]:
    async with running_store(url, max_pending=100_000) as store:
        await store.outbox.open_lanes(LANES)
        yield store


async def put_order(store: Store, order: str) -> None:
    [result] = await put(store.outbox, conversion(order))
    assert result.record.order_id == order


async def refused(work: Awaitable[object]) -> StorageUnavailable:
    with pytest.raises(StorageUnavailable) as failure:
        await work
    return failure.value


async def once_it_works(work: Callable[[], Awaitable[object]]) -> int:
    """Repeat what callers repeat on 503, until it is taken: how often that was refused."""
    times = 0
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                await work()
            except StorageUnavailable:
                times += 1
                await asyncio.sleep(0.02)
            else:
                return times


def orders(url: str) -> list[str]:
    """The order ids of all rows."""
    with psycopg.connect(url) as db:
        return [order for [order] in db.execute("SELECT order_id FROM entries ORDER BY order_id")]


# --- away and back ---------------------------------------------------------------------------------------------------


async def test_while_the_server_is_away_each_call_is_refused_and_works_again_by_itself(server: PostgresServer) -> None:
    async with opened(server.url()) as store:
        await put_order(store, "ORDER-1")
        await asyncio.to_thread(server.stop, "immediate")
        first = await refused(put_order(store, "ORDER-2"))
        assert first.code == "storage_unreachable"
        assert "check that the server runs" in str(first)
        for _ in range(200):
            assert (await refused(put_order(store, "ORDER-3"))).code == "storage_unreachable"
            assert (await refused(store.outbox.get(1))).code == "storage_unreachable"
        await asyncio.to_thread(server.start)
        await once_it_works(lambda: put_order(store, "ORDER-2"))
        await once_it_works(lambda: store.outbox.get(1))
        assert orders(server.url()) == ["ORDER-1", "ORDER-2"]


async def test_call_while_the_server_is_away_makes_no_connection_of_its_own(wire: Wire, database: str) -> None:
    """Hundreds of callers a second must not become hundreds of attempts to connect."""
    async with opened(through(wire, database)) as store:
        port, wire.server_port = wire.server_port, postgres_kit.free_port()
        wire.cut()
        await refused(put_order(store, "ORDER-1"))
        before = asyncio.get_running_loop().time()
        for _ in range(500):
            await refused(put_order(store, "ORDER-1"))
        spent = asyncio.get_running_loop().time() - before
        assert wire.made < 20 + spent / databases.FIRST_PAUSE * 2
        wire.server_port = port
        await once_it_works(lambda: put_order(store, "ORDER-1"))


async def test_connection_that_was_lost_while_idle_costs_no_refusal(database: str) -> None:
    async with opened(database) as store:
        await put_order(store, "ORDER-1")
        assert await store.outbox.get(1) is not None
        with psycopg.connect(database, autocommit=True) as db:
            assert len(db.execute(OTHERS, (db.info.backend_pid,)).fetchall()) >= 3
        await put_order(store, "ORDER-2")
        assert await store.outbox.get(1) is not None
        assert orders(database) == ["ORDER-1", "ORDER-2"]


async def test_server_that_falls_silent_is_given_up_and_taken_up_again(
    wire: Wire, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(through(wire, database)) as store:
        await put_order(store, "ORDER-1")
        monkeypatch.setattr(databases, "CALL_SECONDS", 0.2)
        wire.speaks.clear()
        assert (await refused(put_order(store, "ORDER-2"))).code == "storage_unreachable"
        wire.speaks.set()
        monkeypatch.undo()
        await once_it_works(lambda: put_order(store, "ORDER-2"))
        assert orders(database) == ["ORDER-1", "ORDER-2"]


async def test_server_that_became_a_reader_is_left_although_it_keeps_its_connections(server: PostgresServer) -> None:
    """Another connection may lead to the new primary; this one never will."""
    async with databases.connected(server.url(), "writer") as writer:
        await writer.call(_counting)
        server.run("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
        with contextlib.suppress(StorageUnavailable):  # until the server has read its settings
            while True:
                await writer.call(_counting)
        assert "; name the primary in storage.url" in str(await refused(writer.call(_counting)))
        before = server.run("SELECT pid FROM pg_stat_activity WHERE application_name = 'sidecar'")
        server.run("ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")
        await once_it_works(lambda: writer.call(_counting))
        assert before == []


def _counting(db: databases.PostgresConnection) -> None:
    with db.transaction():
        db.execute("CREATE TABLE IF NOT EXISTS counted (number int)")


# --- commits ---------------------------------------------------------------------------------------------------------


async def test_commit_whose_answer_is_lost_is_unknown_and_runs_once(wire: Wire, database: str) -> None:
    async with opened(through(wire, database)) as store:
        wire.loses_answer_to = COMMIT
        assert (await refused(put_order(store, "ORDER-1"))).code == "storage_unreachable"
        assert wire.lost >= 1
        assert orders(database) == ["ORDER-1"]
        await once_it_works(lambda: put_order(store, "ORDER-1"))
        await put_order(store, "ORDER-2")
        assert orders(database) == ["ORDER-1", "ORDER-2"]


async def test_commit_that_no_longer_waits_for_its_standby_is_not_acknowledged() -> None:
    """PostgreSQL answers such a commit as done, with a warning: the primary's death would lose it."""
    with running_pair() as pair:
        async with opened(pair.url()) as store:
            await put_order(store, "ORDER-1")
            await asyncio.to_thread(pair.standby.stop)
            waiting = asyncio.create_task(put_order(store, "ORDER-2"))
            while not await asyncio.to_thread(pair.primary.run, WAITING_FOR_STANDBY):
                assert not waiting.done()
            assert "canceling wait for synchronous replication" in str(await refused(waiting))
            await asyncio.to_thread(pair.standby.start)
            await once_it_works(lambda: put_order(store, "ORDER-2"))


@pytest.mark.parametrize(("setting", "kept"), [("off", "on"), ("local", "on"), ("remote_apply", "remote_apply")])
async def test_commits_wait_for_the_disk_in_spite_of_the_database(database: str, setting: str, kept: str) -> None:
    name = database.rpartition("/")[2]
    with psycopg.connect(database, autocommit=True) as db:
        db.execute(f"ALTER DATABASE {name} SET synchronous_commit = {setting}")  # type: ignore[call-overload]
    async with databases.connected(database, "writer") as writer:
        assert await writer.call(_in_force) == (kept, "20s", "15s", "10s")


def _in_force(db: databases.PostgresConnection) -> object:
    with db.transaction():
        return db.execute(
            "SELECT current_setting('synchronous_commit'), current_setting('statement_timeout'), "
            "current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout')"
        ).fetchone()


# --- failover --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [1, pytest.param(10, marks=pytest.mark.faults)])
async def test_primary_that_dies_under_load_is_replaced_and_nothing_acknowledged_is_lost(times: int) -> None:
    acknowledged: list[str] = []
    with running_pair() as pair:
        async with opened(pair.url()) as store, calling(store, acknowledged):
            for number in range(times):
                if number:
                    await asyncio.to_thread(pair.join)
                await further(acknowledged)
                await asyncio.to_thread(pair.fail_over)
                await further(acknowledged)
        found = orders(pair.primary.url())
        assert len(found) == len(set(found))
        assert set(acknowledged) <= set(found)


@contextlib.asynccontextmanager
async def calling(store: Store, acknowledged: list[str]) -> AsyncIterator[None]:
    """Eight callers that put one order after the other, and repeat what is refused."""
    numbers, ends = itertools.count(), asyncio.Event()

    async def call() -> None:
        while not ends.is_set():
            order = f"ORDER-{next(numbers):06}"
            await once_it_works(partial(put_order, store, order))
            acknowledged.append(order)

    async with asyncio.TaskGroup() as callers:
        for _ in range(8):
            callers.create_task(call())
        try:
            yield
        finally:
            ends.set()


async def further(acknowledged: list[str]) -> None:
    """Wait until a hundred more are acknowledged."""
    wanted = len(acknowledged) + 100
    async with asyncio.timeout(DEADLINE):
        while len(acknowledged) < wanted:
            await asyncio.sleep(0.01)
