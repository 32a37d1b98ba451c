"""What every store does with adjustments: with one that comes in, and with those that wait for their conversion.

`core.adjustment` and `core.repeats` decide; a store offers its rows as `AdjustmentRows`. All of it is synchronous and
inside one transaction of the committer, so that neither a claim nor a settlement comes between.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import assert_never

from sidecar.core import repeats
from sidecar.core.adjustment import (
    Adjustment,
    Apply,
    ById,
    ByOrder,
    Earlier,
    Foreign,
    NotSent,
    Original,
    Placement,
    Retracted,
    SendAdjustment,
    Unfit,
    WaitForOriginal,
    decide,
    place,
)
from sidecar.core.conversion import AdjustmentType, Kind, matched_by, plain_decimal
from sidecar.core.difference import AdjustmentContent, of_adjustments
from sidecar.core.instant import EPOCH, MAX_AGE_SECONDS, UnixMillis, UnixSeconds, millis
from sidecar.core.intake.problem import Problem
from sidecar.core.record import Record, public_id
from sidecar.core.repeats import Repeat
from sidecar.core.states_and_reasons import Reason, State
from sidecar.ports.intake import (
    Adjusting,
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
from sidecar.store.row_primitives import AdjustmentRows, NewAdjustment

# --- Those that wait for their conversion ----------------------------------------------------------------------------


def release(rows: AdjustmentRows, originals: Iterable[int], now: UnixMillis, adjustment_delay_millis: int) -> None:
    """Carry out what waited for these conversions, which were settled or ended.

    Of one conversion at most one adjustment waits, so their order does not matter.
    """
    for seq, original, adjusted_at, time in rows.waiting(originals):
        conversion = rows.original(original) or _uploaded_elsewhere(time)
        every = {one.seq: one for one in rows.earlier(original)}
        type_ = every.pop(seq).type
        placement = place(conversion, tuple(every.values()), adjusted_at, now, adjustment_delay_millis)
        _carry_out(rows, seq, type_, original, placement, now)


def release_replayed(rows: AdjustmentRows, conversions: Sequence[int], now: UnixMillis) -> None:
    """These conversions are due again: what was retracted or restated meanwhile still is."""
    rows.revive(conversions)
    release(rows, conversions, now, adjustment_delay_millis=0)  # none is delivered, so nothing is due after it


def _uploaded_elsewhere(time: UnixSeconds, currency: str | None = None) -> Original:
    """A conversion that is not stored here counts as delivered at its `time`."""
    return Original(
        state=State.DELIVERED,
        reason=None,
        time=time,
        sent_time=None,
        settled_at=millis(time),
        currency=currency,
        possibly_sent=True,
    )


def _carry_out(
    rows: AdjustmentRows, seq: int, type_: AdjustmentType, original: int, placement: Placement, now: UnixMillis
) -> None:
    """Do what was decided with the waiting adjustment `seq`."""
    if isinstance(placement, NotSent):
        rows.end([seq], State.SKIPPED, Reason.ORIGINAL_NOT_SENT, now)
        return
    if placement.superseded:
        rows.end(placement.superseded, State.CANCELED, Reason.SUPERSEDED, now)
    match placement:
        case WaitForOriginal():
            pass
        case SendAdjustment(due_at, adjusted_at):
            rows.send(seq, original, due_at, adjusted_at, now)
        case Apply() if type_ is AdjustmentType.RETRACT:
            rows.retract(original, now)
            rows.end([seq], State.CANCELED, Reason.RETRACTED, now)
        case Apply():
            rows.restate(original, seq)
            rows.end([seq], State.CANCELED, Reason.APPLIED_BEFORE_UPLOAD, now)
        case _:
            assert_never(placement)


# --- One that comes in -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Conversion:
    """The conversion that an adjustment names: its number, and what the adjustment takes over from it."""

    seq: int
    account: str
    event: str
    order_id: str | None
    time: UnixSeconds
    currency: str | None
    received_at: UnixMillis = EPOCH
    foreign: Foreign | None = None
    record: Record | None = None


@dataclass(frozen=True, slots=True)
class AdjustmentWriter:
    """Stores one adjustment, or finds out why not."""

    rows: AdjustmentRows
    item: Adjusting
    adjustment_delay_millis: int

    @property
    def wanted(self) -> Adjustment:
        """The adjustment itself."""
        return self.item.adjustment

    def write(self) -> AdjustResult:
        """Store it unless it is known or cannot be done."""
        match self._conversion():
            case NoOriginal() | Ambiguous() as missing:
                return missing
            case conversion:
                earlier = self.rows.earlier(conversion.seq)
                return self._known(conversion, earlier) or self._decided(conversion, earlier)

    def _conversion(self) -> _Conversion | NoOriginal | Ambiguous:
        """The conversion that it names."""
        match self.wanted.target:
            case Foreign() as foreign:
                return _Conversion(
                    seq=foreign.original,
                    account=foreign.account,
                    event=foreign.event,
                    order_id=None,
                    time=foreign.time,
                    currency=foreign.currency,
                    foreign=foreign,
                )
            case ById(seq, event):
                return _only_one([self.rows.record(seq)], event)
            case ByOrder(order_id, event):
                return _only_one([self.rows.record(seq) for seq in self.rows.of_order(order_id, event)], event)
            case _:
                assert_never(self.wanted.target)

    def _known(self, conversion: _Conversion, earlier: Sequence[Earlier]) -> Replayed | Conflict | None:
        """The answer if it is stored: the key decides where there is one, else the content."""
        key, content = self.wanted.key(), self._content(conversion)
        if key is None:
            repeated = repeats.of_adjustment(content, earlier, conversion.received_at)
            return repeated and Replayed(self._record(repeated.seq), repeated.overtaken)
        match repeats.of_keyed_adjustment(content, self.rows.under_key(key)):
            case None:
                return None
            case Repeat.SAME, seq:
                return Replayed(self._record(seq))
            case _, seq:
                return self._conflict(self._record(seq), conversion)

    def _conflict(self, record: Record, conversion: _Conversion) -> Conflict:
        value = None if record.value is None else Decimal(record.value)
        stored = AdjustmentContent(_shown_id(record.original), record.type, value, record.currency)
        wanted, currency = self.wanted, self._currency(conversion)
        given = AdjustmentContent(_shown_id(conversion.seq), wanted.type, wanted.value, currency)
        return Conflict(record, of_adjustments(stored, given))

    def _content(self, conversion: _Conversion) -> str:
        return self.wanted.content(conversion.seq, self._currency(conversion))

    def _currency(self, conversion: _Conversion) -> str | None:
        """A restate always names one; a retract never does."""
        return None if self.wanted.type is AdjustmentType.RETRACT else self.wanted.currency or conversion.currency

    def _decided(self, conversion: _Conversion, earlier: Sequence[Earlier]) -> AdjustResult:
        """Do what `core.adjustment` decides of a new one."""
        record, currency = conversion.record, conversion.currency
        # Of a conversion that was uploaded elsewhere only the caller knows the currency.
        original = self.rows.original(conversion.seq) or _uploaded_elsewhere(conversion.time)
        original = replace(original, currency=currency)
        match decide(original, earlier, self.wanted, self.item.received_at, self.adjustment_delay_millis):
            case Unfit(problem):
                return Unadjustable(problem)
            case Retracted(seq):
                return self._retracted(conversion, seq)
            case _ if record is not None and record.state is State.DELIVERED and not matched_by(record):
                message = "is of a person whose data was erased: what it was sent with is no longer known"
                return Unadjustable(Problem("order_id", "erased", message))
            case NotSent():
                assert record is not None
                return OriginalNotSent(record)
            case Apply() | WaitForOriginal() | SendAdjustment() as placement:
                seq = self.rows.add(self._new(conversion))
                _carry_out(self.rows, seq, self.wanted.type, conversion.seq, placement, self.item.received_at)
                return Stored(self._record(seq))

    def _retracted(self, conversion: _Conversion, seq: int | None) -> AdjustResult:
        """A second retract changes nothing; a restate has no value left to change."""
        retract = None if seq is None else self._record(seq)
        if self.wanted.type is AdjustmentType.RETRACT and retract is not None:
            return Replayed(retract)
        shown = conversion.record or retract
        assert shown is not None
        return AlreadyRetracted(shown) if self.wanted.type is AdjustmentType.RESTATE else OriginalNotSent(shown)

    def _new(self, conversion: _Conversion) -> NewAdjustment:
        key, foreign, wanted = self.wanted.key(), conversion.foreign, self.wanted
        return NewAdjustment(
            account=conversion.account,
            event=conversion.event,
            key_hash=key.hash if key else None,
            key_digest=key.digest if key else None,
            content=self._content(conversion),
            order_id=conversion.order_id,
            time=conversion.time,
            time_given=int(wanted.time_given),
            value=None if wanted.value is None else plain_decimal(wanted.value),
            currency=self._currency(conversion),
            msclkid=foreign.msclkid if foreign else None,
            email_sha256=foreign.email_sha256 if foreign else None,
            phone_sha256=foreign.phone_sha256 if foreign else None,
            request_id=self.item.request_id,
            received_at=self.item.received_at,
            # While it waits: not before it is too old, when it ends as every row does.
            due_at=millis(UnixSeconds(conversion.time + MAX_AGE_SECONDS + 1)),
            type=wanted.type.value,
            original=conversion.seq,
            adjusted_at=wanted.time,
        )

    def _record(self, seq: int) -> Record:
        """A row that is known to be there."""
        record = self.rows.record(seq)
        assert record is not None
        return record


def _shown_id(original: int | None) -> str:
    """The conversion's id; there is none of one that was uploaded elsewhere."""
    ours = original is not None and original > 0
    return public_id(Kind.CONVERSION, original or 0) if ours else "one that was uploaded elsewhere"


def _only_one(found: Sequence[Record | None], event: str | None) -> _Conversion | NoOriginal | Ambiguous:
    """The one conversion among the rows that fit."""
    records = [each for each in found if each is not None and each.kind is Kind.CONVERSION]
    records = [each for each in records if event in (None, each.event)]
    if len(records) != 1:
        return Ambiguous(tuple(records)) if records else NoOriginal()
    record = records[0]
    return _Conversion(
        seq=record.seq,
        account=record.account,
        event=record.event,
        order_id=record.order_id,
        time=record.time,
        currency=record.currency,
        received_at=record.received_at,
        record=record,
    )
