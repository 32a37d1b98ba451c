"""What adjustments do in the model of the store: the table of the contract, cell by cell, in plain Python."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from outbox_model import Model, Row

from sidecar.core.adjustment import Adjustment, ById, ByOrder, Foreign
from sidecar.core.conversion import AdjustmentType, Kind, plain_decimal
from sidecar.core.instant import MAX_AGE_SECONDS
from sidecar.core.states_and_reasons import Reason, State
from sidecar.ports.intake import (
    AdjustResult,
    AlreadyRetracted,
    Ambiguous,
    Conflict,
    NoOriginal,
    OriginalNotSent,
    Replayed,
    Stored,
    Unadjustable,
)

ADJUSTMENT_DELAY_MILLIS = 6 * 3_600_000

Told = tuple[Any, ...]
"""What the caller hears: the kind of answer, then the rows or codes that it names."""


def summary_of(result: AdjustResult) -> Told:
    """The store's answer in the same form."""
    match result:
        case Stored(record) | Conflict(record):
            return (type(result), record.seq)
        case Replayed(record, overtaken):
            return (Replayed, record.seq, overtaken)
        case OriginalNotSent(record) | AlreadyRetracted(record):
            return (type(result), record.seq)
        case Ambiguous(records):
            return (Ambiguous, frozenset(record.seq for record in records))
        case Unadjustable(problem):
            return (Unadjustable, problem.code)
        case NoOriginal():
            return (NoOriginal,)


@dataclass
class Meant:
    """The conversion that an adjustment is about; `row` is None where it was uploaded elsewhere."""

    number: int
    account: str
    event: str
    order_id: str | None
    time: int
    currency: str | None
    row: Row | None
    foreign: Foreign | None = None

    @property
    def state(self) -> State:
        return self.row.state if self.row else State.DELIVERED


