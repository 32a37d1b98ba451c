"""Columns to values and back: an Entry for the flusher, a Record for the API, a conversion for the insert."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

from sidecar.core.conversion import AdjustmentType, Conversion, Key, Kind, plain_decimal
from sidecar.core.entry import Entry, Lane, Reason, State
from sidecar.core.instant import millis
from sidecar.core.record import Record
from sidecar.ports.intake import Arrival

ENTRY_COLUMNS = """
    seq, time, received_at, due_at, value, currency, nullif(coalesce(click, msclkid), ''), visitor_id, email_sha256,
    phone_sha256, external_credit, external_model, order_id, attempt, refusals, retries, maybe_sent, goal, sent_time,
    clicked_at, type, original, adjusted_at"""
"""In the order of Entry's fields, but for the lane, which is known, and `evaluated`, which is never stored."""

RECORD_COLUMNS = """
    e.seq, l.kind, e.state, e.reason, l.account, l.event, e.goal, e.order_id, e.time, e.value, e.currency,
    nullif(coalesce(e.click, e.msclkid), ''), e.email_sha256, e.phone_sha256, e.attempt, e.received_at,
    iif(e.claimed, b.due_at, e.due_at), e.claimed, b.sent_at, e.settled_at, e.batch_id, e.error, e.error_code,
    b.tracking_id, e.message, e.meta, coalesce(e.claimed AND b.leased, 0), e.visitor_id, e.type, e.original,
    CASE WHEN e.state = 'pending' AND e.goal IS NOT NULL THEN CASE
        WHEN e.original > 0 THEN (
            SELECT ob.sent_to FROM entries o JOIN batches ob ON ob.id = o.batch_id WHERE o.seq = e.original)
        WHEN e.maybe_sent OR e.claimed AND b.leased THEN b.sent_to END END"""
"""In the order of Record's fields."""

RECORD_TABLES = "entries e JOIN lanes l ON l.id = e.lane LEFT JOIN batches b ON b.id = e.batch_id"

INSERT_COLUMNS = (
    "seq", "lane", "state", "reason", "key_hash", "key_digest", "content", "order_id", "time", "time_given", "value",
    "currency", "msclkid", "email_sha256", "phone_sha256", "external_credit", "external_model", "meta", "request_id",
    "received_at", "due_at", "visitor_id", "visitor",
)  # fmt: skip
"""What intake writes of a row; the rest of the table starts at its defaults."""

_SEQ, _REASON, _VALUE, _RECEIVED_AT, _DUE_AT = map(
    INSERT_COLUMNS.index, ("seq", "reason", "value", "received_at", "due_at")
)

_KINDS: Mapping[str, Kind] = {kind.value: kind for kind in Kind}
_STATES: Mapping[str, State] = {state.value: state for state in State}

_PENDING, _NOT_YET = State.PENDING.value, Reason.NOT_YET.value  # looked up in an enum they cost more than a digest


def entry_of(row: Sequence[Any], lane: Lane) -> Entry:
    """The entry in a row of ENTRY_COLUMNS."""
    entry = Entry._make((row[0], lane, *row[1:], None))
    return entry if entry.type is None else entry._replace(type=AdjustmentType(entry.type))


def record_of(row: sqlite3.Row | Sequence[Any]) -> Record:
    """The record in a row of RECORD_COLUMNS."""
    record = Record._make((row[0], _KINDS[row[1]], _STATES[row[2]], *row[3:]))
    return record if record.type is None else record._replace(type=AdjustmentType(record.type))


class Draft(NamedTuple):
    """An arrival on its way into the table, with its key and content: each is a hash, computed once."""

    arrival: Arrival
    conversion: Conversion
    key: Key
    content: str

    @classmethod
    def of(cls, arrival: Arrival) -> Self:
        return cls(arrival, arrival.conversion, arrival.conversion.key(), arrival.conversion.content())


def insert_values(draft: Draft, seq: int, lane: int, visitor: int | None = None) -> list[Any]:
    """The values of INSERT_COLUMNS for a new row; `visitor` is the hash of the one that it names."""
    conversion, received_at = draft.conversion, draft.arrival.received_at
    external = conversion.external_attribution
    due_at = max(received_at, millis(conversion.time))
    return [
        seq,
        lane,
        _PENDING,
        _NOT_YET if due_at > received_at else None,
        draft.key.hash,
        draft.key.digest,
        draft.content,
        conversion.order_id,
        conversion.time,
        int(conversion.time_given),
        None if conversion.value is None else plain_decimal(conversion.value),
        conversion.currency,
        conversion.msclkid,
        conversion.email_sha256,
        conversion.phone_sha256,
        plain_decimal(external.credit) if external else None,
        external.model if external else None,
        conversion.meta,
        draft.arrival.request_id,
        received_at,
        due_at,
        conversion.visitor_id,
        visitor,
    ]


def new_record(conversion: Conversion, values: Sequence[Any], *, attempt: int = 0) -> Record:
    """The record of a row that was just written from `values` (INSERT_COLUMNS)."""
    return Record(
        values[_SEQ],
        Kind.CONVERSION,
        State.PENDING,
        values[_REASON],
        conversion.account,
        conversion.event,
        None,
        conversion.order_id,
        conversion.time,
        values[_VALUE],
        conversion.currency,
        conversion.msclkid,
        conversion.email_sha256,
        conversion.phone_sha256,
        attempt,
        values[_RECEIVED_AT],
        values[_DUE_AT],
        False,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        conversion.meta,
        visitor_id=conversion.visitor_id,
    )
