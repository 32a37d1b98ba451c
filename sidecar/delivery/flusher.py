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
    """How long requests on their way may take when the process stops."""
    _couriers: dict[str, Courier] = field(default_factory=dict)
    _accounts: asyncio.Queue[Sequence[str]] = field(default_factory=asyncio.Queue)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Carry until `stop`, then wait for the requests on their way, within the grace time.

        A batch without an answer stays claimed: the next start sends the same bytes again.
        """
        async with asyncio.TaskGroup() as group:
            while not self._stopping.is_set():
                for account in await self._accounts.get():
                    if account not in self._couriers:
                        self._couriers[account] = self.courier(account)
                        self._tasks.append(group.create_task(self._couriers[account].run(self._stopping)))
            tasks = set(self._tasks)
            if tasks:
                _, late = await asyncio.wait(tasks, timeout=self.grace_seconds)
                for task in late:
                    task.cancel()

    def serve(self, accounts: Sequence[str]) -> None:
        """Carry the rows of these accounts too."""
        self._accounts.put_nowait(accounts)

    def arrived(self, rows: Mapping[str, int]) -> None:
        """Wake the couriers of these accounts, which received that many rows."""
        for account, number in rows.items():
            if courier := self._couriers.get(account):
                courier.wake(number)

    def wake_all(self) -> None:
        """Make every courier look around: something opened."""
        for courier in self._couriers.values():
            courier.wake()

    def stop(self) -> None:
        """Claim nothing more."""
        self._stopping.set()
        self.wake_all()
        self._accounts.put_nowait(())
