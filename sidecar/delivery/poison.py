"""Finds the row that makes Microsoft refuse a whole batch: removes those it names, else halves until one is alone."""

from collections.abc import Callable
from dataclasses import dataclass

from sidecar.core.answer import RefusedBatch
from sidecar.core.batch import is_troubled
from sidecar.core.entry import POISON_AFTER, Requeue, after_refusal
from sidecar.core.instant import UnixMillis
from sidecar.core.states_and_reasons import Reason
from sidecar.delivery.gates import PROBE_MILLIS, Gates
from sidecar.delivery.row_settlement import RowSettlement
from sidecar.delivery.settlement_writer import SettlementWriter
from sidecar.ports.delivery import Claim, Note
from sidecar.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class PoisonSearch:
    """`chance` is uniform in [0, 1)."""

    writer: SettlementWriter
    rows: RowSettlement
    gates: Gates
    telemetry: Telemetry
    now: Callable[[], UnixMillis]
    chance: Callable[[], float]

    async def isolate(self, claim: Claim, answer: RefusedBatch) -> None:
        """Settle the rows that the answer names, or halve the batch to find the one it is about."""
        self.gates.accounts[claim.account].history.faults = 0
        size, note = len(claim.entries), Note.refused(answer, self.now())
        if answer.rows:
            await self.rows.settle(claim, {place: answer.rows.get(place) for place in range(size)}, note)
        elif answer.hold is not None:
            await self.rows.settle(claim, dict.fromkeys(range(size), answer.hold), note)
        elif size > 1:
            self.telemetry.delivery.batch_halved(claim)
            await self.writer.halve(claim, note, self.now(), maybe_sent=answer.maybe_applied)
        else:
            await self._isolated(claim, answer, note)

    async def _isolated(self, claim: Claim, answer: RefusedBatch, note: Note) -> None:
        """The isolated row waits, or dies; if most rows of a batch end so, the account pauses."""
        (entry,), fault, now = claim.entries, answer.faults[0], self.now()
        others_accepted = self.gates.accounts[claim.account].history.accepted_at >= claim.created_at
        troubled = is_troubled(claim.root_rows, claim.root_poisoned + (entry.refusals == 0))
        step = after_refusal(entry, fault, now, self.chance(), others_accepted and not troubled)
        if troubled:
            self.telemetry.service.trouble_raised("batch_refused", account=claim.account, detail=fault.message)
            self.gates.close_account(claim.account, Reason.ACCOUNT_PAUSED, now, UnixMillis(now + PROBE_MILLIS))
        if isinstance(step, Requeue):
            self._report(claim.account, step, answer)
            maybe_sent = answer.maybe_applied
            await self.writer.postpone(claim, step.due_at, note, maybe_sent=maybe_sent, isolated=True)
        elif await self.writer.settle(claim, {entry.seq: step}, note, now):
            self.rows.report_dead(claim, {entry.seq: step})

    def _report(self, account: str, step: Requeue, answer: RefusedBatch) -> None:
        """Raise a trouble for a row that would be dead by now if another had been accepted."""
        fault = answer.faults[0]
        if step.refusals >= POISON_AFTER:
            self.telemetry.service.trouble_raised(
                "poison", account=account, subject=fault.error, detail=fault.message, tracking_id=answer.tracking_id
            )
