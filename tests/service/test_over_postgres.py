"""The whole process over a database on a server: it delivers, loses nothing in a kill, and shares what it has."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator
from signal import SIGTERM
from urllib.parse import urlsplit

import postgres_kit
import psycopg
import pytest
from postgres_wire_double import wire_to
from process_kit.emulator import Microsoft, microsoft
from process_kit.running import Starter
from process_kit.service import GOALS, Json, Services, Sidecar, config

PASSWORD = "test-password-1"
"""The server of the tests trusts everyone on this machine: any password will do."""

CLICK_ID = "f894f652ea334e739002f7167ab8f8e3"

pytestmark = pytest.mark.skipif(postgres_kit.binaries() is None, reason="no PostgreSQL server is installed")


@pytest.fixture
def database() -> Iterator[str]:
    """The URL of an empty database, with a password."""
    url = postgres_kit.empty_database()
    yield url.replace("sidecar@", f"sidecar:{PASSWORD}@")
    postgres_kit.drop(url)


@pytest.fixture
async def there(starter: Starter) -> AsyncIterator[Microsoft]:
    async with microsoft(starter, *GOALS) as running:
        yield running


def over(database: str, there: Microsoft | None = None, **sections: Json) -> Json:
    """A configuration whose URL has its password from the environment."""
    url = database.replace(PASSWORD, "${SIDECAR_TEST_PASSWORD}")
    return config(there, storage={"url": url}, **sections)


ENV = {"SIDECAR_TEST_PASSWORD": PASSWORD}


def orders(name: str, count: int) -> list[Json]:
    every = range(count)
    return [{"event": "purchase", "order_id": f"{name}-{n}", "value": n + 1, "msclkid": CLICK_ID} for n in every]


async def accepted(sidecar: Sidecar, wanted: list[Json]) -> None:
    answer = await sidecar.post(wanted)
    assert answer.status == 202, answer.text
    assert [item["status"] for item in answer.json()["results"]] == [202] * len(wanted)


async def delivered(sidecar: Sidecar, count: int) -> None:
    """Wait until that number of rows is delivered."""
    until = time.monotonic() + 60
    while len(rows := await sidecar.rows(state="delivered")) < count:
        assert time.monotonic() < until, f"{len(rows)} of {count}: {sidecar.running.out[-3000:]}"
        await asyncio.sleep(0.1)


async def test_conversion_is_delivered_over_a_server_by_the_emulator_inside(services: Services, database: str) -> None:
    """The emulator's state survives the restart, in the data folder: the repeat is known there, too."""
    sidecar = await services.start(over(database), env=ENV)
    await accepted(sidecar, orders("A", 3))
    await sidecar.settled(60)
    health = await sidecar.get("/healthz")
    assert health["replica"] == {"replicas": 1, "accounts": 1, "duties": ["token", "upkeep"]}
    assert health["checks"]["disk"] == {
        "status": "ok",
        "message": "The outbox lies on a database server: its disk is watched there.",
        "fix": None,
    }
    sidecar.running.signal(SIGTERM)
    assert await sidecar.running.ended() == 0, sidecar.running.err

    again = await services.start(over(database), env=ENV)
    assert (await again.accounts(3))["delivered"] == 3
    name = database.rpartition("/")[2]
    assert (services.starter.folder / "data" / f"{name}.emulator.db").exists()
    assert PASSWORD not in again.running.out + again.running.err + sidecar.running.out + sidecar.running.err


async def test_doctor_of_a_sidecar_over_a_server_shows_the_server(services: Services, database: str) -> None:
    sidecar = await services.start(over(database), env=ENV)
    report = await sidecar.get("/v1/doctor")
    shown = {check["name"]: check["message"] for check in report["checks"]}
    assert re.search(r"The outbox postgresql://sidecar:\*\*\*@.* can be written \(.* MiB, schema \d+", shown["storage"])
    assert "its disk is watched there" in shown["disk"]
    assert PASSWORD not in str(report)


async def test_kill_between_answer_and_delivery_loses_nothing(
    services: Services, there: Microsoft, database: str
) -> None:
    settings = over(database, there, delivery={"linger": "60s"})
    sidecar = await services.start(settings, env=ENV)
    await accepted(sidecar, orders("A", 20))
    await sidecar.running.kill()

    again = await services.start(over(database, there), env=ENV)
    await accepted(again, orders("B", 5))
    await again.settled(60)
    assert (await again.accounts(25))["delivered"] == 25
    assert len(await there.ledger()) == 25


async def test_two_sidecars_over_one_database_both_take_and_show_every_conversion(
    services: Services, there: Microsoft, database: str
) -> None:
    settings = over(database, there)
    first = await services.start(settings, env=ENV)
    second = await services.start(settings, env=ENV)
    await accepted(first, orders("A", 10))
    await accepted(second, orders("B", 10))
    for sidecar, other in ((first, "B-3"), (second, "A-3")):
        assert [row["order_id"] for row in await sidecar.rows(order_id=other)] == [other]
        repeated = await sidecar.post(orders(other[0], 10))
        assert {item["status"] for item in repeated.json()["results"]} == {200}
    for sidecar in (first, second):
        await delivered(sidecar, 20)
    assert len(await there.ledger()) == 20


async def test_replicas_share_one_sealed_api_key_that_is_printed_once(services: Services, database: str) -> None:
    settings = over(database, server={"host": "0.0.0.0"})
    settings["storage"]["encryption_key"] = "test-passphrase-of-32-characters-1"
    launched = [await services.launch(settings, env=ENV) for _ in range(2)]
    both = [await services.ready(running) for running in launched]
    printed = [key for one in both if (key := re.search(r"\n  (\S{40,})\n", one.running.err))]
    assert len(printed) == 1
    for sidecar in both:
        assert (await sidecar.call("GET", "/v1/conversions")).status == 401
        sidecar.key = printed[0][1]
        await accepted(sidecar, orders("A", 1)) if sidecar is both[0] else await sidecar.rows()
    with psycopg.connect(database) as db:
        stored = db.execute("SELECT value FROM secrets WHERE name = 'api_key'").fetchall()
    assert len(stored) == 1
    assert stored[0][0].startswith("aes256gcm")
    assert printed[0][1] not in stored[0][0]


async def test_stop_ends_by_itself_while_the_server_answers_nothing(
    services: Services, there: Microsoft, database: str
) -> None:
    await there.fault("hang", times=1)
    port = urlsplit(database).port or 0
    async with wire_to(port) as wire:
        sidecar = await services.start(over(database.replace(f":{port}/", f":{wire.port}/"), there), env=ENV)
        await accepted(sidecar, orders("A", 3))
        while not (await there.call("GET", "faults"))["items"][0]["fired"]:
            await asyncio.sleep(0.05)
        wire.speaks.clear()
        sidecar.running.signal(SIGTERM)
        assert await sidecar.running.ended() == 0, sidecar.running.err  # with 1 where its own clock cut the stop short
    with psycopg.connect(database) as db:
        assert db.execute("SELECT state, count(*) FROM entries GROUP BY state").fetchall() == [("pending", 3)]
