"""Replicas as processes over one database: one hangs, one is killed, one stops; what was accepted is delivered."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from signal import SIGCONT, SIGSTOP, SIGTERM

import postgres_kit
import psycopg
import pytest
from process_kit.emulator import Microsoft, microsoft
from process_kit.running import Starter
from process_kit.service import GOALS, Services, Sidecar, config

CLICK_ID = "f894f652ea334e739002f7167ab8f8e3"

pytestmark = pytest.mark.skipif(postgres_kit.binaries() is None, reason="no PostgreSQL server is installed")


@pytest.fixture
def database() -> Iterator[str]:
    """The URL of an empty database."""
    url = postgres_kit.empty_database()
    yield url
    postgres_kit.drop(url)


@pytest.fixture
async def there(starter: Starter) -> AsyncIterator[Microsoft]:
    async with microsoft(starter, *GOALS) as running:
        yield running


async def until(database: str, statement: str, wanted: object) -> None:
    """Wait until a statement returns that."""
    end = time.monotonic() + 60
    with psycopg.connect(database, autocommit=True) as db:
        while (found := db.execute(statement).fetchone()) != (wanted,):  # type: ignore[call-overload]
            assert time.monotonic() < end, f"{statement}: {found}, not {wanted}"
            await asyncio.sleep(0.1)


async def test_what_any_replica_accepts_is_delivered_while_others_hang_die_and_stop(
    services: Services, there: Microsoft, database: str
) -> None:
    """The one account stays with the first replica until that hangs, then with the second until that is killed."""
    settings = config(there, storage={"url": database})
    accepted = 0

    async def post(sidecar: Sidecar) -> None:
        """Two orders, delivered by the replica that holds the account."""
        nonlocal accepted
        orders = [
            {"event": "purchase", "order_id": f"A-{accepted + n}", "value": 5, "msclkid": CLICK_ID} for n in range(2)
        ]
        answer = await sidecar.post(orders)
        assert answer.status == 202, answer.text
        accepted += 2
        await until(database, "SELECT count(*) FROM entries WHERE state = 'delivered'", accepted)

    async def moved(replicas: int, before: str) -> str:
        """Wait until another holder than before has the account, among that many replicas; its id."""
        await until(database, "SELECT count(*) FROM replicas", replicas)
        where = f"FROM leases WHERE name LIKE 'account:%' AND holder <> '{before}'"
        await until(database, f"SELECT count(*) {where}", 1)
        with psycopg.connect(database, autocommit=True) as db:
            (holder,) = db.execute(f"SELECT holder {where}").fetchone() or ("",)  # type: ignore[call-overload]
        return str(holder)

    first = await services.start(settings)
    await post(first)
    holder = await moved(1, "")
    second = await services.start(settings)
    await until(database, "SELECT count(*) FROM replicas", 2)
    first.running.signal(SIGSTOP)
    await post(second)
    holder = await moved(1, holder)
    first.running.signal(SIGCONT)
    await until(database, "SELECT count(*) FROM replicas", 2)
    await post(first)
    await second.running.kill()
    await post(first)
    holder = await moved(1, holder)
    third = await services.start(settings)
    await until(database, "SELECT count(*) FROM replicas", 2)
    first.running.signal(SIGTERM)
    assert await first.running.ended() == 0, first.running.err
    await moved(1, holder)
    await post(third)
    await third.accounts(accepted)