@dataclass
class AdjustingModel:
    """Takes adjustments in, and lets go those that waited."""

    model: Model
    adjustment_delay_millis: int = ADJUSTMENT_DELAY_MILLIS

    # --- what comes in -----------------------------------------------------------------------------------------------

    def adjust(self, wanted: Adjustment, now: int) -> Told:
        """What the caller hears of it; what becomes of it is in the rows."""
        found = self._meant(wanted)
        if len(found) != 1:
            return (Ambiguous, frozenset(each.number for each in found)) if found else (NoOriginal,)
        meant = found[0]
        return self._known(wanted, meant) or self._refused(wanted, meant, now) or self._stored(wanted, meant, now)

    def _meant(self, wanted: Adjustment) -> list[Meant]:
        conversions = [row for row in self.model.rows.values() if row.kind is Kind.CONVERSION]
        match wanted.target:
            case Foreign() as given:
                meant = Meant(given.original, given.account, given.event, None, given.time, given.currency, None, given)
                return [meant]
            case ById(seq, event):
                rows = [row for row in conversions if row.seq == seq and event in (None, row.event)]
            case ByOrder(order_id, event):
                rows = [
                    row
                    for row in conversions
                    if row.key and row.key[0] == "order" and row.key[3] == order_id and event in (None, row.event)
                ]
        return [Meant(row.seq, row.account, row.event, row.order_id, row.time, row.currency, row, None) for row in rows]

    def of(self, number: int) -> list[Row]:
        """The adjustments of a conversion, in the order of their receipt."""
        return sorted((row for row in self.model.rows.values() if row.original == number), key=lambda row: row.seq)

    def _content(self, wanted: Adjustment, meant: Meant) -> Told:
        value = None if wanted.value is None else plain_decimal(wanted.value)
        return (meant.number, wanted.type, value, self._currency(wanted, meant), wanted.time_given and wanted.time)

    def _currency(self, wanted: Adjustment, meant: Meant) -> str | None:
        return None if wanted.type is AdjustmentType.RETRACT else wanted.currency or meant.currency

    # --- known before ------------------------------------------------------------------------------------------------

    def _known(self, wanted: Adjustment, meant: Meant) -> Told | None:
        content = self._content(wanted, meant)
        if wanted.idempotency_key is not None:
            key = ("adjustment", wanted.idempotency_key)
            rows = [row for row in self.model.rows.values() if row.key == key and _counts(row)]
            if not rows:
                return None
            newest = max(rows, key=lambda row: row.seq)
            return (Replayed, newest.seq, False) if newest.content in (None, content) else (Conflict, newest.seq)
        rows = [row for row in self.of(meant.number) if row.content == content and self._is_effective(row, meant)]
        if not rows:
            return None
        return (Replayed, rows[-1].seq, any(_counts(later) for later in self._after(rows[-1])))

    def _is_effective(self, row: Row, meant: Meant) -> bool:
        """Whether what it said is done, or will be: by itself, or by a later one that took over from it."""
        if row.state in (State.PENDING, State.DELIVERED):
            return True
        if row.state is not State.CANCELED:
            return False
        if row.reason == Reason.SUPERSEDED:
            return any(later.state in (State.PENDING, State.DELIVERED) for later in self._after(row))
        return meant.row is None or meant.row.received_at <= row.received_at  # it changed what was there before

    def _after(self, row: Row) -> list[Row]:
        return [later for later in self.of(row.original or 0) if later.seq > row.seq]

    # --- refused -----------------------------------------------------------------------------------------------------

    def _refused(self, wanted: Adjustment, meant: Meant, now: int) -> Told | None:
        if meant.time < now // 1_000 - MAX_AGE_SECONDS:
            return (Unadjustable, "too_old")
        if wanted.time_given and wanted.time < meant.time:
            return (Unadjustable, "before_original")
        if wanted.type is AdjustmentType.RESTATE and not (wanted.currency or meant.currency):
            return (Unadjustable, "currency_required")
        since = meant.row.replaced_at if meant.row else 0
        retracts = [row for row in self.of(meant.number) if row.type is AdjustmentType.RETRACT and _counts(row)]
        retracts = [row for row in retracts if row.received_at >= since]
        if retracts or (meant.row is not None and meant.row.reason == Reason.RETRACTED):
            return self._already(wanted, meant, retracts)
        if meant.state is State.DELIVERED and meant.row is not None and _has_no_identifier(meant.row):
            return (Unadjustable, "erased")
        return (OriginalNotSent, meant.number) if meant.row and _is_out_of_reach(meant.row) else None

    def _already(self, wanted: Adjustment, meant: Meant, retracts: Sequence[Row]) -> Told:
        shown = meant.number if meant.row else retracts[-1].seq
        if wanted.type is AdjustmentType.RESTATE:
            return (AlreadyRetracted, shown)
        return (Replayed, retracts[-1].seq, False) if retracts else (OriginalNotSent, shown)

    # --- new ---------------------------------------------------------------------------------------------------------

    def _stored(self, wanted: Adjustment, meant: Meant, now: int) -> Told:
        self.model.last += 1
        row = Row(
            seq=self.model.last,
            kind=Kind.ADJUSTMENT,
            account=meant.account,
            event=meant.event,
            key=("adjustment", wanted.idempotency_key) if wanted.idempotency_key is not None else None,
            content=self._content(wanted, meant),
            time=meant.time,
            time_given=wanted.time_given,
            received_at=now,
            first_received_at=now,
            due_at=(meant.time + MAX_AGE_SECONDS + 1) * 1_000,
            reason=Reason.AWAITING_ORIGINAL,
            order_id=meant.order_id,
            value=None if wanted.value is None else plain_decimal(wanted.value),
            currency=self._currency(wanted, meant),
            msclkid=meant.foreign.msclkid if meant.foreign else None,
            email=meant.foreign.email_sha256 if meant.foreign else None,
            phone=meant.foreign.phone_sha256 if meant.foreign else None,
            type=wanted.type,
            original=meant.number,
            adjusted_at=wanted.time,
        )
        self.model.rows[row.seq] = row
        self._place(row, now, self.adjustment_delay_millis)
        return (Stored, row.seq)

    # --- what it is to do now ----------------------------------------------------------------------------------------

    def _place(self, row: Row, now: int, adjustment_delay_millis: int) -> None:
        others = [other for other in self.of(row.original or 0) if other is not row]
        conversion = self.model.rows.get(row.original or 0)
        state = conversion.state if conversion else State.DELIVERED
        if conversion is not None and _is_out_of_reach(conversion):
            row.end(State.SKIPPED, Reason.ORIGINAL_NOT_SENT, now)
            return
        for other in others:
            if other.state is State.PENDING and not self._is_possibly_sent(other):
                other.end(State.CANCELED, Reason.SUPERSEDED, now)
        if conversion is not None and state is not State.DELIVERED and not self._is_possibly_sent(conversion):
            self._apply(row, conversion, now)
        elif state is not State.PENDING and not any(other.state is State.PENDING for other in others):
            self._send(row, conversion, others, now, adjustment_delay_millis)

    def _is_possibly_sent(self, row: Row) -> bool:
        return row.maybe_sent or self.model.is_leased(row)

    def _apply(self, row: Row, conversion: Row, now: int) -> None:
        """Nothing of the conversion is at Microsoft: it is changed or ended right here."""
        if row.type is AdjustmentType.RETRACT:
            conversion.end(State.CANCELED, Reason.RETRACTED, now)
            row.end(State.CANCELED, Reason.RETRACTED, now)
        else:
            conversion.value, conversion.currency = row.value, row.currency
            row.end(State.CANCELED, Reason.APPLIED_BEFORE_UPLOAD, now)

    def _send(
        self, row: Row, conversion: Row | None, others: Iterable[Row], now: int, adjustment_delay_millis: int
    ) -> None:
        """It goes out, later than all that Microsoft may have of the conversion."""
        sent_time = row.time if conversion is None else conversion.sent_time or conversion.time
        settled_at = row.time * 1_000 if conversion is None else conversion.settled_at or row.time * 1_000
        settled_at = min(settled_at, now)  # what was settled in the future was so while the clock was ahead
        after = [(other.adjusted_at or 0) + 1 for other in others if other.attempt]
        row.adjusted_at = max(row.adjusted_at or 0, sent_time, *after)
        row.due_at = max(now, settled_at + adjustment_delay_millis, row.adjusted_at * 1_000)
        row.reason = Reason.NOT_YET if row.due_at > now else None
        if conversion is not None:
            row.goal, row.sent_time, row.click = conversion.goal, conversion.sent_time, conversion.shown_click or ""
            row.email, row.phone = conversion.email, conversion.phone

    # --- what waited -------------------------------------------------------------------------------------------------

    def settled(self, rows: Iterable[Row], now: int, adjustment_delay_millis: int | None = None) -> None:
        """These were settled or ended: look at what waited for them."""
        self.release({row.seq if row.original is None else row.original for row in rows}, now, adjustment_delay_millis)

    def release(self, numbers: Collection[int], now: int, adjustment_delay_millis: int | None = None) -> None:
        """Look at what waits for these conversions, or for other adjustments of them."""
        for row in list(self.model.rows.values()):
            if row.original in numbers and row.state is State.PENDING and row.reason == Reason.AWAITING_ORIGINAL:
                self._place(
                    row,
                    now,
                    self.adjustment_delay_millis if adjustment_delay_millis is None else adjustment_delay_millis,
                )

    def replayed(self, seqs: Sequence[int], now: int) -> None:
        """Conversions are due again: what was wanted of them last, and came to nothing because they had, still is."""
        for seq in seqs:
            own = self.of(seq)
            last = own[-1] if own else None
            if (
                last
                and last.reason == Reason.ORIGINAL_NOT_SENT
                and last.received_at >= self.model.rows[seq].received_at
            ):
                last.state, last.reason, last.settled_at = State.PENDING, Reason.AWAITING_ORIGINAL, None
        self.release(set(seqs), now)

    def before_resend(self, number: int, now: int) -> None:
        """A batch is about to go again: what waited may be done with rows that were definitely refused."""
        rows = [self.model.rows[seq] for seq in self.model.in_batch(number)]
        self.settled(rows, now)


def _is_out_of_reach(conversion: Row) -> bool:
    """Whether it was given up, or nothing is left by which it could be known."""
    is_erased = conversion.content is None or conversion.reason == Reason.ERASED
    return conversion.state is State.CANCELED or (is_erased and conversion.state in (State.SKIPPED, State.DEAD))


def _counts(row: Row) -> bool:
    """Whether it says, or said, something of its conversion."""
    return row.state in (State.PENDING, State.DELIVERED, State.CANCELED)


def _has_no_identifier(row: Row) -> bool:
    """Whether nothing is left by which Microsoft would know it."""
    return not (row.shown_click or row.visitor_id or row.email or row.phone)
