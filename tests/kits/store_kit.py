"""Stores at work, and houses that can burn down: what the suite runs over each store there is."""

import asyncio
import contextlib
import shutil
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import postgres_kit
import psycopg
import pytest
from conversion_kit import LANES
from instant_kit import NOW
from psycopg.rows import dict_row

from sidecar.core.instant import UnixMillis
from sidecar.ports.alerts import StoredAlerts
from sidecar.ports.delivery import StoredMatchShares
from sidecar.ports.erasure import Erasures
from sidecar.ports.intake import Clicks
from sidecar.ports.journal import Journal
from sidecar.ports.leases import Leases
from sidecar.ports.outbox import Outbox
from sidecar.ports.queries import Tallies, Traces, UnstoredItems
from sidecar.ports.reports import StoredVerdicts
from sidecar.ports.upkeep import Goals, Pauses, Secrets
from sidecar.store.opening import open_store
from sidecar.store.sql import erasures, row_lists, visitors
from sidecar.store.sql.outbox import SqlOutbox
from sidecar.store.store import Store, StoreLimits


@contextlib.asynccontextmanager
async def open_outbox(path: Path, environment: str, now: UnixMillis, **limits: Any) -> AsyncIterator[SqlOutbox]:
    """The outbox of a store that does not run yet."""
    async with open_store(f"sqlite:///{path}", environment, lambda: now, StoreLimits(**limits)) as store:
        assert isinstance(store.outbox, SqlOutbox)
        yield store.outbox


@contextlib.asynccontextmanager
async def running_store(
    place: Path | str, now: Callable[[], UnixMillis] = lambda: NOW, environment: str = "emulator", **limits: Any
) -> AsyncIterator[Store]:
    """A store at work, in a file or at a URL, ended in order."""
    url = f"sqlite:///{place}" if isinstance(place, Path) else place
    async with open_store(url, environment, now, StoreLimits(**limits)) as store:
        running = asyncio.create_task(store.run())
        try:
            yield store
        finally:
            store.stop()
            await running


class House(ABC):
    """A place where a store lives, with everything that it gives; a second store joins the suite by having one."""

    store: Store | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it is, as in `storage.url`."""

    @abstractmethod
    async def open(self, now: UnixMillis = NOW, **limits: int) -> Outbox:
        """Open the store with what was in it, and LANES; `limits` are `max_pending` and `min_free_bytes`."""

    @abstractmethod
    async def crash(self) -> None:
        """End its process without a word: what was not written down is gone."""

    @abstractmethod
    async def close(self) -> None:
        """End it in order, when it is open."""

    async def remove(self) -> None:
        """End it, and leave nothing of it."""
        await self.close()

    @abstractmethod
    async def rows(self, table: str) -> list[dict[str, Any]]:
        """The rows of a table as they are stored, by their first column; also after it was closed."""

    def use_small_slices(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let lists and erasures read a few rows at a time, so that few rows take many slices."""
        monkeypatch.setattr(row_lists, "SCAN_ROWS", 2)
        for name, rows in {"SCAN_ROWS": 7, "SLICE_ROWS": 2, "JOURNAL_ROWS": 2}.items():
            monkeypatch.setattr(erasures, name, rows)

    def give_all_visitors_one_hash(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As if their ids had been chosen for that."""
        monkeypatch.setattr(visitors, "visitor_hash", lambda account, visitor_id, key: 7)

    @property
    def opened(self) -> Store:
        assert self.store is not None, "open the house first"
        return self.store

    @property
    def outbox(self) -> Outbox:
        return self.opened.outbox

    @property
    def clicks(self) -> Clicks:
        return self.opened.clicks

    @property
    def goals(self) -> Goals:
        return self.opened.goals

    @property
    def journal(self) -> Journal:
        return self.opened.journal

    @property
    def pauses(self) -> Pauses:
        return self.opened.pauses

    @property
    def secrets(self) -> Secrets:
        return self.opened.secrets

    @property
    def traces(self) -> Traces:
        return self.opened.traces

    @property
    def erasures(self) -> Erasures:
        return self.opened.erasures

    @property
    def unstored(self) -> UnstoredItems:
        return self.opened.unstored

    @property
    def tallies(self) -> Tallies:
        return self.opened.tallies

    @property
    def shares(self) -> StoredMatchShares:
        return self.opened.shares

    @property
    def alerts(self) -> StoredAlerts:
        return self.opened.alerts

    @property
    def verdicts(self) -> StoredVerdicts:
        return self.opened.verdicts

    @property
    def leases(self) -> Leases:
        return self.opened.leases


class SqliteHouse(House):
    """A store in a file, with its committer running."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opened = 0
        self._stack = contextlib.AsyncExitStack()

    @property
    def path(self) -> Path:
        return self._folder / str(self._opened) / "outbox.db"

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path}"

    @property
    def outbox(self) -> SqlOutbox:
        """With the committer and the reader that SQLite's own tests look at."""
        outbox = self.opened.outbox
        assert isinstance(outbox, SqlOutbox)
        return outbox

    async def open(self, now: UnixMillis = NOW, **limits: int) -> SqlOutbox:
        opening = running_store(self.path, lambda: now, **{"max_pending": 100_000, **limits})
        self.store = await self._stack.enter_async_context(opening)
        await self.outbox.open_lanes(LANES)
        return self.outbox

    async def crash(self) -> None:
        """The files as they lie there are what the next process finds: a copy, since this process goes on."""
        before = self.path
        self._opened += 1
        self.path.parent.mkdir()
        for suffix in ("", "-wal", ".last"):
            shutil.copy(f"{before}{suffix}", f"{self.path}{suffix}")
        await self.close()

    async def close(self) -> None:
        if self.store is not None:
            await self._stack.aclose()
            self.store = None

    async def rows(self, table: str) -> list[dict[str, Any]]:
        with contextlib.closing(sqlite3.connect(self.path)) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(f"SELECT * FROM {table} ORDER BY 1")]


