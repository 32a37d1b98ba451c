"""What happens to stored rows: sent in a batch, settled, dead, replayed, erased. One function per event."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sidecar.core.answer import Lost, RefusedBatch
from sidecar.core.conversion import Kind
from sidecar.core.entry import Settled, Step
from sidecar.core.erasure import Erasure, RowsOf, erasure_id
from sidecar.core.record import Record
from sidecar.core.states_and_reasons import Reason, State
from sidecar.core.unattributed import UNATTRIBUTED
from sidecar.ports.delivery import Claim
from sidecar.telemetry import event_names
from sidecar.telemetry.event_names import Name
from sidecar.telemetry.metrics import DeliveryMetrics
from sidecar.telemetry.recorder import Recorder, harmless
from sidecar.troubles import CATALOGUE

NAMED_ROWS = 20
"""Dead rows of one batch that are recorded one by one; the rest is counted."""

OPERATIONS = {Kind.CONVERSION: "conversions", Kind.ADJUSTMENT: "adjustments"}
"""The label of uploads, by kind of row."""


OTHER_REASON = "other"
"""The label of every reason that Microsoft does not document: metrics must stay few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadRow:
    """A row that ended undelivered. `trouble` is a code of the catalogue: row_refused, poison, conversion_too_old."""

    conversion_id: str
    account: str
    trouble: str
    error: str
    message: str | None = None
    order_id: str | None = None
    goal: str | None = None
    kind: Kind = Kind.CONVERSION

    @property
    def reason(self) -> str:
        """The row's reason, as its state shows it."""
        return CATALOGUE[self.trouble].explains or self.error


