"""Accounts that an operator has paused: nothing of them is sent until the operator resumes them, restarts included.

Microsoft's refusals close accounts too (`settler`), but those are tried again by themselves; this pause is not.
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from sidecar.core.instant import UnixMillis, text_of_millis
from sidecar.delivery.gates import Gates
from sidecar.ports.upkeep import Pauses
from sidecar.telemetry import Telemetry

TROUBLE = "paused_by_operator"


@dataclass(slots=True)
class AccountPauses:
    """Pauses and resumes; `accounts` are those configured now. Raises StorageUnavailable."""

    store: Pauses
    gates: Gates
    telemetry: Telemetry
    now: Callable[[], UnixMillis]
    accounts: Callable[[], Collection[str]]
    announce: Callable[[], None] = lambda: None
    """Tells other replicas that something was changed."""
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def restore(self) -> None:
        """After a start: pause what was paused before."""
        for account, since in (await self.store.all()).items():
            self.gates.pause(account, since)
        self.report()

    async def refresh(self) -> None:
        """Pause and resume what other replicas did."""
        async with self._turn:
            stored = await self.store.all()
            for account in self.accounts():
                since = stored.get(account)
                if since is None and self.gates.paused_since(account) is not None:
                    self._resumed(account)
                elif since is not None:
                    self.gates.pause(account, since)
            self.report()

    def report(self) -> None:
        """Raise the trouble of each configured account that is paused; also after a reload, which may add one."""
        for account in self.accounts():
            since = self.gates.paused_since(account)
            if since is not None:
                detail = f"since {text_of_millis(since)}"
                self.telemetry.service.trouble_raised(TROUBLE, account=account, subject=account, detail=detail)

    async def pause(self, account: str) -> UnixMillis:
        """Let nothing more of the account out; what is on its way finishes. Returns since when it is paused."""
        async with self._turn:
            since = self.gates.paused_since(account)
            if since is None:
                since = self.now()
                await self.store.put(account, since)
                self.gates.pause(account, since)
                self.announce()
                self.report()
            return since

    async def resume(self, account: str) -> None:
        """Let it out again, at once."""
        async with self._turn:
            await self.store.remove(account)
            self.announce()
            self._resumed(account)

    def _resumed(self, account: str) -> None:
        self.gates.resume(account)
        self.telemetry.service.trouble_cleared(TROUBLE, account=account, subject=account)
