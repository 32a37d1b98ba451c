"""The whole process while its database is away: every answer says so at once, and the process goes on."""

import asyncio
import time
from collections.abc import Iterator

import postgres_kit
import pytest
from postgres_server_kit import PostgresServer, running_server
from process_kit.service import Json, Services, Sidecar, config

pytestmark = pytest.mark.skipif(postgres_kit.binaries() is None, reason="no PostgreSQL server is installed")

CLICK_ID = "f894f652ea334e739002f7167ab8f8e3"


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with running_server() as started:
        yield started


def order(name: str) -> Json:
    return {"event": "purchase", "order_id": name, "value": 1, "msclkid": CLICK_ID}


async def once_taken(sidecar: Sidecar, name: str) -> None:
    """Repeat an order as a caller does, until it is acknowledged."""
    until = time.monotonic() + 60
    while (answer := await sidecar.post([order(name)])).status != 202:
        assert answer.status == 503
        assert time.monotonic() < until, answer.text
        await asyncio.sleep(0.05)


async def once_ready(sidecar: Sidecar) -> None:
    until = time.monotonic() + 60
    while (answer := await sidecar.call("GET", "/healthz")).status != 200:
        assert time.monotonic() < until, answer.text
        await asyncio.sleep(0.05)


async def test_database_that_goes_away_costs_503_and_no_process(services: Services, server: PostgresServer) -> None:
    sidecar = await services.start(config(None, storage={"url": server.url()}))
    await once_taken(sidecar, "A-1")
    await asyncio.to_thread(server.stop, "immediate")
    await sidecar.post([order("A-2")])
    for _ in range(20):
        answer = await sidecar.post([order("A-2")])
        assert (answer.status, answer.json()["errors"][0]["code"]) == (503, "storage_unreachable")
        assert "Retry-After" in answer.headers
    for path in ("/readyz", "/healthz", "/v1/conversions"):
        assert (await sidecar.call("GET", path)).status == 503, path
    assert (await sidecar.call("GET", "/livez")).status == 200
    health = (await sidecar.call("GET", "/healthz")).json()
    assert health["checks"]["storage"]["status"] == "down"
    assert "Connection refused" in health["checks"]["storage"]["message"]

    await asyncio.to_thread(server.start)
    await once_taken(sidecar, "A-2")
    await once_ready(sidecar)
    await sidecar.settled(60)
    assert (await sidecar.accounts(2))["delivered"] == 2
    assert sidecar.running.process.returncode is None