class PostgresHouse(House):
    """A store in a database of its own on the run's server."""

    def __init__(self, folder: Path) -> None:
        self._url = postgres_kit.database_with_tables(make_tables)
        self._stack = contextlib.AsyncExitStack()

    @property
    def url(self) -> str:
        return self._url

    async def open(self, now: UnixMillis = NOW, **limits: int) -> SqlOutbox:
        opening = running_store(self.url, lambda: now, **{"max_pending": 100_000, **limits})
        self.store = await self._stack.enter_async_context(opening)
        await self.outbox.open_lanes(LANES)
        assert isinstance(self.outbox, SqlOutbox)
        await self.opened.leases.beat(sorted({account for account, _ in LANES}))
        return self.outbox

    async def crash(self) -> None:
        """The server goes on: what it committed is what the next process finds, once the lease of this one is over."""
        await self._end()
        self.end_leases()

    def end_leases(self) -> None:
        """As if as much time had passed at the server as a lease takes."""
        with psycopg.connect(self.url, autocommit=True) as db:
            db.execute("UPDATE replicas SET alive_until = 0")

    async def close(self) -> None:
        if self.store is not None:
            await self.store.leases.leave()
            await self._end()

    async def _end(self) -> None:
        if self.store is not None:
            await self._stack.aclose()
            self.store = None

    async def remove(self) -> None:
        await self.close()
        postgres_kit.give_back(self.url)

    async def rows(self, table: str) -> list[dict[str, Any]]:
        with psycopg.connect(self.url, autocommit=True, row_factory=dict_row) as db:
            return list(db.execute(f"SELECT * FROM {table} ORDER BY 1"))  # type: ignore[call-overload]


def added_up(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Lines of counts or tallies as one line each: in PostgreSQL every connection counts by itself."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        line = {name: value for name, value in row.items() if name != "shard"}
        key = tuple(value for name, value in line.items() if name not in ("rows", "value", "slowest"))
        before = found.setdefault(key, line | dict.fromkeys(line.keys() & {"rows", "value", "slowest"}, 0))
        for name in line.keys() & {"rows", "value"}:
            before[name] += line[name]
        if "slowest" in line:
            before["slowest"] = max(before["slowest"], line["slowest"])
    return list(found.values())


def make_tables(url: str) -> None:
    """The tables of the newest schema, and nothing else of a store that was open once."""
    with ThreadPoolExecutor(1) as thread:  # where no event loop runs
        thread.submit(asyncio.run, _open_once(url)).result()
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("DELETE FROM facts WHERE name <> 'visitor_key'")


async def _open_once(url: str) -> None:
    async with open_store(url, "emulator", lambda: NOW, StoreLimits()):
        pass


HOUSES: dict[str, Callable[[Path], House]] = {"sqlite": SqliteHouse}
"""Every store there is, with a house for it; PostgreSQL's where its server is installed."""

if postgres_kit.binaries() is not None:
    HOUSES["postgres"] = PostgresHouse


def runs_over(house: Callable[[Path], House], runs: int) -> int:
    """How many runs of a state machine a store gets: over a server each costs some ten times as much."""
    return runs if house is SqliteHouse else runs // 5
