"""The loop that empties the outbox: one courier an account, so that a slow or broken account holds up no other."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sidecar.delivery.courier import Courier


@dataclass(slots=True)
class Flusher:
    """Runs a courier for each account; `courier` makes one."""

    courier: Callable[[str], Courier]
    grace_seconds: float = 10.0
    """How long requests on their way may take to come back when the process stops."""
    _couriers: dict[str, Courier] = field(default_factory=dict)
    _accounts: asyncio.Queue[Sequence[str]] = field(default_factory=asyncio.Queue)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Carry until `stop`, then let what is on its way come back, within the grace time.

        What does not come back stays claimed: the next start sends it again, the very same bytes.
        """
        async with asyncio.TaskGroup() as group:
            while not self._stopping.is_set():
                for account in await self._accounts.get():
                    self._start(group, account)
            tasks = set(self._tasks)
            if tasks:
                _, late = await asyncio.wait(tasks, timeout=self.grace_seconds)
                for task in late:
                    task.cancel()

    def _start(self, group: asyncio.TaskGroup, account: str) -> None:
        if account not in self._couriers:
            self._couriers[account] = self.courier(account)
            self._tasks.append(group.create_task(self._couriers[account].run(self._stopping)))

    def serve(self, accounts: Sequence[str]) -> None:
        """Carry the rows of these accounts too."""
        self._accounts.put_nowait(accounts)

    def arrived(self, rows: Mapping[str, int]) -> None:
        """So many rows of each account came in."""
        for account, number in rows.items():
            if courier := self._couriers.get(account):
                courier.wake(number)

    def wake_all(self) -> None:
        """Something opened: every courier looks again."""
        for courier in self._couriers.values():
            courier.wake()

    def stop(self) -> None:
        """Claim nothing more."""
        self._stopping.set()
        self.wake_all()
        self._accounts.put_nowait(())
