"""The pace of accounts beyond this process: what Microsoft's "too many" left of it, for restarts and other replicas.

The limit is the customer's at Microsoft. So a rate that was halved stays halved where an account moves.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from sidecar import loops
from sidecar.core.adaptive_rate import RESTED_MILLIS, HalvedRate
from sidecar.core.instant import UnixMillis
from sidecar.core.states_and_reasons import Reason
from sidecar.delivery.gates import Gates
from sidecar.microsoft.platform import MicrosoftAdvertising
from sidecar.microsoft.rate_limiter import RateLimiter
from sidecar.ports.delivery import Delivery
from sidecar.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class SharedPace:
    """Stores the rates that a throttle halved; `announce` tells the other replicas."""

    delivery: Delivery
    limiter: RateLimiter
    telemetry: Telemetry
    now: Callable[[], UnixMillis]
    announce: Callable[[], None]
    _storing: set[asyncio.Task[None]] = field(default_factory=set)

    def throttled(self, account: str) -> None:
        """Store the rates of all accounts that share the limit of this one, which were halved.

        How long to wait was given to the committer by then, so that a replica that hears of this finds both.
        """
        now = self.now()
        rates = {name: HalvedRate(self.limiter.rate(name).share, now) for name in self.limiter.sharing(account)}
        task = asyncio.create_task(self._store(rates))
        self._storing.add(task)
        task.add_done_callback(self._storing.discard)

    async def _store(self, rates: dict[str, HalvedRate]) -> None:
        with loops.reported(self.telemetry.service, "throttles"):
            await self.delivery.record_rates(rates)
        self.announce()


async def restore_throttles(
    delivery: Delivery, gates: Gates, advertising: MicrosoftAdvertising, now: UnixMillis
) -> None:
    """Close the accounts that Microsoft asked to wait, with all that share their limit, and let them come back slower.

    It may have asked the process before, or another replica.
    """
    for account, until in (await delivery.throttled(now)).items():
        if advertising.knows(account):
            for sharing in advertising.sharing(account):
                gates.close_account(sharing, Reason.THROTTLED, now, until)
    for account, halved in (await delivery.halved_rates()).items():
        if advertising.knows(account) and now - halved.at < RESTED_MILLIS:
            advertising.rate_limiter.slow_down(account, halved.share, max(0, now - halved.at) / 1000)
