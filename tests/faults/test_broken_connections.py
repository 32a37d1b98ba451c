"""Connections to Microsoft that break in every way: everything goes out once, and nothing of them is left behind."""

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from process_kit.emulator import Microsoft, microsoft
from process_kit.fault_proxy import FAULTS, FaultProxy, fault_proxy
from process_kit.running import Starter
from process_kit.service import GOALS, LISTENING, Json, Services, Sidecar, config
from process_kit.vitals import Vitals, started_with, vitals
from promises import Show

POST_SECONDS = 0.3
"""Between two arrays, with an order for each account."""

IDLE_SECONDS = 20
"""By then connections without use are closed."""

MEMORY = 6 * 2**20
"""More than this is no noise of the allocator."""


@dataclass
class Line:
    """A sidecar with many accounts, and what it was given."""

    sidecar: Sidecar
    proxy: FaultProxy
    accounts: tuple[str, ...]
    file: Path
    posted: int = 0
    numbers: Iterator[int] = field(default_factory=itertools.count)

    async def post(self) -> None:
        """An order for each account, by a click of its own."""
        clicks = {account: f"{next(self.numbers):032x}" for account in self.accounts}
        bodies = [
            {"event": "purchase", "account": account, "order_id": click, "value": 1, "msclkid": click}
            for account, click in clicks.items()
        ]
        answer = await self.sidecar.post(bodies)
        assert answer.status == 202, answer.text
        self.posted += len(bodies)

    async def break_connections(self, count: int) -> None:
        """Break connections `count` times while orders come in. Older connections end: they would be used for ever."""
        await self.proxy.end()
        until = self.proxy.faults.total() + count
        self.proxy.breaking = True
        while self.proxy.faults.total() < until:
            await self.post()
            await asyncio.sleep(POST_SECONDS)  # the rate of the orders
        self.proxy.breaking = False

    async def at_rest(self) -> Vitals:
        """How it is once everything went out and idle connections are closed."""
        await self.sidecar.settled(180)
        best, quiet = await vitals(self.sidecar.running, self.file), 0
        while quiet < IDLE_SECONDS:
            await asyncio.sleep(1)
            now = await vitals(self.sidecar.running, self.file)
            quiet = 0 if (now.sockets, now.tasks) < (best.sockets, best.tasks) else quiet + 1
            best = min(best, now, key=lambda one: (one.sockets, one.tasks))
        return best


def _settings(there: Microsoft, proxy: FaultProxy, accounts: tuple[str, ...]) -> Json:
    """Every account is another customer, so that a fault of one holds up no other."""
    settings = config(there, delivery={"request_timeout": "2s"})
    settings["microsoft"]["endpoints"]["campaign"] = proxy.url
    settings["accounts"] = {
        name: {"customer_id": str(100_000_000 + n), "account_id": str(200_000_000 + n)}
        for n, name in enumerate(accounts)
    }
    return settings


async def _line(starter: Starter, services: Services, accounts: int, seed: int) -> tuple[Microsoft, Line]:
    """Microsoft, and a sidecar that reaches it through the proxy."""
    there = await starter.stack.enter_async_context(microsoft(starter, *GOALS))
    address = urlsplit(there.url)
    assert address.hostname is not None and address.port is not None
    proxy = await starter.stack.enter_async_context(fault_proxy(address.hostname, address.port, seed))
    names = tuple(f"shop{n}" for n in range(accounts))
    file = starter.folder / "vitals.json"
    running = await services.launch(_settings(there, proxy, names), before=started_with(file))
    sidecar = Sidecar(running, await running.output_matching(LISTENING), services.session)
    return there, Line(sidecar, proxy, names, file)


async def _lost(there: Microsoft, line: Line) -> tuple[int, str]:
    """Orders that are not at Microsoft, or there with other bytes the second time; and a figure."""
    ledger = await there.ledger()
    delivered = (await line.sidecar.accounts(line.posted))["delivered"]
    lost = (line.posted - delivered) + (line.posted - len(ledger)) + sum(row["changed"] for row in ledger)
    return lost, f"{line.posted:,} orders, {sum(row['seen'] > 1 for row in ledger)} of them sent again"


async def test_broken_connections_lose_nothing(starter: Starter, services: Services) -> None:
    """The short form: whether they leave something behind takes longer to see."""
    there, line = await _line(starter, services, accounts=10, seed=5)
    await line.break_connections(15)
    await line.sidecar.settled(180)
    assert (await _lost(there, line))[0] == 0
    assert {"shop0", "shop9"} <= {row["account"] for row in await line.sidecar.rows()}


@pytest.mark.faults
@pytest.mark.promise("B15")
@pytest.mark.timeout(3_600)
async def test_1000_broken_connections_lose_nothing_and_leave_nothing_behind(
    starter: Starter, services: Services, shown: Show
) -> None:
    there, line = await _line(starter, services, accounts=40, seed=15)
    await line.break_connections(200)  # what is made once is made now
    before = await line.at_rest()
    await line.break_connections(1_000)
    after = await line.at_rest()
    lost, figure = await _lost(there, line)
    told = f"before: {before}; after: {after}"
    assert after.tasks <= before.tasks, told
    assert after.sockets <= before.sockets, told
    assert after.files <= before.files, told
    assert after.memory <= before.memory + MEMORY, told
    shown(f"1,000 broken connections of {len(FAULTS)} kinds", lost=lost, figure=f"{figure}; {told}")
