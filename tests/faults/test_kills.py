"""kill -9 at random moments, again and again: what was answered 202 is there, and nothing counts twice."""

import asyncio
import random
import time
from dataclasses import dataclass

import pytest
from process_kit import shop
from process_kit.emulator import Microsoft, microsoft
from process_kit.expected import differences, received
from process_kit.patient import Patient, identified
from process_kit.running import Starter
from process_kit.service import GOALS, LISTENING, Json, Services, Sidecar, config
from promises import Show

CLIENTS = 4
LONGEST_LIFE_SECONDS = 1.5
KILLED_AT_START = 0.15
"""The share of lives that end before the service listens."""


@dataclass
class Trial:
    """A sidecar that lives many short lives on one outbox."""

    services: Services
    settings: Json
    backends: list[Patient]
    chance: random.Random
    early: int = 0

    async def live_and_die(self) -> None:
        """One life."""
        running = await self.services.launch(self.settings)
        if self.chance.random() < KILLED_AT_START:
            self.early += 1
            await asyncio.sleep(self.chance.uniform(0.2, 1.2))  # killed at any moment of its start
            await running.kill()
            return
        sidecar = Sidecar(running, await running.output_matching(LISTENING), self.services.session)
        async with asyncio.TaskGroup() as group:
            for backend in self.backends:
                group.create_task(backend.post_until_killed(sidecar))
            await asyncio.sleep(self.chance.uniform(0.0, LONGEST_LIFE_SECONDS))  # killed at any moment
            await running.kill()

    async def last_life(self) -> Sidecar:
        """Everything is answered and settled in the end."""
        sidecar = await self.services.start(self.settings)
        async with asyncio.TaskGroup() as group:
            for backend in self.backends:
                group.create_task(backend.post_until_killed(sidecar))
        await sidecar.settled(120)
        return sidecar


async def _trouble(there: Microsoft) -> None:
    """Slow answers, so that many a kill falls between request and answer; and lost ones."""
    await there.fault("slow", times=None, probability=0.5, seed=1, seconds=0.15)
    await there.fault("reset_after", times=None, probability=0.02, seed=2)
    for number in range(20):
        await there.fault("expire_tokens", after=10 + 50 * number)


def _bodies(rounds: int) -> list[Json]:
    """Orders enough for all the lives of a sidecar that is killed `rounds` times."""
    return identified(shop.orders(int(time.time()), step=max(2, 180 // rounds)))


async def _kill_often(starter: Starter, services: Services, rounds: int, seed: int) -> tuple[str, int, str]:
    """What was tried, what was lost or counted twice, and a figure."""
    there = await starter.stack.enter_async_context(microsoft(starter, *GOALS))
    await _trouble(there)
    bodies = _bodies(rounds)
    backends = [Patient(bodies[n::CLIENTS], random.Random(seed + n)) for n in range(CLIENTS)]
    trial = Trial(services, config(there, delivery={"batch_size": 100}), backends, random.Random(seed))
    for _ in range(rounds):
        await trial.live_and_die()
    killed_with = sum(backend.unanswered for backend in backends)
    sidecar = await trial.last_life()
    answered = {order_id: timed for backend in backends for order_id, timed in backend.answered.items()}
    assert len(answered) == len(bodies)
    accounts = await sidecar.accounts(len(answered))
    assert accounts["delivered"] == len(answered)
    rows = await there.ledger()
    assert not [row["raw"] for row in rows if row["changed"]]
    told = differences(answered.values(), [received(row["raw"]) for row in rows])
    assert not told, "\n".join(told[:5])
    repeated = sum(row["seen"] > 1 for row in rows)
    return (
        f"{rounds} kills at random, {trial.early} of them before it listened, under {len(answered):,} orders",
        len(told),
        f"{killed_with} requests without an answer, {repeated} rows sent again byte for byte",
    )


async def test_what_was_answered_202_survives_kill_9_and_counts_once(starter: Starter, services: Services) -> None:
    """The short form: five lives."""
    await _kill_often(starter, services, rounds=5, seed=9)


@pytest.mark.faults
@pytest.mark.promise("A3")
@pytest.mark.timeout(3_600)
async def test_what_was_answered_202_survives_500_times_kill_9_and_counts_once(
    starter: Starter, services: Services, shown: Show
) -> None:
    shown(*await _kill_often(starter, services, rounds=500, seed=1997))
