"""What makes one replica of several of this process: what it begins and ends with an account, and what it hears."""

from collections.abc import Collection
from dataclasses import dataclass

from sidecar.delivery.flusher import Flusher
from sidecar.delivery.gates import Gates
from sidecar.delivery.pauses import AccountPauses
from sidecar.goals.catalogue import GoalCatalogue
from sidecar.microsoft.platform import MicrosoftAdvertising
from sidecar.service.microsoft_wiring import restore_throttles
from sidecar.service.runtime import Runtime
from sidecar.store.store import Store
from sidecar.upkeep.erasure import Eraser

ARRIVED, BORROWED = "arrived:", "borrowed:"
"""Before the name of an account: rows of it arrived, or a call of it was made, at a replica that does not hold it."""

PAUSES, ERASURES, THROTTLES = "pauses", "erasures", "throttles"


@dataclass(frozen=True, slots=True)
class AccountTasks:
    """Implements `delivery.holdings.AccountWork`: a courier, and the readings of goals."""

    store: Store
    flusher: Flusher
    catalogue: GoalCatalogue
    platform: MicrosoftAdvertising
    gates: Gates
    clock: Runtime

    async def begin(self, accounts: Collection[str]) -> None:
        names = sorted(accounts)
        await restore_throttles(self.store.outbox, self.gates, self.platform, self.clock.now())
        await self.catalogue.load()
        self.platform.rate_limiter.begin_again(names)
        self.catalogue.expect(names)
        self.flusher.serve(names)

    async def end(self, account: str) -> None:
        await self.flusher.end(account)
        await self.catalogue.end(account)

    def abandon(self, accounts: Collection[str]) -> None:
        self.flusher.abandon(accounts)
        self.catalogue.forget(accounts)


@dataclass(frozen=True, slots=True)
class Hearing:
    """Takes over what other replicas changed."""

    store: Store
    flusher: Flusher
    pauses: AccountPauses
    eraser: Eraser
    platform: MicrosoftAdvertising
    gates: Gates
    clock: Runtime

    async def heard(self, changes: Collection[str]) -> None:
        """Act on what was told: each by its name."""
        for change in changes:
            if change.startswith(ARRIVED):
                self.flusher.wake(change.removeprefix(ARRIVED))
        if PAUSES in changes:
            await self.pauses.refresh()
        if ERASURES in changes:
            self.eraser.wake()
        if THROTTLES in changes:
            await restore_throttles(self.store.outbox, self.gates, self.platform, self.clock.now())
