"""What an erasure does in the model of the store: whose rows it finds, which it redacts, and for which it waits."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from adjustment_model import AdjustingModel
from outbox_model import Model, Row

from sidecar.core.adjustment import Adjustment, ById
from sidecar.core.conversion import AdjustmentType, Kind
from sidecar.core.erasure import ErasureRequest, Subject
from sidecar.core.instant import UnixSeconds
from sidecar.core.states_and_reasons import Reason, State
from sidecar.ports.intake import Replayed, Stored


@dataclass
class Job:
    """What the model knows of an erasure."""

    wanted: ErasureRequest
    last: int
    """What comes in later is not meant."""
    is_new: bool = True
    waits: dict[int, bool] = field(default_factory=dict)
    """Rows that have to be settled first; whether each carries a retract that has to go out."""
    conversions: int = 0
    skipped: int = 0
    retracted: int = 0
    clicks: int = 0

    @property
    def is_done(self) -> bool:
        return not self.is_new and not self.waits

    def is_about(self, row: Row) -> bool:
        found_by = {
            Subject.EMAIL: row.email,
            Subject.PHONE: row.phone,
            Subject.VISITOR: row.visitor_id,
            Subject.ORDER: row.order_id,
        }
        return row.seq <= self.last and found_by[self.wanted.subject] == self.wanted.search_value


@dataclass
class ErasingModel:
    """Carries erasures out."""

    model: Model
    adjusting: AdjustingModel
    jobs: dict[int, Job] = field(default_factory=dict)

    def add(self, number: int, wanted: ErasureRequest) -> None:
        self.jobs[number] = Job(wanted, self.model.last)

    def round(self, now: int) -> None:
        """Bring every erasure as far as it gets."""
        for _, job in sorted(self.jobs.items()):
            if job.is_new:
                self._begin(job, now)
            if job.waits:
                self._erase(job, sorted(job.waits), now)

    def _begin(self, job: Job, now: int) -> None:
        if job.wanted.subject is Subject.VISITOR:
            self._forget_clicks(job, {(account, job.wanted.search_value) for account, _, _ in self.model.clicks})
        job.is_new = False
        self._erase(job, [row.seq for row in self.model.rows.values() if job.is_about(row)], now)

    def _erase(self, job: Job, seqs: Sequence[int], now: int) -> None:
        rows = self._rows(seqs)
        every = self._with_adjustments(rows)
        delivered = [row for row in rows if _is_delivered(row) and not job.waits.get(row.seq, False)]
        retracts = self._retract(delivered, now) if job.wanted.retract else set()
        if job.wanted.subject in (Subject.EMAIL, Subject.PHONE):
            self._forget_clicks(job, {(row.account, row.visitor_id) for row in every if row.visitor_id})
        self._redact(job, seqs, delivered, retracts, now)

    def _retract(self, delivered: Sequence[Row], now: int) -> set[int]:
        """The rows that carry retracts of these, and have to go out yet."""
        found = set()
        for row in delivered:
            told = self.adjusting.adjust(_retract_of(row.seq, now), now)
            carrier = self.model.rows[told[1]] if told[0] in (Stored, Replayed) else None
            if carrier is not None and carrier.kind is Kind.ADJUSTMENT and carrier.state is State.PENDING:
                found.add(carrier.seq)
        return found

    def _redact(
        self, job: Job, seqs: Sequence[int], delivered: Sequence[Row], retracts: Collection[int], now: int
    ) -> None:
        carrying = {seq for seq, must_settle in job.waits.items() if must_settle} | set(retracts)
        every = self._with_adjustments(self._rows(seqs))
        for row in every:
            if row.seq not in carrying and self._was_never_sent(row):
                row.end(State.SKIPPED, Reason.ERASED, now)
                job.skipped += 1
                self.adjusting.settled([row], now, 0)
        waiting = self._waiting(job, every, delivered, carrying) | set(retracts)
        for row in every:
            if row.seq not in waiting:
                self._forget(job, row, row.seq in carrying)
        for seq in {row.seq for row in every} | set(seqs) | set(retracts):
            if seq in waiting:
                job.waits[seq] = job.waits.get(seq, seq in carrying)
            else:
                job.waits.pop(seq, None)

    def _waiting(self, job: Job, every: Sequence[Row], delivered: Sequence[Row], carrying: Collection[int]) -> set[int]:
        """What has to be settled first, or names a conversion that an adjustment has to name yet."""
        waiting = {row.seq for row in every if row.state is State.PENDING}
        waiting |= {row.seq for row in every if any(own.state is State.PENDING for own in self.adjusting.of(row.seq))}
        if job.wanted.retract:
            waiting |= {
                row.seq for row in every if _is_delivered(row) and row.seq not in carrying and row not in delivered
            }
        return waiting

    def _was_never_sent(self, row: Row) -> bool:
        waits = row.kind is Kind.CONVERSION and row.state is State.PENDING
        return waits and not row.maybe_sent and not self.model.is_leased(row)

    def _forget(self, job: Job, row: Row, was_carrying: bool) -> None:
        job.conversions += row.kind is Kind.CONVERSION
        job.retracted += was_carrying and row.state is State.DELIVERED and row.kind is Kind.ADJUSTMENT
        row.order_id = row.msclkid = row.click = row.visitor_id = row.email = row.phone = row.meta = None
        row.clicked_at = row.identity = row.content = None
        row.is_found_by_clicks = False
        if row.state is State.SKIPPED:
            row.reason = Reason.ERASED

    def _forget_clicks(self, job: Job, visitors: Collection[tuple[str, str | None]]) -> None:
        for name in list(self.model.clicks):
            if name[:2] in visitors:
                del self.model.clicks[name]
                job.clicks += 1

    def _rows(self, seqs: Sequence[int]) -> list[Row]:
        return [self.model.rows[seq] for seq in seqs if seq in self.model.rows]

    def _with_adjustments(self, rows: Sequence[Row]) -> list[Row]:
        found = {row.seq: row for row in rows}
        for row in rows:
            found |= {own.seq: own for own in self.adjusting.of(row.seq)}
        return list(found.values())


def counted(job: Any) -> tuple[int, ...]:
    """What an erasure says of its work; the same of the store's and the model's."""
    waiting = len(job.waits) if isinstance(job, Job) else job.waiting
    return (job.conversions, job.skipped, job.retracted, job.clicks, waiting)


def _is_delivered(row: Row) -> bool:
    return row.kind is Kind.CONVERSION and row.state is State.DELIVERED


def _retract_of(seq: int, now: int) -> Adjustment:
    return Adjustment(
        type=AdjustmentType.RETRACT,
        target=ById(seq, None),
        value=None,
        currency=None,
        time=UnixSeconds(now // 1_000),
        time_given=False,
    )
