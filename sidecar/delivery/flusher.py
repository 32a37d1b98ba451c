"""The loop that empties the outbox: one courier an account, so that a slow or broken account holds up no other.

A courier ends where nothing is due: ten thousand idle accounts cost nothing.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from sidecar.delivery.courier import Courier


def _carry_elsewhere(rows: Mapping[str, int]) -> None:
    """Rows of accounts without a courier wait until they get one."""


@dataclass(slots=True)
class Flusher:
    """Runs a courier for each account that it serves while something of it may be due; `courier` makes one."""

    courier: Callable[[str], Courier]
    grace_seconds: float = 10.0
    """How long requests on their way may take when the process stops."""
    elsewhere: Callable[[Mapping[str, int]], None] = _carry_elsewhere
    """Called with the rows that arrived for accounts which it does not serve: another replica may."""
    begun: Callable[[str], None] = lambda account: None
    """Called with an account that got a courier, since something of it may be due."""
    _served: set[str] = field(default_factory=set)
    _couriers: dict[str, Courier] = field(default_factory=dict)
    _accounts: asyncio.Queue[Sequence[str]] = field(default_factory=asyncio.Queue)
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _all_tasks: set[asyncio.Task[None]] = field(default_factory=set)
    """Also those of couriers that claim nothing more, and wait for their last answers."""
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Carry until `stop`, then wait for the requests on their way, within the grace time.

        A batch without an answer stays claimed: the next start sends the same bytes again.
        """
        async with asyncio.TaskGroup() as group:
            while not self._stopping.is_set():
                for account in await self._accounts.get():
                    if self._courier(account) is None and account in self._served:
                        self._couriers[account] = self.courier(account)
                        self.begun(account)
                        self._tasks[account] = group.create_task(self._couriers[account].run())
                        self._all_tasks.add(self._tasks[account])
                        self._tasks[account].add_done_callback(self._all_tasks.discard)
            if self._all_tasks:
                _, late = await asyncio.wait(set(self._all_tasks), timeout=self.grace_seconds)
                for task in late:
                    task.cancel()

    def serve(self, accounts: Sequence[str]) -> None:
        """Carry the rows of these accounts too, each once something of it may be due: `wake` brings a courier."""
        self._served.update(accounts)

    def _courier(self, account: str) -> Courier | None:
        """The account's courier, unless it has ended."""
        courier = self._couriers.get(account)
        return None if courier is None or courier.is_over else courier

    def abandon(self, accounts: Collection[str]) -> None:
        """Claim nothing more of these accounts."""
        for account in accounts:
            self._served.discard(account)
            if courier := self._couriers.pop(account, None):
                courier.stop()

    async def end(self, account: str) -> None:
        """Claim nothing more of the account, and return once every answer to what was sent is settled."""
        task = self._tasks.get(account)
        self.abandon([account])
        if task:
            await asyncio.wait({task})

    def arrived(self, rows: Mapping[str, int]) -> None:
        """Wake the couriers of these accounts, which received that many rows."""
        others = {}
        for account, number in rows.items():
            if courier := self._courier(account):
                courier.wake(number)
            elif account in self._served:
                self._accounts.put_nowait([account])
            else:
                others[account] = number
        if others:
            self.elsewhere(others)

    def wake(self, account: str) -> None:
        """Make the account's courier look around, where the account is served."""
        if courier := self._courier(account):
            courier.wake()
        elif account in self._served:
            self._accounts.put_nowait([account])

    def due(self, account: str) -> None:
        """Give the account a courier, where it is served and has none: one that has it knows what is due."""
        if self._courier(account) is None:
            self.wake(account)

    def look_again(self, account: str) -> None:
        """Make the account's courier look around, if it has one: something opened."""
        if courier := self._courier(account):
            courier.wake()

    def wake_all(self) -> None:
        """Make every courier look around: something opened."""
        for courier in self._couriers.values():
            courier.wake()

    def stop(self) -> None:
        """Claim nothing more."""
        self._stopping.set()
        for courier in self._couriers.values():
            courier.stop()
        self._accounts.put_nowait(())
