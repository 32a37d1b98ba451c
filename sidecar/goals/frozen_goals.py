"""The goals that waiting rows are frozen for, of each account; most accounts have none, and are not asked for."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from sidecar.core.waiting_summary import Waiting
from sidecar.ports.queries import Queries

FRESH_SECONDS = 1.0
"""How long it is known which accounts have such rows: thousands of accounts are looked at together."""


@dataclass(slots=True)
class FrozenGoals:
    """Asks once which accounts have such rows, and then only for those; `monotonic` gives seconds."""

    queries: Queries
    monotonic: Callable[[], float]
    _accounts: Collection[str] = ()
    _until: float = float("-inf")
    _asked: set[str] = field(default_factory=set)
    """Accounts that something happened to since."""
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def waiting(self, account: str) -> Mapping[str, Waiting]:
        """Return, by goal, the account's rows that are frozen for it."""
        async with self._turn:
            if self.monotonic() >= self._until:
                self._accounts = await self.queries.keeping_accounts()
                self._until = self.monotonic() + FRESH_SECONDS
        is_asked = account in self._asked
        self._asked.discard(account)
        return await self.queries.waiting_by_goal(account) if is_asked or account in self._accounts else {}

    def changed(self, account: str | None = None) -> None:
        """Something happened to the account, or to any: what was known of it may be out of date."""
        if account is None:
            self._until = float("-inf")
        else:
            self._asked.add(account)
