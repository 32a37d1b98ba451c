"""Writes what became of a batch, and tries again while the disk refuses it: so Microsoft is not asked a second time."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from sidecar.core.entry import Step
from sidecar.core.instant import UnixMillis
from sidecar.ports.delivery import Claim, Delivery, Note
from sidecar.ports.errors import StorageUnavailable
from sidecar.telemetry import Telemetry

RETRY_SECONDS = 1.0
"""Until an answer that could not be written down is tried again."""


@dataclass(frozen=True, slots=True)
class SettlementWriter:
    """Each call returns once it is on disk. False when the claim has passed."""

    outbox: Delivery
    telemetry: Telemetry

    async def settle(self, claim: Claim, exceptions: Mapping[int, Step], note: Note, now: UnixMillis) -> bool:
        """As `Delivery.settle`."""
        return await self._retry_until_stored(lambda: self.outbox.settle(claim, exceptions, note, now))

    async def postpone(
        self, claim: Claim, due_at: UnixMillis, note: Note, *, maybe_sent: bool, isolated: bool = False
    ) -> bool:
        """As `Delivery.postpone`."""
        return await self._retry_until_stored(
            lambda: self.outbox.postpone(claim, due_at, note, maybe_sent=maybe_sent, isolated=isolated)
        )

    async def halve(self, claim: Claim, note: Note, now: UnixMillis, *, maybe_sent: bool) -> bool:
        """As `Delivery.halve`."""
        return await self._retry_until_stored(lambda: self.outbox.halve(claim, note, now, maybe_sent=maybe_sent))

    async def _retry_until_stored(self, write: Callable[[], Awaitable[bool]]) -> bool:
        """That cannot come too late: once a lease has passed, the outbox refuses what its claim brings."""
        while True:
            try:
                return await write()
            except StorageUnavailable as error:
                if error.code == "stopping":
                    raise
                self.telemetry.service.trouble_raised(error.code, detail=str(error))
                await asyncio.sleep(RETRY_SECONDS)
