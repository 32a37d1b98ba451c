"""A backend that repeats each request until it is answered, as clients are told to."""

import asyncio
import contextlib
import random
from collections.abc import Iterable
from dataclasses import dataclass, field

import aiohttp

from process_kit.expected import Timed, held, is_identified, second
from process_kit.service import EVENTS, Json, Sidecar
from process_kit.shop import Order

LONGEST_PAUSE_SECONDS = 0.05
SIZES = (1, 1, 1, 1, 3, 20)
"""How many orders a request carries."""


def identified(orders: Iterable[Order]) -> list[Json]:
    """The bodies of those orders that are stored: with a click id, or a person."""
    return [body for order in orders if is_identified(held(body := order.body(), EVENTS))]


@dataclass
class Patient:
    """Posts its orders one request after another, and repeats a request until it is answered, as told to clients."""

    waiting: list[Json]
    chance: random.Random
    answered: dict[str, Timed] = field(default_factory=dict)
    unanswered: int = 0

    async def post_until_killed(self, sidecar: Sidecar) -> None:
        """Until the connection breaks; what has no answer stays first in line."""
        with contextlib.suppress(aiohttp.ClientError, ConnectionError):
            while self.waiting:
                await asyncio.sleep(self.chance.uniform(0, LONGEST_PAUSE_SECONDS))  # at no regular time
                chunk = self.waiting[: self.chance.choice(SIZES)]
                self.unanswered += 1
                answer = await sidecar.post(chunk)
                self.unanswered -= 1
                self._note(chunk, answer.status, answer.json())

    def _note(self, chunk: list[Json], status: int, answer: Json) -> None:
        if status == 503:  # outcome unknown: the same again
            return
        assert status == 202, answer
        for body in chunk:
            self.answered[body["order_id"]] = held(body, EVENTS), second(body["time"])
        del self.waiting[: len(chunk)]
