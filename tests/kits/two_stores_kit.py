"""Two stores open over one PostgreSQL database, as two replicas have them, and a house in which they take turns."""

import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import psycopg
from conversion_kit import LANES
from instant_kit import NOW
from outbox_kit import due
from psycopg.rows import dict_row
from store_kit import PostgresHouse, running_store

from sidecar.core.entry import Entry
from sidecar.core.instant import UnixMillis
from sidecar.ports.outbox import Outbox
from sidecar.store.store import Store


@dataclass(frozen=True, slots=True)
class Two:
    """Two stores at work over one database."""

    url: str
    first: Store
    second: Store

    async def due_at_both(self, now: UnixMillis = NOW) -> tuple[list[Entry], list[Entry]]:
        return await due(self.first.outbox, now), await due(self.second.outbox, now)

    async def hear(self) -> None:
        """Each hears what the other changed, as it does every second."""
        await self.first.leases.look()
        await self.second.leases.look()

    def rows(self, select: str) -> list[dict[str, Any]]:
        with psycopg.connect(self.url, autocommit=True, row_factory=dict_row) as db:
            return list(db.execute(select))  # type: ignore[call-overload]


@contextlib.asynccontextmanager
async def two_stores(house: PostgresHouse) -> AsyncIterator[Two]:
    """Two stores over the database of a house that is not opened itself."""
    async with running_store(house.url) as first, running_store(house.url) as second:
        for store in (first, second):
            await store.outbox.open_lanes(LANES)
        yield Two(house.url, first, second)


class TurnsHouse(PostgresHouse):
    """A house where each call goes to one of two stores, which one is left to chance."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._chance = random.Random(17)
        self._other: Store | None = None

    async def open(self, now: UnixMillis = NOW, **limits: int) -> Any:
        await super().open(now, **limits)
        opening = running_store(self.url, lambda: now, **{"max_pending": 100_000, **limits})
        other = await self._stack.enter_async_context(opening)
        await other.outbox.open_lanes(LANES)
        first, self._other = self.store, other
        assert first is not None
        self.store = cast("Store", _Turns(self._chance, (first, other)))
        return self.store.outbox

    @property
    def outbox(self) -> Any:
        return self.opened.outbox


class _Turns:
    """What a store gives, each call of it from one of two stores that has just heard of the other."""

    def __init__(self, chance: random.Random, stores: tuple[Store, Store]) -> None:
        self._chance, self._stores = chance, stores

    def __getattr__(self, port: str) -> Any:
        if port == "leases":
            return self._stores[0].leases
        return _Port(self._choose, port)

    def _choose(self) -> Store:
        return self._chance.choice(self._stores)


@dataclass(frozen=True, slots=True)
class _Port:
    choose: Callable[[], Store]
    name: str

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        async def call(*given: Any, **named: Any) -> Any:
            store = self.choose()
            await store.leases.look()
            return await getattr(getattr(store, self.name), method)(*given, **named)

        return call


def outboxes(two: Two) -> tuple[Outbox, Outbox]:
    return two.first.outbox, two.second.outbox
