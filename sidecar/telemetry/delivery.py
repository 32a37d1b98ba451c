"""What happens to stored rows: sent in a batch, settled, dead, replayed, erased. One function per event."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sidecar.core.answer import RefusedBatch
from sidecar.core.conversion import Kind
from sidecar.core.erasure import Erasure, RowsOf, erasure_id
from sidecar.core.record import Record
from sidecar.core.states_and_reasons import Reason, State
from sidecar.telemetry import event_names
from sidecar.telemetry.metrics import DeliveryMetrics
from sidecar.telemetry.recorder import Recorder, harmless
from sidecar.troubles import CATALOGUE

NAMED_ROWS = 20
"""Dead rows of one batch that are recorded one by one; the rest is counted."""

OPERATIONS = {Kind.CONVERSION: "conversions", Kind.ADJUSTMENT: "adjustments"}
"""The label of uploads, by kind of row."""


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

    # --- Batches -----------------------------------------------------------------------------------------------------

    @harmless
    def batch_sent(self, account: str, batch_id: int, rows: int, *, resend: bool = False) -> None:
        """A batch leaves; `resend` says that the same bytes went before."""
        message = f"batch {batch_id} {'goes again' if resend else 'sent'}: {_rows(rows)}"
        self.recorder.record(event_names.BATCH_SENT, message, account=account, batch_id=batch_id, count=rows)

    @harmless
    def batch_settled(
        self,
        account: str,
        batch_id: int,
        *,
        rows: int,
        delivered: int,
        retried: int = 0,
        dead: int = 0,
        tracking_id: str | None = None,
        seconds: float,
        kind: Kind = Kind.CONVERSION,
    ) -> None:
        """Microsoft read the batch, and its rows are settled; `retried` counts held ones too."""
        self._uploaded(kind, "taken", rows, seconds)
        self.recorder.record(
            event_names.BATCH_SETTLED,
            f"batch {batch_id}: {delivered} of {rows} delivered, {retried} to be sent again, {dead} dead",
            account=account,
            batch_id=batch_id,
            tracking_id=tracking_id,
            count=rows,
            also={"delivered": delivered, "retried": retried, "dead": dead, "seconds": seconds},
        )

    @harmless
    def batch_refused(
        self,
        account: str,
        batch_id: int,
        *,
        rows: int,
        answer: RefusedBatch,
        seconds: float,
        kind: Kind = Kind.CONVERSION,
    ) -> None:
        """Microsoft took nothing of the batch."""
        self._uploaded(kind, answer.verdict.value, rows, seconds)
        fault = answer.faults[0]
        self.recorder.record(
            event_names.BATCH_REFUSED,
            f"batch {batch_id} of {_rows(rows)} refused: {fault.message or fault.error}",
            account=account,
            batch_id=batch_id,
            tracking_id=answer.tracking_id,
            error=fault.error,
            fix=CATALOGUE[answer.trouble].solution,
            count=rows,
            also={"error_code": fault.error_code, "trouble": answer.trouble, "seconds": seconds},
        )

    @harmless
    def batch_lost(
        self,
        account: str,
        batch_id: int,
        *,
        rows: int,
        why: str,
        tracking_id: str | None,
        seconds: float,
        sent: bool = True,
        kind: Kind = Kind.CONVERSION,
    ) -> None:
        """No readable answer: the rows may have been accepted, unless the batch was not even `sent`."""
        self._uploaded(kind, "lost", rows, seconds)
        if sent:
            message = f"no answer to batch {batch_id} of {_rows(rows)}; the same bytes go again"
        else:
            message = f"batch {batch_id} of {_rows(rows)} could not be sent; it is tried again"
        self.recorder.record(
            event_names.BATCH_LOST,
            message,
            account=account,
            batch_id=batch_id,
            tracking_id=tracking_id,
            error=why,
            count=rows,
            also={"seconds": seconds},
        )

    @harmless
    def batch_halved(self, account: str, batch_id: int, rows: int) -> None:
        """A refused batch becomes two."""
        message = f"batch {batch_id} of {_rows(rows)} was cut in two, to find the row that spoils it"
        self.recorder.record(event_names.BATCH_HALVED, message, account=account, batch_id=batch_id, count=rows)

    @harmless
    def settled(
        self,
        goal: str | None,
        state: str,
        reason: str | None = None,
        n: int = 1,
        kind: Kind = Kind.CONVERSION,
    ) -> None:
        """`n` rows of `goal` reached a final state: the metric only, the rows have the rest."""
        metrics = {
            Kind.CONVERSION: self._metrics.conversions,
            Kind.ADJUSTMENT: self._metrics.adjustments,
        }
        metrics[kind].labels(goal or "", state, reason or "").inc(n)

    @harmless
    def rows_died(self, rows: Sequence[DeadRow], batch_id: int | None = None) -> None:
        """Rows of one batch, or of one round of ageing, ended undelivered: journal and metric."""
        for (goal, reason, kind), n in Counter((row.goal, row.reason, row.kind) for row in rows).items():
            self.settled(goal, State.DEAD.value, reason, n, kind)
        for row in rows[:NAMED_ROWS]:
            self._row_died(row, batch_id)
        if len(rows) > NAMED_ROWS:
            message = f"{_rows(len(rows) - NAMED_ROWS, 'more row')} died with them: list them with state=dead"
            self.recorder.record(
                event_names.ROW_DIED, message, account=rows[0].account, batch_id=batch_id, count=len(rows) - NAMED_ROWS
            )

    @harmless
    def rows_expired(self, records: Sequence[Record]) -> None:
        """Rows got too old before they could be sent."""
        self.rows_died([_expired(record, self.goal(record)) for record in records])

    # --- An operator -------------------------------------------------------------------------------------------------

    @harmless
    def replayed(self, n: int, state: State, record: Record | None = None) -> None:
        """`n` rows of that state are due again; `record` is the row that was replayed by its id."""
        if record is None:
            self.recorder.record(
                event_names.REPLAYED,
                f"{_rows(n, f'{state} conversion')} {'is' if n == 1 else 'are'} due again",
                count=n,
            )
            return
        message = f"{record.id} was {state} and is due again"
        facts = {"account": record.account, "conversion_id": record.id, "order_id": record.order_id}
        self.recorder.record(event_names.REPLAYED, message, count=n, **facts)

    @harmless
    def discarded(self, record: Record) -> None:
        """An operator ended a row that was not sent."""
        self.settled(self.goal(record), State.CANCELED.value, record.reason)
        facts = {"account": record.account, "conversion_id": record.id, "order_id": record.order_id}
        self.recorder.record(event_names.DISCARDED, f"{record.id} was discarded: it will not be sent", **facts)

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
        self._metrics.throttled.inc()
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

    def _uploaded(self, kind: Kind, result: str, rows: int, seconds: float) -> None:
        self._metrics.requests.labels(OPERATIONS[kind], result).inc()
        self._metrics.rows.observe(rows)
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


def _rows(n: int, noun: str = "row") -> str:
    """`1 row`, `2 rows`."""
    return f"{n} {noun}{'' if n == 1 else 's'}"
