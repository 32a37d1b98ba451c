"""What a throttled call that is no upload means: every account that shares the limit waits, also after a restart."""

from collections.abc import Sequence
from typing import Protocol

from sidecar.core.adaptive_rate import THROTTLE_MILLIS
from sidecar.core.answer import RefusedBatch
from sidecar.core.instant import UnixMillis
from sidecar.core.states_and_reasons import Reason
from sidecar.delivery.gates import Gates
from sidecar.ports.delivery import Delivery
from sidecar.telemetry import Telemetry


class SharedLimit(Protocol):
    """What of the ad platform is asked: who shares the limit, and a lower rate for them."""

    def sharing(self, account: str) -> Sequence[str]:
        """As `Platform.sharing`."""

    def throttled(self, account: str) -> None:
        """As `Platform.throttled`."""


async def wait_as_asked(
    account: str,
    answer: RefusedBatch,
    now: UnixMillis,
    platform: SharedLimit,
    gates: Gates,
    delivery: Delivery,
    telemetry: Telemetry,
) -> UnixMillis:
    """Close the accounts until then, and store it. Returns until when."""
    wait = THROTTLE_MILLIS if answer.retry_after_seconds is None else int(answer.retry_after_seconds * 1000)
    until = UnixMillis(now + wait)
    telemetry.delivery.throttled(account, wait / 1000)
    platform.throttled(account)
    for sharing in platform.sharing(account):
        gates.close_account(sharing, Reason.THROTTLED, now, until)
    await delivery.record_throttle(account, until)
    return until
