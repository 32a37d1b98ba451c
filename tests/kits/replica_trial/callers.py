"""Callers: one for each account, who post clicks, conversions and adjustments to any replica until each is answered."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

import aiohttp
from history_check.events import Answered, Item
from process_kit.service import Json, Sidecar

PATIENCE = aiohttp.ClientTimeout(total=5)
"""How long a caller waits for an answer before the same goes to another replica."""

REPEATED = 0.05
"""The share of answers after which the same is posted again all the same."""

AGE = 2 * 3600
"""How many seconds ago the orders were placed."""


@dataclass
class Caller:
    """Posts what happens in one account, one thing after another; `up` tells which replicas seem to listen."""

    account: str
    number: int
    up: Callable[[], Sequence[tuple[str, Sidecar]]]
    chance: random.Random
    pause: float
    is_ahead: Callable[[str], bool] = lambda account: False
    """Whether more of the account waits than it needs to be busy."""
    answers: list[Answered] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    _orders: list[Item] = field(default_factory=list)
    _count: int = 0

    async def run(self, over: asyncio.Event) -> None:
        while not over.is_set():
            await asyncio.sleep(self.chance.uniform(0, 2 * self.pause))  # at no regular time
            if not self.is_ahead(self.account):
                await self.step()

    async def step(self) -> None:
        """One thing: mostly an order, sometimes one of a visitor, sometimes a change of an earlier one."""
        kind = self.chance.random()
        if kind < 0.25 and self._orders:
            await self._adjust()
        else:
            await self._order(of_visitor=kind > 0.85)

    async def _order(self, *, of_visitor: bool) -> None:
        self._count += 1
        click = f"{self.number:08x}{self._count:024x}"
        item = Item("conversion", self.account, f"{self.account}-{self._count}", click, self._value())
        placed_at = int(time.time()) - AGE
        who: Json = {"msclkid": click}
        if of_visitor:
            who = {"visitor_id": f"visitor-{click}"}
            clicked = {**who, "account": self.account, "msclkid": click, "time": placed_at - 60}
            await self._until_answered("/v1/clicks", replace(item, what="click", order=who["visitor_id"]), clicked)
        body = {"event": "purchase", "account": self.account, "order_id": item.order, "time": placed_at, **who}
        if await self._until_answered("/v1/conversions", item, {**body, "value": float(item.value or 0)}):
            self._orders.append(item)

    async def _adjust(self) -> None:
        place = self.chance.randrange(max(0, len(self._orders) - 10), len(self._orders))
        original = self._orders[place]
        self._count += 1
        is_retract = self.chance.random() < 0.2
        value = None if is_retract else self._value()
        item = replace(
            original, what="adjustment", value=value, is_retract=is_retract, key=f"{self.account}-a{self._count}"
        )
        body: Json = {"order_id": item.order, "event": "purchase", "type": "retract" if is_retract else "restate"}
        if value is not None:
            body["value"] = float(value)
        await self._until_answered("/v1/adjustments", item, body)
        if is_retract:
            self._orders.pop(place)

    def _value(self) -> Decimal:
        return Decimal(self.chance.randrange(1, 100_000)) / 100

    async def _until_answered(self, path: str, item: Item, body: Json) -> bool:
        """Post until there is an answer, to another replica after each failure, as callers are told to."""
        while True:
            if not (up := self.up()):
                await asyncio.sleep(0.05)  # no replica listens now
                continue
            name, sidecar = self.chance.choice(up)
            status, answer = await self._post(sidecar, path, item, body)
            self.answers.append(Answered(time.time_ns() // 1_000_000, name, item, status, answer.get("id")))
            if status in (200, 202):
                if self.chance.random() >= REPEATED:
                    return True
                continue  # as if the answer had been lost
            if status not in (0, 503):
                self.wrong.append(f"{name} answered {status} {answer} to {path} {body}")
                return False
            await asyncio.sleep(self.chance.uniform(0.05, 0.3))

    async def _post(self, sidecar: Sidecar, path: str, item: Item, body: Json) -> tuple[int, Json]:
        headers = {"Content-Type": "application/json"}
        if item.key:
            headers["Idempotency-Key"] = item.key
        if sidecar.key:
            headers["Authorization"] = f"Bearer {sidecar.key}"
        try:
            url = sidecar.url + path
            async with sidecar.session.post(url, json=body, headers=headers, timeout=PATIENCE) as response:
                answer = await response.json(content_type=None)
                return response.status, answer
        except (aiohttp.ClientError, ConnectionError, TimeoutError, ValueError):
            return 0, {}
