"""A trial: replicas, callers and disasters together, until all is settled; then what the checker finds."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import psycopg
from history_check.checking import violations
from history_check.events import Answered, Event
from history_check.violation import Kind, Violation
from postgres_server_kit import PostgresServer
from process_kit.emulator import Microsoft, microsoft
from process_kit.running import Starter
from process_kit.service import GOALS, Json, Sidecar, config

from replica_trial import audit, collecting
from replica_trial.backlog import Backlog
from replica_trial.cable import cable
from replica_trial.callers import Caller
from replica_trial.replica import Replica, replica

DATABASE = "trial"
AGREE_SECONDS = 20.0
"""A replica reads what others changed once a second, on a machine that may be busy."""

PENDING = "SELECT count(*) FROM entries WHERE state = 'pending'"


@dataclass
class Trial:
    """Replicas over one database, the emulator, and callers for each account."""

    folder: Path
    there: Microsoft
    replicas: list[Replica]
    primary: Callable[[], PostgresServer]
    accounts: Sequence[str]
    requests_per_minute: int
    chance: random.Random
    callers: list[Caller] = field(default_factory=list)
    disasters: list[Event] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The database, without a cable."""
        return self.primary().url(DATABASE)

    async def begin(self) -> None:
        """Start the first replica, which makes the tables, and then the others."""
        await self.begin_alone()
        await self.join()

    async def begin_alone(self) -> None:
        """Start the first replica."""
        await self.replicas[0].start()
        await asyncio.to_thread(audit.install, self.url)

    async def join(self) -> None:
        """Start the other replicas."""
        await asyncio.gather(*(one.start() for one in self.replicas[1:]))

    def up(self) -> list[tuple[str, Sidecar]]:
        """The replicas that seem to listen."""
        return [(one.name, one.sidecar) for one in self.replicas if one.sidecar is not None]

    @asynccontextmanager
    async def load(self, pause: float, enough: int = 1_000_000) -> AsyncIterator[None]:
        """Callers at work, one for each account, until the end of the block; each rests while `enough` rows wait."""
        backlog = Backlog(lambda: self.url, enough)
        self.callers += [
            Caller(account, number, self.up, random.Random(self.chance.random()), pause, backlog.is_full)
            for number, account in enumerate(self.accounts, start=len(self.callers) + 1)
        ]
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for caller in self.callers:
                group.create_task(caller.run(over))
            group.create_task(backlog.watch(over))
            try:
                yield
            finally:
                over.set()

    async def settled(self, seconds: float) -> None:
        """Wait until nothing is pending."""
        until = time.monotonic() + seconds
        while left := await asyncio.to_thread(self.pending):
            assert time.monotonic() < until, f"{left} rows are still pending after {seconds:g} s\n{self.outputs()}"
            await asyncio.sleep(0.5)

    def pending(self) -> int:
        with psycopg.connect(self.url, autocommit=True) as db:
            ((count,),) = db.execute(PENDING).fetchall()
            return int(count)

    async def log(self) -> list[Event]:
        names = {account_id(number): account for number, account in enumerate(self.accounts)}
        log = await collecting.whole_log(self.url, self.there, names, self.answers, dict(self.up()))
        return [*log, *self.disasters]

    async def violations(self) -> list[Violation]:
        """What the checker finds, once the replicas' own counts had time to agree; the log is left in the folder."""
        until = time.monotonic() + AGREE_SECONDS
        while True:
            log = await self.log()
            found = violations(log, self.requests_per_minute)
            if not found or time.monotonic() > until or any(one.kind is not Kind.BOOKS for one in found):
                break
            await asyncio.sleep(0.5)
        self.folder.joinpath("log.txt").write_text("\n".join(map(str, log)))
        return found

    async def check(self) -> None:
        """An AssertionError that lists everything that is wrong."""
        found = [*map(str, await self.violations()), *self.wrong]
        assert not found, "\n".join([*found[:20], f"{len(found)} in all, the log is in {self.folder}/log.txt"])

    @property
    def answers(self) -> list[Answered]:
        return [answer for caller in self.callers for answer in caller.answers]

    @property
    def wrong(self) -> list[str]:
        return [told for caller in self.callers for told in caller.wrong]

    def outputs(self) -> str:
        """The end of what each replica wrote."""
        return "\n".join(
            f"{one.name}: {(one.running.out + one.running.err)[-1500:]}" for one in self.replicas if one.running
        )


def account_id(number: int) -> str:
    return str(210_000_000 + number)


def _settings(there: Microsoft, accounts: Sequence[str], requests_per_minute: int, **delivery: object) -> Json:
    named = {
        account: {"customer_id": str(100_000_000 + number), "account_id": account_id(number)}
        for number, account in enumerate(accounts)
    }
    pace = {"requests_per_minute": requests_per_minute, "goal_settle": "0s", "click_settle": "0s", **delivery}
    return config(there, delivery={"linger": "0s", **pace}, accounts=named, adjustments={"settle": "0s"})


@asynccontextmanager
async def opened(
    folder: Path,
    servers: Sequence[PostgresServer],
    primary: Callable[[], PostgresServer],
    *,
    seed: int,
    replicas: int = 3,
    accounts: int = 5,
    requests_per_minute: int = 60,
    **delivery: object,
) -> AsyncIterator[Trial]:
    """A trial whose replicas are not started yet; its database is empty. Everything ends with it."""
    names = [f"shop{number}" for number in range(accounts)]
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)))
        starter = Starter(folder)
        stack.push_async_callback(starter.end_all)
        there = await starter.stack.enter_async_context(microsoft(starter, *GOALS, requests_per_minute=100_000))
        settings = _settings(there, names, requests_per_minute, **delivery)
        made: list[Replica] = []
        for number in range(replicas):
            cables = [await stack.enter_async_context(cable(server.port)) for server in servers]
            one = replica(f"replica {number}", folder, session, settings, cables, DATABASE)
            stack.push_async_callback(one.services.starter.end_all)
            made.append(one)
        await asyncio.to_thread(primary().run, f"CREATE DATABASE {DATABASE}")
        yield Trial(folder, there, made, primary, names, requests_per_minute, random.Random(seed))
