"""Writing down what came in as an adjustment: which conversion it means, whether it is known, what it is to do.

All of it inside one transaction of the committer, so that neither a claim nor a settlement can come between.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import assert_never

from sidecar.core.adjustment import (
    Adjustment,
    Apply,
    ById,
    ByOrder,
    Foreign,
    NotSent,
    Original,
    Placement,
    Retracted,
    SendAdjustment,
    Unfit,
    WaitForOriginal,
    decide,
)
from sidecar.core.conversion import AdjustmentType, Kind, matched_by, plain_decimal
from sidecar.core.difference import AdjustmentContent, of_adjustments
from sidecar.core.entry import Lane, Reason, State
from sidecar.core.instant import MAX_AGE_SECONDS, UnixMillis, UnixSeconds, millis
from sidecar.core.problem import Problem
from sidecar.core.record import Record, public_id
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
from sidecar.store.sqlite import reading
from sidecar.store.sqlite.counting import count
from sidecar.store.sqlite.erasing import ERASED_CONTENT
from sidecar.store.sqlite.releasing import carry_out, earlier_of, original_of

# The conversions of some keys: an order id under every account and event it may be of.
OF_ORDER = """
    SELECT e.seq FROM json_each(?) AS wanted
    JOIN entries e ON e.key_hash = wanted.value ->> 0 AND e.key_digest = wanted.value ->> 1"""

# Whether this was stored before and still stands: one that was refused, had nothing to adjust, was taken over from by
# one that came to nothing, or changed what was replaced since, may be sent anew.
KNOWN_KEY = """
    SELECT seq, content, 0 FROM entries
    WHERE key_hash = ? AND key_digest = ? AND state NOT IN ('dead', 'skipped') ORDER BY seq DESC LIMIT 1"""
KNOWN_CONTENT = """
    SELECT e.seq, e.content, EXISTS (
        SELECT 1 FROM entries o WHERE o.original = e.original AND o.seq > e.seq AND o.state NOT IN ('dead', 'skipped'))
    FROM entries e
    WHERE e.original = ? AND e.content = ? AND (
        e.state IN ('pending', 'delivered')
        OR e.state = 'canceled' AND e.reason = 'superseded' AND EXISTS (
            SELECT 1 FROM entries n
            WHERE n.original = e.original AND n.seq > e.seq AND n.state IN ('pending', 'delivered'))
        OR e.state = 'canceled' AND e.reason <> 'superseded' AND NOT EXISTS (
            SELECT 1 FROM entries o WHERE o.seq = e.original AND o.received_at > e.received_at))
    ORDER BY e.seq DESC LIMIT 1"""

LANE = "SELECT id FROM lanes WHERE account = ? AND event = ? AND kind = 'adjustment'"
NEW_LANE = "INSERT INTO lanes (account, event, kind) VALUES (?, ?, 'adjustment') RETURNING id"

# It begins as one that waits; what it is to do is carried out right after.
INSERT = """
    INSERT INTO entries (
        lane, state, reason, key_hash, key_digest, content, order_id, time, time_given, value, currency, msclkid,
        email_sha256, phone_sha256, request_id, received_at, due_at, type, original, adjusted_at)
    VALUES (?, 'pending', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    RETURNING seq"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Meant:
    """The conversion that is meant: its number, or the one that stands for it, and what an adjustment takes over."""

    original: int
    account: str
    event: str
    order_id: str | None
    time: UnixSeconds
    currency: str | None
    foreign: Foreign | None = None
    record: Record | None = None


def _is_erased(record: Record) -> bool:
    """Whether nothing is left by which Microsoft would know it."""
    return record.state is State.DELIVERED and not matched_by(record)


@dataclass(slots=True)
class AdjustmentWriter:
    """One adjustment on its way into the table; `lanes` are those that are known."""

    db: sqlite3.Connection
    lanes: Sequence[Lane]
    item: Adjusting
    settle_millis: int
    opened_lane: bool = False
    """Whether the first adjustment of an account's event made a lane for them."""

    @property
    def wanted(self) -> Adjustment:
        """What is asked for."""
        return self.item.adjustment

    @property
    def now(self) -> UnixMillis:
        """When it came in."""
        return self.item.received_at

    def write(self) -> AdjustResult:
        """What became of it."""
        match self._meant():
            case NoOriginal() | Ambiguous() as nothing:
                return nothing
            case meant:
                return self._known(meant) or self._new(meant)

    # --- which conversion --------------------------------------------------------------------------------------------

    def _meant(self) -> _Meant | NoOriginal | Ambiguous:
        match self.wanted.target:
            case Foreign() as foreign:
                return _Meant(
                    original=foreign.original,
                    account=foreign.account,
                    event=foreign.event,
                    order_id=None,
                    time=foreign.time,
                    currency=foreign.currency,
                    foreign=foreign,
                )
            case ById(seq, event):
                return _one([self._record(seq)], event)
            case ByOrder(order_id, event):
                return _one([self._record(seq) for seq in self._of_order(order_id, event)], event)
            case _:
                assert_never(self.wanted.target)

    def _of_order(self, order_id: str, event: str | None) -> list[int]:
        lanes = {(lane.account, lane.event) for lane in self.lanes if event in (None, lane.event)}
        return [row[0] for row in self.db.execute(OF_ORDER, (reading.order_keys(order_id, lanes),))]

    def _record(self, seq: int) -> Record | None:
        return reading.get(self.db, seq)

    # --- known before ------------------------------------------------------------------------------------------------

    def _known(self, meant: _Meant) -> Replayed | Conflict | None:
        """The key decides where there is one, else the content."""
        key, content = self.wanted.key(), self._content(meant)
        if key is None:
            row = self.db.execute(KNOWN_CONTENT, (meant.original, content)).fetchone()
        else:
            row = self.db.execute(KNOWN_KEY, (key.hash, key.digest)).fetchone()
        if row is None:
            return None
        record = self._record(row[0])
        assert record is not None
        same = row[1] in (content, ERASED_CONTENT)
        return Replayed(record, overtaken=bool(row[2])) if same else self._conflict(record, meant)

    def _conflict(self, record: Record, meant: _Meant) -> Conflict:
        value = None if record.value is None else Decimal(record.value)
        stored = AdjustmentContent(_named(record.original), record.type, value, record.currency)
        given = AdjustmentContent(_named(meant.original), self.wanted.type, self.wanted.value, self._currency(meant))
        return Conflict(record, of_adjustments(stored, given))

    def _content(self, meant: _Meant) -> str:
        return self.wanted.content(meant.original, self._currency(meant))

    def _currency(self, meant: _Meant) -> str | None:
        """A restate always names one; a retract never does."""
        return None if self.wanted.type is AdjustmentType.RETRACT else self.wanted.currency or meant.currency

    # --- new ---------------------------------------------------------------------------------------------------------

    def _new(self, meant: _Meant) -> AdjustResult:
        original = self._original(meant)
        earlier = earlier_of(self.db, meant.original)
        match decide(original, earlier, self.wanted, self.now, self.settle_millis):
            case Unfit(problem):
                return Unadjustable(problem)
            case Retracted(seq):
                return self._retracted(meant, seq)
            case _ if meant.record is not None and _is_erased(meant.record):
                message = "is of a person whose data was erased: what it was sent with is no longer known"
                return Unadjustable(Problem("order_id", "erased", message))
            case NotSent():
                assert meant.record is not None
                return OriginalNotSent(meant.record)
            case Apply() | WaitForOriginal() | SendAdjustment() as placement:
                return self._stored(meant, placement)

    def _original(self, meant: _Meant) -> Original:
        """Of one that was uploaded elsewhere only the caller knows the currency."""
        return replace(original_of(self.db, meant.original, meant.time), currency=meant.currency)

    def _retracted(self, meant: _Meant, seq: int | None) -> AdjustResult:
        """A second retract changes nothing; a restate has no value left to change."""
        retract = None if seq is None else self._record(seq)
        if self.wanted.type is AdjustmentType.RETRACT and retract is not None:
            return Replayed(retract)
        shown = meant.record or retract
        assert shown is not None
        return AlreadyRetracted(shown) if self.wanted.type is AdjustmentType.RESTATE else OriginalNotSent(shown)

    def _stored(self, meant: _Meant, placement: Placement) -> Stored:
        seq = self._insert(meant)
        count(self.db, {State.PENDING: 1})
        carry_out(self.db, seq, meant.original, placement, self.now)
        record = self._record(seq)
        assert record is not None
        return Stored(record)

    def _insert(self, meant: _Meant) -> int:
        key, foreign = self.wanted.key(), meant.foreign
        values = (
            self._lane(meant),
            Reason.AWAITING_ORIGINAL.value,
            key.hash if key else None,
            key.digest if key else None,
            self._content(meant),
            meant.order_id,
            meant.time,
            int(self.wanted.time_given),
            None if self.wanted.value is None else plain_decimal(self.wanted.value),
            self._currency(meant),
            foreign.msclkid if foreign else None,
            foreign.email_sha256 if foreign else None,
            foreign.phone_sha256 if foreign else None,
            self.item.request_id,
            self.now,
            # While it waits: not before it is too old, when it ends as every row does.
            millis(UnixSeconds(meant.time + MAX_AGE_SECONDS + 1)),
            self.wanted.type.value,
            meant.original,
            self.wanted.time,
        )
        return int(self.db.execute(INSERT, values).fetchone()[0])

    def _lane(self, meant: _Meant) -> int:
        row = self.db.execute(LANE, (meant.account, meant.event)).fetchone()
        if row is None:
            self.opened_lane = True
            row = self.db.execute(NEW_LANE, (meant.account, meant.event)).fetchone()
        return int(row[0])


def _named(original: int | None) -> str:
    """The original's id; of one that was uploaded elsewhere there is none."""
    ours = original is not None and original > 0
    return public_id(Kind.CONVERSION, original or 0) if ours else "one that was uploaded elsewhere"


def _one(found: Sequence[Record | None], event: str | None) -> _Meant | NoOriginal | Ambiguous:
    """The one conversion among the rows that fit."""
    records = [each for each in found if each is not None and each.kind is Kind.CONVERSION]
    records = [each for each in records if event in (None, each.event)]
    if len(records) != 1:
        return Ambiguous(tuple(records)) if records else NoOriginal()
    record = records[0]
    return _Meant(
        original=record.seq,
        account=record.account,
        event=record.event,
        order_id=record.order_id,
        time=record.time,
        currency=record.currency,
        record=record,
    )
