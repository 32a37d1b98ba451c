"""ApplyOfflineConversions and ApplyOfflineConversionAdjustments: check every row, store the valid ones.

https://learn.microsoft.com/advertising/campaign-management-service/applyofflineconversions
https://learn.microsoft.com/advertising/campaign-management-service/applyofflineconversionadjustments
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from sqlite3 import Connection
from typing import TypeVar

from sidecar.emulator import ledger, row_identity
from sidecar.emulator.admission import Caller, SlidingMinute, admit_upload
from sidecar.emulator.call import Answer, BatchError, Call
from sidecar.emulator.clicks import find_clicks
from sidecar.emulator.error_bodies import FaultShape, Refused, batch_error, partial_answer
from sidecar.emulator.goals import usable_goals
from sidecar.emulator.json_rows import Row, read_rows
from sidecar.emulator.ledger import StoredAdjustment, StoredConversion
from sidecar.emulator.options import EmulatorOptions
from sidecar.emulator.row_checks import CheckContext, adjustment_errors, conversion_errors
from sidecar.emulator.row_fields import Adjustment, Conversion, read_adjustment, read_conversion

T = TypeVar("T")

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
        context = _context(db, call, caller, (row.click_id for row in read if row and row.click_id))
        errors = [_errors(call, index, row, conversion_errors(row, context)) for index, row in enumerate(read)]
        stored = [_stored_conversion(row, fields, context) for row, fields in _accepted(rows, read, errors)]
        ledger.store_conversions(db, call.at, caller.account_id, stored)
        return _answer(call, errors)

    def apply_adjustments(self, db: Connection, call: Call) -> Answer:
        """`POST OfflineConversionAdjustments/Apply`."""
        caller = admit_upload(db, call, self.options, self.pace)
        rows = _limited(read_rows(call.body, "OfflineConversionAdjustments"))
        read = [read_adjustment(row.value) for row in rows]
        context = _context(db, call, caller, ())
        errors = [
            _errors(call, index, row.original if row else None, adjustment_errors(row, context))
            for index, row in enumerate(read)
        ]
        stored = [_stored_adjustment(row, fields, context) for row, fields in _accepted(rows, read, errors)]
        ledger.store_adjustments(db, call.at, caller.account_id, stored)
        return _answer(call, errors)


def _limited(rows: list[Row] | None) -> list[Row]:
    if not rows:
        raise Refused("OfflineConversionsNullOrEmpty", FaultShape.API)
    if len(rows) > MAX_ROWS:
        raise Refused("OfflineConversionsLimitExceeded", FaultShape.API)
    return rows


def _context(db: Connection, call: Call, caller: Caller, click_ids: Iterable[str]) -> CheckContext:
    return CheckContext(call.at, caller.account_id, usable_goals(db, caller), find_clicks(db, click_ids))


def _errors(call: Call, index: int, row: Conversion | None, symbols: Sequence[str]) -> list[BatchError]:
    """The row's errors: the scripted ones, else those of the checks."""
    name = row.name if row and row.name else ""
    planned = call.planned.errors_of(index, name) if call.planned else []
    return planned or [batch_error(index, symbol) for symbol in symbols]


def _accepted(
    rows: Sequence[Row], read: Sequence[T | None], errors: Sequence[Sequence[BatchError]]
) -> Iterator[tuple[Row, T]]:
    for row, fields, wrong in zip(rows, read, errors, strict=True):
        if fields and not wrong:
            yield row, fields


def _stored_conversion(row: Row, fields: Conversion, context: CheckContext) -> StoredConversion:
    click = context.clicks.get(fields.click_id or "")
    return StoredConversion(
        row_identity.repeat_key(context.account_id, fields),
        row_identity.original_key(context.account_id, fields),
        context.goals[fields.name or ""].id,
        row.raw,
        "AccountMismatch" if click and click.account_id != context.account_id else None,
    )


def _stored_adjustment(row: Row, fields: Adjustment, context: CheckContext) -> StoredAdjustment:
    return StoredAdjustment(
        identity=row_identity.adjustment_key(context.account_id, fields),
        original=row_identity.repeat_key(context.account_id, fields.original),
        original_wide=row_identity.original_key(context.account_id, fields.original),
        goal_id=context.goals[fields.original.name or ""].id,
        raw=row.raw,
        type=fields.type or "",
        value=None if fields.value is None else str(fields.value),
        currency=fields.currency,
    )


def _answer(call: Call, errors: Sequence[Sequence[BatchError]]) -> Answer:
    return partial_answer({}, errors, descending=call.planned is not None and call.planned.is_descending)
