"""The outbox of a trial: opened as the service opens it, and filled with rows in bulk."""

import asyncio
import contextlib
import os
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

from bench.processes import EVENTS
from sidecar.core.instant import DAY_SECONDS, UnixMillis
from sidecar.core.intake.conversion import EventRule, Rules
from sidecar.ports.outbox import Outbox
from sidecar.store.opening import open_store
from sidecar.store.store import Store, StoreLimits

NOW = UnixMillis(time.time_ns() // 1_000_000)
ACCOUNT = "default"
RULES = Rules(
    {name: EventRule(event["goal"], currency=event["currency"]) for name, event in EVENTS.items()}, (ACCOUNT,)
)

FILL = """
    INSERT INTO entries (lane, state, key_hash, key_digest, content, order_id, time, time_given, value, currency,
        msclkid, email_sha256, request_id, received_at, due_at, settled_at)
    WITH RECURSIVE numbers (n) AS (SELECT :first UNION ALL SELECT n + 1 FROM numbers WHERE n < :last)
    SELECT :lane, :state, random(), lower(hex(randomblob(16))), lower(hex(randomblob(16))), 'FILL-' || n,
        :time - n % 500000, 1, '9.99', 'USD', printf('%032x', n), lower(hex(randomblob(32))), 'bench',
        :received_at + n / 1000, :received_at + n / 1000, iif(:state = 'delivered', :received_at, NULL)
    FROM numbers"""

INDEXES = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'entries' AND sql IS NOT NULL"


@contextlib.asynccontextmanager
async def open_running(
    place: Path | str, event: str = "purchase", account: str = ACCOUNT, now: UnixMillis = NOW
) -> AsyncIterator[Store]:
    """The store at work, with a lane for the event; `place` is SQLite's file, or the URL of a database."""
    url = place if isinstance(place, str) else f"sqlite:///{place}"
    async with open_store(url, "emulator", lambda: now, StoreLimits()) as store:
        running = asyncio.create_task(store.run())
        await store.outbox.open_lanes([(account, event)])
        yield store
        store.stop()
        await running


@contextlib.asynccontextmanager
async def opened(place: Path | str, event: str = "purchase", account: str = ACCOUNT) -> AsyncIterator[Outbox]:
    """Its outbox."""
    async with open_running(place, event, account) as store:
        yield store.outbox


def filled(
    path: Path,
    rows: int,
    *,
    event: str = "purchase",
    account: str = ACCOUNT,
    state: str = "pending",
    days_ago: int = 1,
) -> None:
    """Create the outbox if needed, and put `rows` rows into it. Indexes are created afterwards."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lanes_opened(path, (event, account))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript("PRAGMA synchronous = OFF; PRAGMA cache_size = -262144;")
        indexes = db.execute(INDEXES).fetchall()
        for name, _ in indexes:
            db.execute(f"DROP INDEX {name}")
        at = NOW - days_ago * DAY_SECONDS * 1000
        find = "SELECT id FROM lanes WHERE event = ? AND account = ?"
        (lane,) = db.execute(find, (event, account)).fetchone()
        (before,) = db.execute("SELECT coalesce(max(seq), 0) FROM entries").fetchone()
        given = {"first": before + 1, "last": before + rows, "lane": lane, "state": state}
        db.execute(FILL, {**given, "time": at // 1000, "received_at": at})
        for _, statement in indexes:
            db.execute(statement)
        db.execute("UPDATE counts SET rows = rows + ? WHERE state = ?", (rows, state))
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("rb") as file:
        os.fsync(file)  # else every commit's own fsync waits for gigabytes that are on their way to the disk


def lanes_opened(place: Path | str, *lanes: tuple[str, str]) -> None:
    """Create the outbox if needed, and the lanes: events of accounts."""

    async def with_lanes() -> None:
        async with open_running(place) as store:
            await store.outbox.open_lanes([(account, event) for event, account in lanes])

    asyncio.run(with_lanes())
