"""Several sidecars without their HTTP edge over one PostgreSQL database, against one emulator in the same process.

Each is wired as the service wires it. Its lease is over at once where a test says so; nothing else stands still.
"""

import asyncio
import contextlib
import random
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import postgres_kit
import psycopg
from delivery_kit import APPLY, CONFIG, Clock, options
from delivery_ledger import ACCOUNT_IDS

from sidecar.config import Config
from sidecar.config.loader import parse
from sidecar.core.conversion import Conversion
from sidecar.core.instant import UnixSeconds
from sidecar.emulator import Emulator
from sidecar.emulator.fault_script import ActiveRule
from sidecar.emulator.faults import Rule
from sidecar.emulator.tokens import expire_access_tokens
from sidecar.ports.intake import Arrival, Stored
from sidecar.service.runtime import elapsed
from sidecar.service.settings import Settings
from sidecar.service.wiring import Components, Runtime, open_parts
from sidecar.telemetry import Telemetry

DEADLINE_SECONDS = 60.0

EVENTS = {"main": "purchase", "twin": "signup", "other": "order"}
"""The event of each account's conversions."""

MORE_EVENTS = """
  signup: {{goal: Sidecar Purchase, account: twin}}
  order: {{goal: Sidecar Purchase, account: other}}
"""


@dataclass
class Elapsed:
    """The monotonic clock of one replica, which may seem to have been stopped for a while."""

    ahead: float = 0.0

    def __call__(self) -> float:
        return elapsed() + self.ahead


@dataclass(repr=False)
class Replica:
    """One of them."""

    parts: Components
    elapsed: Elapsed
    stack: contextlib.AsyncExitStack
    tasks: dict[str, "asyncio.Task[None]"] = field(default_factory=dict)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def holder(self) -> str:
        """The id by which the others know it."""
        holder: str = self.parts.store.leases.holder  # type: ignore[attr-defined]
        return holder

    @property
    def held(self) -> set[str]:
        return set(self.parts.holdings.held)

    async def crash(self) -> None:
        """End without a word: nothing is given back."""
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        await self._close()

    async def leave(self) -> None:
        """End in order, as the service does."""
        parts = self.parts
        self.stopping.set()
        parts.flusher.stop()
        await self.tasks.pop("flusher")
        await parts.holdings.leave()
        await self.tasks.pop("holdings")
        for name in ("catalogue", "tokens", "eraser"):
            self.tasks[name].cancel()
        parts.store.stop()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        await self._close()

    async def _close(self) -> None:
        self.tasks = {}
        await self.stack.aclose()
        self.parts.telemetry.close()


