"""Starting, stopping, reloading and being refused, with real processes and real signals."""

import asyncio
import json
import signal
import socket
import sqlite3
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from process_kit.emulator import Microsoft, microsoft
from process_kit.expected import Timed, differences, held, received, second
from process_kit.running import Starter
from process_kit.service import EVENTS, GOALS, Json, Services, Sidecar, config
from promises import Show

from sidecar.service.app import STOP_SECONDS

CLICK = "f894f652ea334e739002f7167ab8f8e3"


@pytest.fixture
async def there(starter: Starter) -> Microsoft:
    return await starter.stack.enter_async_context(microsoft(starter, *GOALS))


def order(number: int, **more: object) -> Json:
    return {"event": "purchase", "order_id": f"ORDER-{number}", "value": number, "msclkid": f"{number:032x}", **more}


@dataclass
class Posted:
    """What was posted, and which orders of it were answered 202."""

    all: dict[str, Timed] = field(default_factory=dict)
    """An order whose answer was lost on the way may be stored."""
    answered: set[str] = field(default_factory=set)


async def until_refused(sidecar: Sidecar, first: int, posted: Posted) -> None:
    """Post until the sidecar no longer answers."""
    for number in range(first, first + 1_000_000):
        body = order(number, time=int(time.time()) - 3_600)
        posted.all[body["order_id"]] = held(body, EVENTS), second(body["time"])
        try:
            answer = await sidecar.post(body)
        except aiohttp.ClientError:
            return
        if answer.status == 202:
            posted.answered.add(body["order_id"])


# --- Stopping --------------------------------------------------------------------------------------------------------


async def test_sigterm_under_load_exits_with_0_within_15_seconds_and_loses_nothing(
    there: Microsoft, services: Services
) -> None:
    await there.fault("slow", times=None, seconds=1.0)
    sidecar = await services.start(config(there))
    posted = Posted()
    async with asyncio.TaskGroup() as clients:
        for client in range(8):
            clients.create_task(until_refused(sidecar, client * 1_000_000 + 1, posted))
        async with asyncio.timeout(60):
            while len(posted.answered) < 500 or not (await there.call("GET", "summary"))["requests"]:
                await asyncio.sleep(0.05)
        sidecar.running.signal(signal.SIGTERM)
        assert await sidecar.running.ended() == 0  # with 1 where its own clock cut the stop short
    assert STOP_SECONDS < 15
    await there.call("DELETE", "faults")
    again = await services.start(config(there))
    await again.settled(60)
    assert (await again.accounts(len(await again.rows())))["delivered"] >= len(posted.answered)
    kept = {row["order_id"] for row in await again.rows()}
    assert posted.answered <= kept
    rows = await there.ledger()
    assert not [row for row in rows if row["changed"]]
    wanted = [posted.all[f"ORDER-{int(n)}"] for row in rows if (n := received(row["raw"])[0].value) is not None]
    assert not differences(wanted, [received(row["raw"]) for row in rows])


async def test_second_sigterm_ends_it_at_once(there: Microsoft, services: Services) -> None:
    await there.fault("hang", times=None)
    sidecar = await services.start(config(there))
    assert (await sidecar.post(order(1))).status == 202
    async with asyncio.timeout(60):
        while not (await there.call("GET", "faults"))["items"][0]["fired"]:
            await asyncio.sleep(0.05)
    sidecar.running.signal(signal.SIGTERM)
    await sidecar.running.output_matching('"stopping"')
    sidecar.running.signal(signal.SIGTERM)
    assert await sidecar.running.ended() == 1  # an ordinary stop waits for the answer that hangs, and ends with 0
    assert '"stopped"' not in sidecar.running.out
    assert "The stop took too long" not in sidecar.running.err
    await there.call("DELETE", "faults")
    await (await services.start(config(there))).settled(60)
    assert len(await there.ledger()) == 1


async def test_restart_with_the_embedded_emulator_goes_on_delivering(services: Services) -> None:
    for number in (1, 2):
        sidecar = await services.start(config(None))
        assert (await sidecar.post(order(number))).status == 202
        await sidecar.settled(60)
        assert {row["state"] for row in await sidecar.rows()} == {"delivered"}
        assert (await sidecar.post(order(1, value=1.0))).status == 200
        sidecar.running.signal(signal.SIGTERM)
        assert await sidecar.running.ended() == 0


# --- Reloading -------------------------------------------------------------------------------------------------------


