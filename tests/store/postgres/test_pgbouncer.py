"""A pooler between the sidecar and its server that gives out connections for one transaction each."""

import asyncio
from collections.abc import Iterator

import pgbouncer_kit
import postgres_kit
import psycopg
import pytest
from conversion_kit import LANES, conversion
from instant_kit import NOW
from outbox_kit import TAKEN, claimed, put
from store_kit import running_store

from sidecar.core.states_and_reasons import State
from sidecar.ports.queries import Query
from sidecar.store.store import Store

pytestmark = pytest.mark.skipif(pgbouncer_kit.INSTALLED is None, reason="pgbouncer is not installed")

ORDERS = 60


@pytest.fixture
def url() -> Iterator[str]:
    """An empty database, by way of the pooler."""
    database = postgres_kit.empty_database()
    with pgbouncer_kit.pooled(database) as through:
        yield through
    postgres_kit.drop(database)


async def work(store: Store, name: str) -> None:
    """Put, look, and repeat, as a replica does."""
    await store.outbox.open_lanes(LANES)
    for number in range(ORDERS):
        [result] = await put(store.outbox, conversion(f"{name}-{number}"))
        assert await store.outbox.get(result.record.seq) is not None
    [again] = await put(store.outbox, conversion(f"{name}-0"))
    assert again.record.order_id == f"{name}-0"


async def test_replicas_work_through_a_pooler_that_keeps_no_session(url: str) -> None:
    async with running_store(url) as first, running_store(url) as second:
        async with asyncio.TaskGroup() as replicas:
            replicas.create_task(work(first, "A"))
            replicas.create_task(work(second, "B"))
        assert "main" in (await first.leases.beat(["main"])).accounts
        claim = await claimed(first.outbox)
        assert len(claim.entries) == 2 * ORDERS
        assert await first.outbox.settle(claim, {}, TAKEN, NOW)
        assert (await second.outbox.find(Query(state=State.DELIVERED, limit=1))).records


async def test_session_before_the_pooler_keeps_nothing(url: str) -> None:
    """What this kit is for: a setting of the session is lost with the transaction that made it."""
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("SET statement_timeout = '5s'")
        assert db.execute("SHOW statement_timeout").fetchone() == ("0",)
