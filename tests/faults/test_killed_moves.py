"""A move whose process is killed again and again ends complete, and the new place delivers what waited, once."""

import asyncio
import json
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from move_kit import TABLES
from postgres_kit import empty_database
from process_kit.emulator import Microsoft, microsoft
from process_kit.running import Starter
from process_kit.service import GOALS, Json, Services, Sidecar, config

CLICKS = """
    INSERT INTO clicks (visitor, visitor_id, msclkid, clicked_at, captured_at)
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
    SELECT n * 7919, 'v-' || n, printf('%032x', n), ?, ? FROM numbers"""

PROGRESS = "SELECT value FROM facts WHERE name = 'move_progress'"

Goal = tuple[int, int]
"""A step of a move, and how far within it."""

Place = Callable[[], Json | None]
"""Reads how far the move into a place has come; None before it has begun."""


@pytest.fixture
async def there(starter: Starter) -> Microsoft:
    return await starter.stack.enter_async_context(microsoft(starter, *GOALS))


def conversions(numbers: range) -> list[Json]:
    return [{"event": "purchase", "order_id": f"ORDER-{n}", "value": 5, "msclkid": f"{n:032x}"} for n in numbers]


async def filled(services: Services, there: Microsoft, settings: Json, clicks: int) -> None:
    """An outbox with rows that are delivered, rows that wait, and a batch whose answer was lost, left by a kill."""
    sidecar = await services.start(settings)
    await sidecar.post(conversions(range(50)))
    await sidecar.settled(60)
    await there.fault("status", status=503, applied=True, times=None)
    await sidecar.post(conversions(range(50, 80)))
    until = time.monotonic() + 60
    while not (await there.fired()).get("status"):
        assert time.monotonic() < until
        await asyncio.sleep(0.05)
    await sidecar.call("POST", "/v1/accounts/default/pause", {})
    await sidecar.post(conversions(range(80, 120)))
    await sidecar.running.kill()
    await there.call("DELETE", "faults")
    now = int(time.time())
    with closing(sqlite3.connect(services.starter.folder / "outbox.db", isolation_level=None)) as db:
        db.execute(CLICKS, (clicks, now, now * 1_000))


async def delivered_once(sidecar: Sidecar, there: Microsoft) -> None:
    """Every conversion is delivered, and Microsoft has each once."""
    await sidecar.call("POST", "/v1/accounts/default/resume", {})
    await sidecar.settled(60)
    assert await sidecar.accounts(120) == Counter(delivered=120)
    assert len({row["msclkid"] for row in await sidecar.rows()}) == 120
    assert len(await there.ledger()) == 120


async def stopped(sidecar: Sidecar) -> None:
    sidecar.running.signal(signal.SIGTERM)
    assert await sidecar.running.ended() == 0


async def moved_over_kills(starter: Starter, source: str, target: str, read: Place, goals: list[Goal]) -> int:
    """How often a move was killed, each time a bit further on, until it came to its end."""
    killed = 0
    while True:
        running = await starter.start("migrate", "--from", source, "--to", target)
        while not running.is_over:
            if goals and position(read()) >= goals[0]:
                await running.kill()
            await asyncio.sleep(0.002)
        if running.process.returncode == 0:
            assert "checksum, equal on both sides" in running.out
            return killed
        assert running.process.returncode == -signal.SIGKILL, running.err
        killed += 1
        goals = goals[1:]


def position(progress: Json | None) -> Goal:
    """First rows come over, then indexes are made, then all is compared."""
    if progress is None:
        return (-1, 0)
    if not progress["indexes"]:
        return (2, 0)
    if len(progress["complete"]) == len(TABLES):
        return (1, -len(progress["indexes"]))
    return (0, sum(progress["rows"].values()))


def goals(kills: int, clicks: int, seed: int) -> list[Goal]:
    """Where to kill, in their order: most while rows come over, one among the indexes, one in the comparison."""
    chance = random.Random(seed)
    rows = [(0, chance.randrange(clicks)) for _ in range(kills - 2)]
    return sorted([*rows, (1, -chance.randrange(1, 15)), (2, 0)])


def in_file(path: Path) -> Json | None:
    """The progress in a file that another process writes."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60)) as db:
            return found(db.execute(PROGRESS).fetchone())
    except sqlite3.OperationalError:  # there is no file, or there are no tables yet
        return None


def on_server(url: str) -> Json | None:
    """The progress in a database that another process writes."""
    try:
        with psycopg.connect(url, autocommit=True) as db:
            return found(db.execute(PROGRESS).fetchone())
    except psycopg.errors.UndefinedTable:
        return None


def found(row: tuple[str] | None) -> Json | None:
    return json.loads(row[0]) if row else None


async def moved_there_and_back(there: Microsoft, services: Services, clicks: int, kills: int) -> int:
    """From a file to a server and to another file; how often a move was killed."""
    starter, settings = services.starter, config(there, delivery={"linger": "50ms"})
    await filled(services, there, settings, clicks)
    folder, url = starter.folder, empty_database()
    file = f"sqlite:///{folder}/outbox.db"
    killed = await moved_over_kills(starter, file, url, lambda: on_server(url), goals(kills, clicks, 1))
    sidecar = await services.start(settings | {"storage": {"url": url}})
    await delivered_once(sidecar, there)
    await stopped(sidecar)
    back = folder / "back.db"
    killed += await moved_over_kills(starter, url, f"sqlite:///{back}", lambda: in_file(back), goals(kills, clicks, 2))
    sidecar = await services.start(settings | {"storage": {"url": f"sqlite:///{back}"}})
    await delivered_once(sidecar, there)
    await stopped(sidecar)
    return killed


async def test_killed_moves_there_and_back_end_complete(there: Microsoft, services: Services) -> None:
    """The short form."""
    assert await moved_there_and_back(there, services, clicks=30_000, kills=3) >= 4


@pytest.mark.faults
@pytest.mark.timeout(3_600)
async def test_moves_of_300000_rows_killed_again_and_again_end_complete(there: Microsoft, services: Services) -> None:
    killed = await moved_there_and_back(there, services, clicks=300_000, kills=15)
    print(f"{killed} kills: every row is there, and every conversion was delivered once")
    assert killed >= 25