async def test_sighup_takes_up_new_events_and_a_broken_file_changes_nothing(
    there: Microsoft, services: Services
) -> None:
    sidecar = await services.start(config(there))
    assert (await sidecar.post(order(1, event="refill"))).status == 422
    events = {**EVENTS, "refill": {"goal": GOALS[0], "currency": "USD"}}
    services.configure(config(there, events=events))
    sidecar.running.signal(signal.SIGHUP)
    await sidecar.running.output_matching('"reloaded"')
    assert (await sidecar.post(order(1, event="refill"))).status == 202
    await sidecar.settled(60)

    services.configure({**config(there, events={"only": {"gaol": "Shop"}}), "sever": {}})
    sidecar.running.signal(signal.SIGHUP)
    await sidecar.running.output_matching('"reload_failed"')
    assert (await sidecar.post(order(2, event="refill"))).status == 202
    async with asyncio.timeout(60):
        while not (found := (await sidecar.get("/logs?name=reload_failed"))["items"]):
            await asyncio.sleep(0.05)
    told = json.dumps(found)
    assert "gaol" in told
    assert "goal" in told
    assert "sever" in told


# --- Refused at the start --------------------------------------------------------------------------------------------


async def test_second_process_on_the_same_outbox_exits_1_and_names_the_first(services: Services) -> None:
    first = await services.start(config(None))
    second_one = await services.launch(config(None))
    assert await second_one.ended() == 1
    assert f"process {first.running.pid}" in second_one.err
    assert "Traceback" not in second_one.err
    assert (await first.post(order(1))).status == 202


async def test_outbox_of_another_environment_or_a_newer_version_is_refused_with_the_reason(
    starter: Starter, services: Services
) -> None:
    sidecar = await services.start(config(None))
    sidecar.running.signal(signal.SIGTERM)
    assert await sidecar.running.ended() == 0

    credentials = {"environment": "sandbox", "client_id": "test-app", "developer_token": "test-developer-token"}
    ids = {"default": {"customer_id": "100000001", "account_id": "200000001"}}
    other = await services.launch(config(None, microsoft=credentials, accounts=ids))
    assert await other.ended() == 1
    assert "emulator" in other.err
    assert "sandbox" in other.err
    assert "storage.url" in other.err

    database = sqlite3.connect(starter.folder / "outbox.db")
    database.execute("PRAGMA user_version = 999")
    database.close()
    newer = await services.launch(config(None))
    assert await newer.ended() == 1
    assert "newer version" in newer.err
    assert "999" in newer.err
    assert "Traceback" not in other.err + newer.err


async def test_port_in_use_is_reported_in_words_and_exits_1(services: Services) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        running = await services.launch(config(None, server={"port": port}))
        assert await running.ended() == 1
    assert f"127.0.0.1:{port}" in running.err
    assert "in use" in running.err
    assert "Traceback" not in running.err


async def test_broken_configuration_exits_2_and_names_every_line(starter: Starter) -> None:
    file = starter.folder / "config.yaml"
    file.write_text("server:\n  prot: 8077\nmicrosoft:\n  environment: emulator\ndelivery:\n  linger: soon\n")
    running = await starter.start("run", "--config", str(file))
    assert await running.ended() == 2
    assert "2" in running.err and "prot" in running.err and "port" in running.err
    assert "6" in running.err and "linger" in running.err
    assert "Traceback" not in running.err
    assert running.out == ""


# --- What it leaves on disk, and who may call ------------------------------------------------------------------------


def _modes(folder: Path, known: set[str]) -> dict[str, str]:
    """The mode of each file that is not the test's own."""
    made = (path for path in folder.rglob("*") if path.is_file() and path.name not in known)
    return {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in made}


@pytest.mark.promise("C10")
async def test_off_loopback_a_key_is_made_printed_once_and_needed_and_every_file_is_0600(
    starter: Starter, services: Services, shown: Show
) -> None:
    settings = config(None, server={"host": "0.0.0.0"}, storage={"url": "sqlite:///kept/outbox.db"})
    sidecar = await services.start(settings)
    key = await sidecar.running.output_matching(r"Bearer ([\w-]{30,})")
    for path in ("/livez", "/readyz"):
        assert (await sidecar.call("GET", path)).status == 200
    for path in ("/healthz", "/metrics", "/logs", "/v1/conversions", "/connect", "/nowhere"):
        assert (await sidecar.call("GET", path)).status == 401, path
    assert (await sidecar.post(order(1))).status == 401
    assert (await sidecar.post(order(1), Authorization="Bearer test-wrong-key")).status == 401
    assert (await sidecar.post(order(1), Authorization=f"Bearer {key}")).status == 202

    names = {"config.yaml"} | {path.name for path in starter.folder.glob("run-*")}
    modes = _modes(starter.folder, names)
    assert {"outbox.db", "outbox.db-wal", "outbox.db-shm", "outbox.db.lock", "outbox.db.api-key"} <= modes.keys()
    assert set(modes.values()) == {"0o600"}
    shown(f"{len(modes)} files of a running sidecar", lost=0)
    assert oct(stat.S_IMODE((starter.folder / "kept").stat().st_mode)) == "0o700"

    sidecar.running.signal(signal.SIGTERM)
    assert await sidecar.running.ended() == 0
    again = await services.start(settings)
    assert (await again.call("GET", "/healthz", Authorization=f"Bearer {key}")).status == 200
    assert key not in again.running.out + again.running.err + sidecar.running.out