@dataclass(repr=False)
class Team:
    """Replicas that come and go over one database."""

    folder: Path
    emulator: Emulator
    clock: Clock
    url: str
    replicas: list[Replica] = field(default_factory=list)
    accepted: int = 0

    def config(self, **delivery: Any) -> Config:
        ca = self.folder / "ca.pem"
        ca.write_text(self.emulator.ca_pem)
        text = CONFIG + MORE_EVENTS.lstrip("\n")
        config = parse(text.format(ca=ca, url=self.emulator.url, store=self.url), {})
        given = {"linger": 0.02, "requests_per_minute": 30_000, "request_timeout": 600.0, **delivery}
        return config.model_copy(update={"delivery": config.delivery.model_copy(update=given)})

    async def join(self, **delivery: Any) -> Replica:
        """One more replica begins."""
        stack, clock = contextlib.AsyncExitStack(), Elapsed()
        telemetry = Telemetry(self.clock, level="error")
        runtime = Runtime(self.clock, time.monotonic, random.Random(7).random, elapsed=clock)
        parts = await open_parts(stack, Settings(self.config(**delivery)), telemetry, runtime)
        replica = Replica(parts, clock, stack)
        works = {
            "committer": parts.store.run(),
            "tokens": parts.tokens.run(),
            "flusher": parts.flusher.run(),
            "catalogue": parts.catalogue.run(),
            "eraser": parts.eraser.run(),
            "housekeeping": parts.housekeeping.run(replica.stopping),
        }
        replica.tasks = {name: asyncio.create_task(work) for name, work in works.items()}
        await parts.store.outbox.open_lanes(parts.settings.lanes())
        await parts.store.outbox.know_ids(parts.settings.identities())
        replica.tasks["holdings"] = asyncio.create_task(parts.holdings.run())
        self.replicas.append(replica)
        return replica

    async def settled(self) -> None:
        """Wait until every account is held by one replica, evenly."""

        def is_even() -> bool:
            numbers = [len(replica.held) for replica in self._alive]
            return sum(numbers) == len(ACCOUNT_IDS) and max(numbers) - min(numbers) <= 1

        await self.until(is_even)

    @property
    def _alive(self) -> list[Replica]:
        return [replica for replica in self.replicas if replica.tasks]

    def holder_of(self, account: str) -> Replica:
        (holder,) = [replica for replica in self._alive if account in replica.held]
        return holder

    def other_than(self, replica: Replica) -> Replica:
        return next(one for one in self._alive if one is not replica)

    def end_lease_of(self, replica: Replica) -> None:
        """As much time passes at the server as a lease takes."""
        with psycopg.connect(self.url, autocommit=True) as db:
            db.execute("UPDATE replicas SET alive_until = 0 WHERE holder = %s", (replica.holder,))

    @contextlib.asynccontextmanager
    async def frozen(self, replica: Replica) -> AsyncIterator[None]:
        """As if its process had been stopped for a minute: no heartbeat leaves, and only its own clock tells it."""
        async with replica.parts.holdings._turn:
            replica.elapsed.ahead += 60
            self.end_lease_of(replica)
            yield

    # --- rows --------------------------------------------------------------------------------------------------------

    async def post(self, replica: Replica, count: int = 1, account: str = "main") -> list[int]:
        """`count` conversions of an account come in at this replica; their numbers."""
        first = self.accepted
        self.accepted += count
        arrivals = [self._arrival(number, account) for number in range(first, first + count)]
        results = await replica.parts.store.outbox.put(arrivals)
        assert all(isinstance(result, Stored) for result in results)
        replica.parts.flusher.arrived({account: count})
        return [result.record.seq for result in results]

    def _arrival(self, number: int, account: str) -> Arrival:
        order = Conversion(
            event=EVENTS[account],
            account=account,
            goal="Sidecar Purchase",
            order_id=f"ORDER-{number}",
            time=UnixSeconds(self.clock() // 1000 - 60),
            time_given=True,
            value=Decimal(number),
            given_value=Decimal(number),
            currency="USD",
            msclkid=f"{number:032x}",
        )
        return Arrival(order, self.clock(), "request-1")

    def query(self, text: str) -> list[tuple[Any, ...]]:
        """What lies in the database."""
        with psycopg.connect(self.url, autocommit=True) as db:
            return db.execute(text).fetchall()  # type: ignore[call-overload,no-any-return]

    def states(self) -> Counter[str]:
        """How many rows are in each state."""
        return Counter(dict(self.query("SELECT state, count(*) FROM entries GROUP BY state")))

    async def until_delivered(self, count: int | None = None) -> None:
        await self.until(lambda: self.states()["delivered"] >= (self.accepted if count is None else count))

    async def balance(self) -> None:
        """Everything that was accepted is delivered, and at Microsoft as often as it should be."""
        assert self.states() == {"delivered": self.accepted}
        page = await self.emulator.ledger("conversions", limit=10_000)
        assert len(page["items"]) == self.accepted
        twice = [item for item in page["items"] if item["seen"] > 1]
        ((unsure,),) = self.query("SELECT count(*) FROM entries WHERE maybe_sent = 1")
        assert len(twice) <= unsure

    # --- Microsoft ---------------------------------------------------------------------------------------------------

    def hold(self, times: int = 1) -> ActiveRule:
        """`times` uploads arrive, as `fired` counts, and are answered once `release` was called."""
        action = {"type": "slow", "seconds": 600}
        return self.emulator.script.add(
            Rule.model_validate({"match": {"operation": APPLY}, "times": times, "after": 0, "action": action})
        )

    def release(self) -> None:
        """What was held is answered."""
        self.emulator.script.clear()

    async def tokens_given(self) -> int:
        """How often Microsoft gave an access token."""
        count = "SELECT count(*) FROM access_tokens"
        found: int = await self.emulator._state().transact(lambda db: db.execute(count).fetchone()[0])
        return found

    async def expire_tokens(self) -> None:
        """Microsoft takes none of them any more."""
        await self.emulator._state().transact(lambda db: expire_access_tokens(db, self.clock()))

    async def consent(self, url: str) -> dict[str, str]:
        """A person signs in at Microsoft's page: what its redirect brings back."""
        trust = ssl.create_default_context(cadata=self.emulator.ca_pem)
        async with aiohttp.ClientSession() as browser, browser.get(url, ssl=trust, allow_redirects=False) as answer:
            return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))

    async def requests(self, account: str | None = None, operation: str = APPLY) -> list[dict[str, Any]]:
        """Every request that arrived, oldest first."""
        page = await self.emulator.ledger("requests", account=ACCOUNT_IDS.get(account or ""), limit=10_000)
        return [item for item in page["items"] if item["operation"] == operation]

    async def until(self, holds: Callable[[], Any], seconds: float = DEADLINE_SECONDS) -> None:
        """Wait for a condition, plain or awaitable."""
        async with asyncio.timeout(seconds):
            while True:
                found = holds()
                if await found if isinstance(found, Awaitable) else found:
                    return
                await asyncio.sleep(0.02)

    async def close(self) -> None:
        for replica in self._alive:
            await replica.crash()
        postgres_kit.drop(self.url)


@contextlib.asynccontextmanager
async def team_of(folder: Path, **emulator: Any) -> AsyncIterator[Team]:
    """An emulator and an empty database, without a replica yet."""
    clock = Clock()
    async with Emulator(options(**emulator), clock) as started:
        team = Team(folder, started, clock, postgres_kit.empty_database())
        try:
            yield team
        finally:
            await team.close()
