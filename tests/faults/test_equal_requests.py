"""The same request from many connections at once, and again after a kill -9: one row, for each kind of key."""

import asyncio
import time
from dataclasses import dataclass

import pytest
from process_kit.emulator import microsoft
from process_kit.running import Starter
from process_kit.service import GOALS, LISTENING, Answer, Json, Services, Sidecar, config
from promises import Show

AT_ONCE = 50
CLICK = "f894f652ea334e739002f7167ab8f8e3"


@dataclass(frozen=True)
class Equal:
    """Requests that mean one conversion, and one with the same key that means another."""

    body: Json
    other: Json
    key: str = ""

    async def post(self, sidecar: Sidecar, body: Json) -> Answer:
        return await sidecar.post(body, **({"Idempotency-Key": self.key} if self.key else {}))


def _requests(round_: int) -> list[Equal]:
    """One for each kind of key."""
    now = int(time.time()) - 600 - round_
    order = {"event": "purchase", "value": 10, "msclkid": CLICK, "time": now}
    click = f"{CLICK[:24]}{round_:08x}"
    return [
        Equal(order | {"order_id": f"ORDER-{round_}"}, order | {"order_id": f"ORDER-{round_}", "value": 11}),
        Equal(order | {"time": now - 100_000}, order | {"time": now - 100_000, "value": 11}, key=f"key-{round_}"),
        Equal(order | {"msclkid": click}, order | {"msclkid": click, "value": 11}),
    ]


async def _at_once(sidecar: Sidecar, equal: Equal) -> list[Answer]:
    """Equal requests from many connections, and among them some of the other content."""
    bodies = [equal.other if number % 10 == 9 else equal.body for number in range(AT_ONCE)]
    return await asyncio.gather(*(equal.post(sidecar, body) for body in bodies))


def _wrong(answers: list[Answer], stored: int) -> int:
    """How many rows too many, or too few, these answers tell of; one content wins, the other conflicts."""
    statuses = [answer.status for answer in answers]
    ids = {answer.json()["id"] for answer in answers if answer.status in (200, 202)}
    assert set(statuses) <= {200, 202, 409}
    assert statuses.count(409) in (AT_ONCE // 10, AT_ONCE - AT_ONCE // 10)
    return abs(statuses.count(202) - stored) + abs(len(ids) - 1)


async def _repeat(starter: Starter, services: Services, rounds: int) -> tuple[int, int]:
    """How many requests were made, and how many rows were wrong."""
    there = await starter.stack.enter_async_context(microsoft(starter, *GOALS))
    settings = config(there)
    made = wrong = rows = 0
    for round_ in range(rounds):
        running = await services.launch(settings)
        sidecar = Sidecar(running, await running.output_matching(LISTENING), services.session)
        requests = _requests(round_)
        for stored in (1, 0):
            for equal in requests:
                wrong += _wrong(await _at_once(sidecar, equal), stored)
                made += AT_ONCE
                rows += stored
            if stored:
                await running.kill()
                running = await services.launch(settings)
                sidecar = Sidecar(running, await running.output_matching(LISTENING), services.session)
        wrong += abs(len(await sidecar.rows()) - rows)
        await running.kill()
    return made, wrong


async def test_equal_requests_make_one_row_also_after_a_kill(starter: Starter, services: Services) -> None:
    """The short form: one round."""
    _, wrong = await _repeat(starter, services, rounds=1)
    assert wrong == 0


@pytest.mark.faults
@pytest.mark.promise("B13")
@pytest.mark.timeout(600)
async def test_equal_requests_of_20_rounds_make_one_row_also_after_a_kill(
    starter: Starter, services: Services, shown: Show
) -> None:
    made, wrong = await _repeat(starter, services, rounds=20)
    shown(f"{made:,} equal requests, {AT_ONCE} at once, of 3 kinds of keys, with 20 kills between", lost=wrong)
