"""Carries out erasures, one after another and slice by slice, also after a restart.

The steps are: retract what was uploaded, delete the clicks, redact the rows, wait for those that may be at Microsoft,
redact the journal, vacuum the files. Which rows match and what is redacted in them is the store's matter.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sidecar import loops
from sidecar.core.erasure import Erasure, Found, Phase, Subject
from sidecar.core.instant import UnixMillis
from sidecar.ports.erasure import Erasures
from sidecar.ports.errors import StorageUnavailable
from sidecar.ports.queries import Queries
from sidecar.telemetry import Telemetry
from sidecar.upkeep.retraction import Retractor

WAIT_SECONDS = 5.0
"""How often the rows that must be settled first are checked."""

LAG_SECONDS = 2.0
"""How long an event of a row that was just redacted may take to reach the journal."""


@dataclass(slots=True)
class Eraser:
    """Runs the erasures; a visitor may have clicks in every account that has a lane."""

    erasures: Erasures
    telemetry: Telemetry
    now: Callable[[], UnixMillis]
    queries: Queries
    retracts: Retractor
    wait_seconds: float = WAIT_SECONDS
    lag_seconds: float = LAG_SECONDS
    is_ours: Callable[[], bool] = lambda: True
    """Whether this replica alone carries erasures out now."""
    announce: Callable[[], None] = lambda: None
    """Tells other replicas that there is a new erasure."""
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def begun(self) -> None:
        """Start on a new erasure at once, at the replica that carries them out."""
        self.announce()
        self.wake()

    def wake(self) -> None:
        """Look for erasures now."""
        self._wake.set()

    async def run(self) -> None:
        """Erase until cancelled."""

        async def step() -> float | None:
            return self.wait_seconds if await self.round() else None

        await loops.run_forever(
            step, wake=self._wake, reporter=self.telemetry.service, where="eraser", retry_seconds=self.wait_seconds
        )

    async def round(self) -> bool:
        """Advance every erasure as far as possible now. Returns whether one is not done."""
        left = False
        if not self.is_ours():
            return False
        for number in await self.erasures.open():
            try:
                left |= not await self.advance(number)
            except StorageUnavailable as error:  # one that does not fit on the disk now must not delay the others
                self.telemetry.service.trouble_raised(error.code, detail=str(error))
                left = True
        return left

    async def advance(self, number: int) -> bool:
        """Advance one erasure as far as possible now. Returns whether it is done."""
        while (job := await self.erasures.get(number)) is not None and job.phase is not Phase.DONE:
            if not self.is_ours() or not await self._step(job):
                return False
        return True

    async def _step(self, job: Erasure) -> bool:
        """Carry out one phase, or a slice of it. Returns False if it has to wait."""
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
            await self._forget_clicks(job, await self._own(job))
        found = await self.erasures.find(job)
        await self._erase(job, found)
        if found.next_seq is None:
            await self.erasures.enter(job, Phase.WAITING)

    async def _waiting(self, job: Erasure) -> bool:
        """Check the rows that must be settled first. Returns False while there are any."""
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
        """Retract rows and delete clicks before redacting: both need what the rows contain."""
        is_retracting = job.retract and found.delivered
        retracts = await self.retracts.retract_uploaded(found.delivered) if is_retracting else ()
        if job.subject in (Subject.EMAIL, Subject.PHONE):
            await self._forget_clicks(job, found.visitors)
        self.telemetry.delivery.rows_erased(await self.erasures.redact(job, found, retracts, self.now()))

    async def _own(self, job: Erasure) -> Sequence[tuple[str, str]]:
        """Return where clicks may be of a visitor that the erasure names itself."""
        if job.subject is not Subject.VISITOR or job.search_value is None:
            return ()
        accounts = {lane.account for lane in await self.queries.lanes()}
        return [(account, job.search_value) for account in accounts]

    async def _forget_clicks(self, job: Erasure, visitors: Sequence[tuple[str, str]]) -> None:
        for account, visitor_id in visitors:
            while await self.erasures.forget_clicks(job, account, visitor_id):
                pass
