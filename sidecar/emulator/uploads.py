"""ApplyOfflineConversions and ApplyOfflineConversionAdjustments: check every row, store the valid ones.

https://learn.microsoft.com/advertising/campaign-management-service/applyofflineconversions
https://learn.microsoft.com/advertising/campaign-management-service/applyofflineconversionadjustments
"""

from collections.abc import Sequence
from dataclasses import dataclass
from sqlite3 import Connection

from sidecar.emulator import ledger, row_identity
from sidecar.emulator.admission import Caller, SlidingMinute, admit_upload
from sidecar.emulator.attribution import Attribution, KnownClicks, is_expired, split_symbols, unattributed
from sidecar.emulator.call import Answer, BatchError, Call
from sidecar.emulator.clicks import find_clicks, read_attribution
from sidecar.emulator.error_bodies import FaultShape, Refused, batch_error, partial_answer
from sidecar.emulator.goals import usable_goals
from sidecar.emulator.json_rows import Row, read_rows
from sidecar.emulator.ledger import StoredAdjustment, StoredConversion
from sidecar.emulator.options import EmulatorOptions
from sidecar.emulator.row_checks import CheckContext, Goal, adjustment_errors, conversion_errors
from sidecar.emulator.row_fields import Adjustment, Conversion, read_adjustment, read_conversion

MAX_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Uploads:
    """The two upload calls."""

    options: EmulatorOptions
    pace: SlidingMinute

    def apply_conversions(self, db: Connection, call: Call) -> Answer:
        """`POST OfflineConversions/Apply`."""
        caller = admit_upload(db, call, self.options, self.pace)
        rows = _limited(read_rows(call.body, "OfflineConversions"))
        read = [read_conversion(row.value) for row in rows]
        judge = _judge(db, call, caller, read)
        judged = [judge.conversion(index, row) for index, row in enumerate(read)]
        accepted = [row for row in zip(rows, read, judged, strict=True) if not row[2].errors]
        stored = [judge.stored_conversion(row, fields, verdict) for row, fields, verdict in accepted if fields]
        ledger.store_conversions(db, call.at, caller.account_id, stored)
        return _answer(call, judged)

    def apply_adjustments(self, db: Connection, call: Call) -> Answer:
        """`POST OfflineConversionAdjustments/Apply`."""
        caller = admit_upload(db, call, self.options, self.pace)
        rows = _limited(read_rows(call.body, "OfflineConversionAdjustments"))
        read = [read_adjustment(row.value) for row in rows]
        judge = _judge(db, call, caller, [row.original if row else None for row in read])
        judged = [judge.adjustment(index, row) for index, row in enumerate(read)]
        accepted = [row for row in zip(rows, read, judged, strict=True) if not row[2].errors]
        stored = [judge.stored_adjustment(row, fields, verdict) for row, fields, verdict in accepted if fields]
        ledger.store_adjustments(db, call.at, caller.account_id, stored)
        return _answer(call, judged)


@dataclass(frozen=True, slots=True)
class _Judged:
    """The errors that refuse a row; without any, why it does not count, or None."""

    errors: list[BatchError]
    unattributed: str | None = None


@dataclass(frozen=True, slots=True)
class _Judge:
    """Judges the rows of one request."""

    call: Call
    context: CheckContext
    clicks: KnownClicks
    settings: Attribution

    def conversion(self, index: int, row: Conversion | None) -> _Judged:
        """What becomes of a conversion."""
        errors, reason = self._checked(index, row, conversion_errors(row, self.context))
        goal = self._goal(row)
        if errors or reason or row is None or goal is None:
            return _Judged(errors, reason)
        return _Judged([], unattributed(row, goal, self.context, self.clicks, self.settings))

    def adjustment(self, index: int, row: Adjustment | None) -> _Judged:
        """What becomes of an adjustment, apart from its original."""
        original = row.original if row else None
        errors, reason = self._checked(index, original, adjustment_errors(row, self.context))
        goal = self._goal(original)
        if errors or reason or original is None or goal is None:
            return _Judged(errors, reason)
        expired = is_expired(original, goal, self.context, self.clicks)
        return _Judged([], "HistoricalClickDataExpired" if expired else None)

    def stored_conversion(self, row: Row, fields: Conversion, judged: _Judged) -> StoredConversion:
        """The conversion as the ledger stores it."""
        return StoredConversion(
            row_identity.repeat_key(self.context.account_id, fields),
            row_identity.original_key(self.context.account_id, fields),
            self.context.goals[fields.name or ""].id,
            row.raw,
            judged.unattributed,
        )

    def stored_adjustment(self, row: Row, fields: Adjustment, judged: _Judged) -> StoredAdjustment:
        """The adjustment as the ledger stores it."""
        return StoredAdjustment(
            identity=row_identity.adjustment_key(self.context.account_id, fields),
            original=row_identity.repeat_key(self.context.account_id, fields.original),
            original_wide=row_identity.original_key(self.context.account_id, fields.original),
            goal_id=self.context.goals[fields.original.name or ""].id,
            raw=row.raw,
            type=fields.type or "",
            value=None if fields.value is None else str(fields.value),
            currency=fields.currency,
            unattributed=judged.unattributed,
        )

    def _goal(self, row: Conversion | None) -> Goal | None:
        return self.context.goals.get(row.name or "") if row else None

    def _checked(
        self, index: int, row: Conversion | None, symbols: Sequence[str]
    ) -> tuple[list[BatchError], str | None]:
        """The row's errors, the scripted ones before those of the checks, and the reason of a check made later."""
        planned = self.call.planned.errors_of(index, (row and row.name) or "") if self.call.planned else []
        if planned:
            return planned, None
        refused, reason = split_symbols(symbols, self._goal(row), self.settings)
        return [batch_error(index, symbol) for symbol in refused], reason


def _judge(db: Connection, call: Call, caller: Caller, rows: Sequence[Conversion | None]) -> _Judge:
    clicks = find_clicks(db, rows)
    context = CheckContext(call.at, caller.account_id, usable_goals(db, caller), clicks.by_id)
    return _Judge(call, context, clicks, read_attribution(db))


def _limited(rows: list[Row] | None) -> list[Row]:
    if not rows:
        raise Refused("OfflineConversionsNullOrEmpty", FaultShape.API)
    if len(rows) > MAX_ROWS:
        raise Refused("OfflineConversionsLimitExceeded", FaultShape.API)
    return rows


def _answer(call: Call, judged: Sequence[_Judged]) -> Answer:
    is_descending = call.planned is not None and call.planned.is_descending
    return partial_answer({}, [row.errors for row in judged], descending=is_descending)
