"""Settles a batch row by row, by Microsoft's outcome of each, and reports the rows that died."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from sidecar.core.entry import Dead, Entry, Outcome, Requeue, Retry, Settled, Step, next_step
from sidecar.core.instant import UnixMillis
from sidecar.core.record import public_id
from sidecar.core.states_and_reasons import Reason
from sidecar.delivery.goal_feedback import GoalFeedback
from sidecar.delivery.settlement_writer import SettlementWriter
from sidecar.ports.delivery import Claim, Note
from sidecar.telemetry import DeadRow, Telemetry
from sidecar.troubles import BY_REASON, REFUSED


@dataclass(frozen=True, slots=True)
class RowSettlement:
    """`chance` is uniform in [0, 1)."""

    writer: SettlementWriter
    goals: GoalFeedback
    telemetry: Telemetry
    now: Callable[[], UnixMillis]
    chance: Callable[[], float]

    async def settle(self, claim: Claim, named: Mapping[int, Outcome | None], note: Note) -> Mapping[int, Step] | None:
        """Write down the outcomes of the rows that are `named` by their place; all others were delivered.

        One without an outcome is due again as if it had not been sent. Returns the steps of all that were named, by
        seq; None when the claim has passed.
        """
        now = self.now()
        undelivered = [(claim.entries[place], outcome) for place, outcome in sorted(named.items())]
        steps = {entry.seq: self._step(entry, outcome, now) for entry, outcome in undelivered}
        is_current = await self.writer.settle(claim, steps, note, now)
        await self.goals.learn(claim, named, note.tracking_id)
        if not is_current:
            return None
        if steps:
            self.report_dead(claim, steps)
            self._report_troubles(claim.account, named.values(), note.tracking_id)
        return steps

    def _step(self, entry: Entry, outcome: Outcome | None, now: UnixMillis) -> Step:
        if outcome is None:
            return Requeue(now, None, None, not entry.keeps_frozen, entry.retries, entry.refusals)
        return next_step(entry, outcome, now, self.chance())

    def report_dead(self, claim: Claim, steps: Mapping[int, Step]) -> None:
        """Record the rows that these steps end."""
        ended = [(entry, step) for entry in claim.entries if isinstance(step := steps.get(entry.seq), Settled)]
        if ended:
            rows = [_dead_row(claim.account, entry, step) for entry, step in ended]
            self.telemetry.delivery.rows_died(rows, claim.batch_id)

    def _report_troubles(self, account: str, outcomes: Iterable[Outcome | None], tracking_id: str | None) -> None:
        """Raise one trouble for each error that is a reason to retry, or that is our own mistake."""
        found: dict[tuple[str, str], str | None] = {}
        for outcome in outcomes:
            match outcome:
                case Retry(fault=fault, trouble=trouble):
                    found[trouble, fault.error] = fault.message
                case Dead(fault=fault, ours=True):
                    found["request_malformed", fault.error] = fault.message
        for (trouble, error), message in found.items():
            self.telemetry.service.trouble_raised(
                trouble, account=account, subject=error, detail=message, tracking_id=tracking_id
            )


def _dead_row(account: str, entry: Entry, step: Settled) -> DeadRow:
    reason, fault = step.reason or "", step.fault
    return DeadRow(
        conversion_id=public_id(entry.lane.kind, entry.seq),
        account=account,
        trouble=BY_REASON.get(reason, REFUSED[entry.lane.kind]).code,
        error=fault.error if fault else reason,
        message=fault.message if fault and reason != Reason.TOO_OLD else None,
        order_id=entry.order_id,
        goal=entry.goal,
        kind=entry.lane.kind,
    )
