"""What makes one replica of several of this process: what it begins and ends with an account, and what it hears."""

from collections.abc import Collection
from dataclasses import dataclass

from sidecar.delivery.flusher import Flusher
from sidecar.delivery.gates import Gates
from sidecar.delivery.holdings import Holdings
from sidecar.delivery.pauses import AccountPauses
from sidecar.goals.catalogue import GoalCatalogue
from sidecar.microsoft.platform import MicrosoftAdvertising
from sidecar.ports.leases import UPKEEP
from sidecar.service.microsoft_wiring import restore_throttles
from sidecar.service.runtime import Runtime
from sidecar.store.store import Store
from sidecar.upkeep.alerts import Alerts
from sidecar.upkeep.erasure import Eraser
from sidecar.upkeep.housekeeping import Housekeeping

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


def share_upkeep(holdings: Holdings, eraser: Eraser, housekeeping: Housekeeping, alerts: Alerts | None) -> None:
    """Let one replica do what must be done once, and another go on with it once that one is gone."""

    def is_ours() -> bool:
        return holdings.does(UPKEEP)

    def changed() -> None:
        eraser.wake()
        if alerts is not None:
            alerts.wake()

    eraser.is_ours = housekeeping.is_ours = is_ours
    eraser.tell = lambda: holdings.tell(ERASURES)
    if alerts is not None:
        alerts.is_ours = is_ours
    holdings.duties_changed = changed


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
