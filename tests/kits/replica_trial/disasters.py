"""What happens to replicas, to their network and to the database, in an order that a seed decides."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from history_check.events import Disaster, Event
from postgres_server_kit import ServerPair

from replica_trial.replica import Replica

AFTERMATH_MILLIS = 20_000
"""A replica that died or hangs is found out within its lease of 14 s, and by a poll each second."""


@dataclass
class Disasters:
    """Two lists of disasters, and what has happened: replicas share one, the servers have the other.

    They come in storms. In the calm after each all accounts are busy, and a rolling restart moves them.
    """

    replicas: Sequence[Replica]
    pair: ServerPair
    chance: random.Random
    freeze_seconds: float
    life_seconds: float = 1.0
    """How long a replica listens between two of its disasters, on average."""
    silence_seconds: float = 5.0
    server_pause: float = 10.0
    calm_seconds: float = 0.0
    """How long nothing happens before and after a rolling restart; 0 for storms only."""
    log: list[Event] = field(default_factory=list)
    happened: Counter[str] = field(default_factory=Counter)
    early: int = 0
    """Kills before the replica listened."""
    _left: list[str] = field(default_factory=list)

    async def run(self, replicas: Mapping[str, int], servers: Mapping[str, int], storms: int = 1) -> None:
        """All of them, as many of each as is given; in the end every replica lives and reaches the database."""
        to_replicas, to_servers = self._shuffled(replicas), self._shuffled(servers)
        for number in range(storms):
            await self._storm(to_replicas[number::storms], to_servers[number::storms])
            if self.calm_seconds:
                await self._calm()

    async def _storm(self, to_replicas: list[str], to_servers: Sequence[str]) -> None:
        self._left = to_replicas
        async with asyncio.TaskGroup() as group:
            group.create_task(self._servers(to_servers))
            for replica in self.replicas:
                group.create_task(self._of_replica(replica))
        for replica in self.replicas:
            await replica.start_again()

    async def _calm(self) -> None:
        await asyncio.sleep(self.calm_seconds)  # how long nothing happens
        for replica in self.replicas:
            await self._happen("SIGTERM", replica)
        await asyncio.sleep(self.calm_seconds)  # how long nothing happens

    def _shuffled(self, wanted: Mapping[str, int]) -> list[str]:
        kinds = [kind for kind, times in wanted.items() for _ in range(times)]
        self.chance.shuffle(kinds)
        return kinds

    async def _of_replica(self, replica: Replica) -> None:
        while self._left:
            kind = self._left.pop()
            await asyncio.sleep(self.chance.uniform(0, 2 * self.life_seconds))  # at no regular time
            await self._happen(kind, replica)

    async def _happen(self, kind: str, replica: Replica) -> None:
        ways: dict[str, Callable[[Replica], Awaitable[None]]] = {
            "kill -9": self._kill,
            "SIGSTOP": self._freeze,
            "cut": self._cut,
            "silence": self._silence,
            "SIGTERM": self._restart,
        }
        with self._noted(f"{kind} of {replica.name}"):
            await ways[kind](replica)
            await replica.start_again()
        self.happened[kind] += 1

    async def _kill(self, replica: Replica) -> None:
        if self.chance.random() < 0.85:
            await replica.kill()
            return
        await replica.kill()
        starting = asyncio.create_task(replica.start_again())
        await asyncio.sleep(self.chance.uniform(0, 1.5))  # killed again at any moment of its start
        self.early += replica.sidecar is None
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await replica.kill()

    async def _freeze(self, replica: Replica) -> None:
        if replica.running is not None:
            with replica.frozen():
                await asyncio.sleep(self.freeze_seconds)  # how long the machine pauses

    async def _restart(self, replica: Replica) -> None:
        await replica.stop()

    async def _cut(self, replica: Replica) -> None:
        for cable in replica.cables:
            cable.cut()
        await asyncio.sleep(self.chance.uniform(0.1, self.silence_seconds))  # how long the network is away
        for cable in replica.cables:
            cable.restore()

    async def _silence(self, replica: Replica) -> None:
        for cable in replica.cables:
            cable.silence()
        await asyncio.sleep(self.chance.uniform(0.1, self.silence_seconds))  # how long nothing comes through
        for cable in replica.cables:
            cable.restore()

    async def _servers(self, kinds: Sequence[str]) -> None:
        for kind in kinds:
            await asyncio.sleep(self.chance.uniform(0.5, 1.5) * self.server_pause)  # at no regular time
            work = self.pair.fail_over if kind == "promotion" else self.pair.primary.restart
            with self._noted(kind):
                await asyncio.to_thread(work)
            if kind == "promotion":
                await asyncio.to_thread(self.pair.join)
            self.happened[kind] += 1

    @contextlib.contextmanager
    def _noted(self, what: str) -> Iterator[None]:
        """Note for the log when it began, and until when it may cost answers."""
        began = time.time_ns() // 1_000_000
        try:
            yield
        finally:
            self.log.append(Disaster(began, time.time_ns() // 1_000_000 + AFTERMATH_MILLIS, what))