class DeliveryEvents:
    """What happens to rows on their way out. None of these functions raises, blocks or awaits."""

    def __init__(self, recorder: Recorder, metrics: DeliveryMetrics) -> None:
        self.recorder = recorder
        self.goal_of: Callable[[str, str], str | None] = lambda account, event: None
        """The goal that an account's event is mapped to now; None where one of them left the configuration."""
        self._metrics = metrics

    @harmless
    def batch_sent(self, claim: Claim) -> None:
        """A batch leaves, for the first time or again."""
        message = f"batch {claim.batch_id} {'goes again' if claim.resend else 'sent'}: {_rows(len(claim.entries))}"
        self._record_batch(event_names.BATCH_SENT, claim, message)

    @harmless
    def batch_settled(self, claim: Claim, steps: Mapping[int, Step], tracking_id: str | None, seconds: float) -> None:
        """Microsoft read the batch, and its rows are settled; `steps` are those of the rows that were not delivered."""
        rows = len(claim.entries)
        dead = sum(isinstance(step, Settled) for step in steps.values())
        counts = {"delivered": rows - len(steps), "retried": len(steps) - dead, "dead": dead}
        self._uploaded(claim, "taken", seconds)
        self._record_batch(
            event_names.BATCH_SETTLED,
            claim,
            f"batch {claim.batch_id}: {counts['delivered']} of {rows} delivered, {counts['retried']} to be sent again, "
            f"{dead} dead",
            tracking_id=tracking_id,
            also={**counts, "seconds": seconds},
        )
        if counts["delivered"]:
            self.settled(claim.goal, State.DELIVERED.value, n=counts["delivered"], kind=claim.kind)

    @harmless
    def verdicts_read(self, attributed: Mapping[str, int], unattributed: Mapping[tuple[str, str], int]) -> None:
        """A reading of Microsoft's verdict found these rows more than the one before: by goal, and by its reason."""
        for goal, rows in attributed.items():
            self._metrics.attributed.add(rows, goal)
        for (goal, reason), rows in unattributed.items():
            self._metrics.unattributed.add(rows, goal, reason if reason in UNATTRIBUTED else OTHER_REASON)

    @harmless
    def batch_refused(self, claim: Claim, answer: RefusedBatch, seconds: float) -> None:
        """Microsoft took nothing of the batch."""
        self._uploaded(claim, answer.verdict.value, seconds)
        fault = answer.faults[0]
        self._record_batch(
            event_names.BATCH_REFUSED,
            claim,
            f"{_batch(claim)} refused: {fault.message or fault.error}",
            tracking_id=answer.tracking_id,
            error=fault.error,
            fix=CATALOGUE[answer.trouble].solution,
            also={"error_code": fault.error_code, "trouble": answer.trouble, "seconds": seconds},
        )

    @harmless
    def batch_lost(self, claim: Claim, answer: Lost, seconds: float) -> None:
        """No readable answer: the rows may have been accepted, unless the batch was not even sent."""
        self._uploaded(claim, "lost", seconds)
        batch = _batch(claim)
        self._record_batch(
            event_names.BATCH_LOST,
            claim,
            f"no answer to {batch}; the same bytes go again"
            if answer.sent
            else f"{batch} could not be sent; it is tried again",
            tracking_id=answer.tracking_id,
            error=answer.why,
            also={"seconds": seconds},
        )

    @harmless
    def batch_halved(self, claim: Claim) -> None:
        """A refused batch becomes two."""
        message = f"{_batch(claim)} was cut in two, to find the row that spoils it"
        self._record_batch(event_names.BATCH_HALVED, claim, message)

    @harmless
    def settled(
        self, goal: str | None, state: str, reason: str | None = None, n: int = 1, kind: Kind = Kind.CONVERSION
    ) -> None:
        """`n` rows of `goal` reached a final state: the metric only, the rows have the rest."""
        metrics = {Kind.CONVERSION: self._metrics.conversions, Kind.ADJUSTMENT: self._metrics.adjustments}
        metrics[kind].add(n, goal or "", state, reason or "")

    @harmless
    def rows_died(self, rows: Sequence[DeadRow], batch_id: int | None = None) -> None:
        """Rows of one batch, or of one round of ageing, ended undelivered: journal and metric."""
        for (goal, reason, kind), n in Counter((row.goal, row.reason, row.kind) for row in rows).items():
            self.settled(goal, State.DEAD.value, reason, n, kind)
        for row in rows[:NAMED_ROWS]:
            self._row_died(row, batch_id)
        if len(rows) > NAMED_ROWS:
            more = len(rows) - NAMED_ROWS
            message = f"{_rows(more, 'more row')} died with them: list them with state=dead"
            account = rows[0].account
            self.recorder.record(event_names.ROW_DIED, message, account=account, batch_id=batch_id, count=more)

    @harmless
    def rows_expired(self, records: Sequence[Record]) -> None:
        """Rows got too old before they could be sent."""
        self.rows_died([_expired(record, self.goal(record)) for record in records])

    @harmless
    def replayed(self, n: int, state: State, record: Record | None = None) -> None:
        """`n` rows of that state are due again; `record` is the row that was replayed by its id."""
        if record is None:
            message = f"{_rows(n, f'{state} conversion')} {'is' if n == 1 else 'are'} due again"
            self.recorder.record(event_names.REPLAYED, message, count=n)
        else:
            message = f"{record.id} was {state} and is due again"
            self.recorder.record(event_names.REPLAYED, message, count=n, **_names_of(record))

    @harmless
    def discarded(self, record: Record) -> None:
        """An operator ended a row that was not sent."""
        self.settled(self.goal(record), State.CANCELED.value, record.reason)
        message = f"{record.id} was discarded: it will not be sent"
        self.recorder.record(event_names.DISCARDED, message, **_names_of(record))

    @harmless
    def rows_erased(self, ended: Mapping[RowsOf, int]) -> None:
        """Rows ended unsent, since a person's data was erased; by account, event and goal, the metric only."""
        for (account, event, goal), n in ended.items():
            self.settled(goal or self.goal_of(account, event), State.SKIPPED.value, Reason.ERASED.value, n)

    @harmless
    def erased(self, job: Erasure) -> None:
        """An erasure is done; its entry has numbers, and never the person."""
        message = (
            f"{erasure_id(job.id)} by {job.subject} is done: {job.conversions} conversions, {job.clicks} clicks, "
            f"{job.log_entries} log entries"
        )
        self.recorder.record(event_names.ERASED, message, count=job.conversions)

    @harmless
    def throttled(self, account: str, seconds: float) -> None:
        """Microsoft asked for a slower pace; the account waits this long."""
        self._metrics.throttled.add(1)
        self.recorder.record(
            event_names.THROTTLED, f"Microsoft asks to wait {seconds:g} s", account=account, also={"seconds": seconds}
        )

    def goal(self, record: Record) -> str | None:
        """Return the goal of a row: its frozen one, or, before it was sent, the one it is mapped to now."""
        return record.goal or self.goal_of(record.account, record.event)

    def _row_died(self, row: DeadRow, batch_id: int | None) -> None:
        self.recorder.record(
            event_names.ROW_DIED,
            f"{row.conversion_id} will not be counted: {row.message or CATALOGUE[row.trouble].title}",
            account=row.account,
            conversion_id=row.conversion_id,
            order_id=row.order_id,
            batch_id=batch_id,
            error=row.error,
            fix=CATALOGUE[row.trouble].solution,
            also={"goal": row.goal, "trouble": row.trouble},
        )

    def _record_batch(self, name: Name, claim: Claim, message: str, **facts: Any) -> None:
        self.recorder.record(
            name, message, account=claim.account, batch_id=claim.batch_id, count=len(claim.entries), **facts
        )

    def _uploaded(self, claim: Claim, result: str, seconds: float) -> None:
        self._metrics.requests.add(1, OPERATIONS[claim.kind], result)
        self._metrics.rows.observe(len(claim.entries))
        self._metrics.seconds.observe(seconds)


def _expired(record: Record, goal: str | None) -> DeadRow:
    return DeadRow(
        conversion_id=record.id,
        account=record.account,
        trouble="conversion_too_old",
        error="too_old",
        order_id=record.order_id,
        goal=goal,
        kind=record.kind,
    )


def _batch(claim: Claim) -> str:
    return f"batch {claim.batch_id} of {_rows(len(claim.entries))}"


def _names_of(record: Record) -> dict[str, str | None]:
    return {"account": record.account, "conversion_id": record.id, "order_id": record.order_id}


def _rows(n: int, noun: str = "row") -> str:
    """`1 row`, `2 rows`."""
    return f"{n} {noun}{'' if n == 1 else 's'}"
