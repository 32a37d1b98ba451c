"""Carries erasures out, one after another, slice by slice behind all other work; goes on after a restart.

What matches, and what is taken out of a row, is the store's; this keeps the order: retract what was uploaded, forget
the clicks, redact the rows, wait for those that may be at Microsoft, redact the journal, vacuum the files.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from sidecar import loops
from sidecar.core.erasure import Erasure, Found, Phase, Subject
from sidecar.core.instant import UnixMillis
from sidecar.ports.erasure import Erasures, Retracts
from sidecar.ports.errors import StorageUnavailable
from sidecar.telemetry import Telemetry

WAIT_SECONDS = 5.0
"""How often the rows that have to be settled first are looked at."""

LAG_SECONDS = 2.0
"""What was told of a row just before it was redacted has reached the journal after that."""


@dataclass(slots=True)
class Eraser:
    """Runs the erasures; `accounts` are those whose visitors have clicks."""

    erasures: Erasures
    telemetry: Telemetry
    now: Callable[[], UnixMillis]
    accounts: Callable[[], Collection[str]]
    retracts: Retracts
    wait_seconds: float = WAIT_SECONDS
    lag_seconds: float = LAG_SECONDS
    _bell: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        """There is a new erasure."""
        self._bell.set()

    async def run(self) -> None:
        """Erase until cancelled."""

        async def step() -> float | None:
            return self.wait_seconds if await self.round() else None

        await loops.run_forever(
            step, wake=self._bell, reporter=self.telemetry.service, where="eraser", retry_seconds=self.wait_seconds
        )

    async def round(self) -> bool:
        """Bring every erasure as far as it gets now; whether one is not done."""
        left = False
        for number in await self.erasures.open():
            try:
                left |= not await self.advance(number)
            except StorageUnavailable as error:  # what has no room now must not hold up the others
                self.telemetry.service.trouble_raised(error.code, detail=str(error))
                left = True
        return left

    async def advance(self, number: int) -> bool:
        """Bring one erasure as far as it gets now; whether it is done."""
        while (job := await self.erasures.get(number)) is not None and job.phase is not Phase.DONE:
            if not await self._step(job):
                return False
        return True

    async def _step(self, job: Erasure) -> bool:
        """Go through one phase, or a slice of it; False when it has to wait."""
        match job.phase:
            case Phase.ROWS:
                await self._rows(job)
            case Phase.WAITING:
                return await self._waiting(job)
            case Phase.JOURNAL:
                if not await self.erasures.redact_journal(job):
                    await self.erasures.enter(job, Phase.VACUUMING)
            case Phase.VACUUMING:
                if not await self.erasures.vacuum():
                    return False
                await self.erasures.finish(job, self.now())
                self.telemetry.delivery.erased(job)
            case Phase.DONE:
                pass
        return True

    async def _rows(self, job: Erasure) -> None:
        if job.after_seq == 0:
            await self._forget_clicks(job, self._own(job))
        found = await self.erasures.find(job)
        await self._erase(job, found)
        if found.next_seq is None:
            await self.erasures.enter(job, Phase.WAITING)

    async def _waiting(self, job: Erasure) -> bool:
        """Look at each row that has to be settled first; on to the journal once there is none."""
        after: int | None = 0
        while after is not None:
            found = await self.erasures.waited_for(job, after)
            await self._erase(job, found)
            after = found.next_seq
        again = await self.erasures.get(job.id)
        if again is None or again.waiting:
            return False
        await asyncio.sleep(self.lag_seconds)
        await self.erasures.enter(job, Phase.JOURNAL)
        return True

    async def _erase(self, job: Erasure, found: Found) -> None:
        """What is retracted, and which clicks go, is known by the rows: both come before they are redacted."""
        retracts = await self._retract(job, found.delivered)
        if job.subject in (Subject.EMAIL, Subject.PHONE):
            await self._forget_clicks(job, found.visitors)
        self.telemetry.delivery.rows_erased(await self.erasures.redact(job, found, retracts, self.now()))

    async def _retract(self, job: Erasure, delivered: Sequence[int]) -> Sequence[int]:
        """The rows that carry the retracts."""
        return await self.retracts.retract_uploaded(delivered) if job.retract and delivered else ()

    def _own(self, job: Erasure) -> Sequence[tuple[str, str]]:
        """Where the clicks of a visitor that is named itself may lie."""
        if job.subject is not Subject.VISITOR or job.search_value is None:
            return ()
        return [(account, job.search_value) for account in self.accounts()]

    async def _forget_clicks(self, job: Erasure, visitors: Sequence[tuple[str, str]]) -> None:
        for account, visitor_id in visitors:
            while await self.erasures.forget_clicks(job, account, visitor_id):
                pass
