"""Columns to values and back: an Entry for the flusher, a Record for the API, a conversion for the insert."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from sidecar.core.conversion import AdjustmentType, Conversion, Key, Kind, plain_decimal, visitor_hash
from sidecar.core.entry import Entry, Lane, Reason, State
from sidecar.core.instant import millis
from sidecar.core.record import Record
from sidecar.ports import Arrival

ENTRY_COLUMNS = """
    seq, time, received_at, value, currency, nullif(coalesce(click, msclkid), ''), email_sha256, phone_sha256,
    external_credit, external_model, attempt, refusals, retries, maybe_sent, goal, sent_time, order_id, due_at,
    visitor_id, clicked_at, type, original, adjusted_at"""

RECORD_COLUMNS = """
    e.seq, l.kind, e.state, e.reason, l.account, l.event, e.goal, e.order_id, e.time, e.value, e.currency,
    nullif(coalesce(e.click, e.msclkid), ''), e.email_sha256, e.phone_sha256, e.attempt, e.received_at,
    iif(e.claimed, b.due_at, e.due_at), e.claimed, b.sent_at, e.settled_at, e.batch_id, e.error, e.error_code,
    b.tracking_id, e.message, e.meta, e.claimed AND b.leased, e.visitor_id, e.type, e.original"""

RECORD_TABLES = "entries e JOIN lanes l ON l.id = e.lane LEFT JOIN batches b ON b.id = e.batch_id"

INSERT_COLUMNS = (
    "seq", "lane", "state", "reason", "key_hash", "key_digest", "content", "order_id", "time", "time_given", "value",
    "currency", "msclkid", "email_sha256", "phone_sha256", "external_credit", "external_model", "meta", "request_id",
    "received_at", "due_at", "visitor_id", "visitor",
)  # fmt: skip
"""What intake writes of a row; the rest of the table starts at its defaults."""


def entry_of(row: Sequence[Any], lane: Lane) -> Entry:
    """The entry in a row of ENTRY_COLUMNS."""
    return Entry(
        seq=row[0],
        lane=lane,
        time=row[1],
        received_at=row[2],
        value=row[3],
        currency=row[4],
        msclkid=row[5],
        email_sha256=row[6],
        phone_sha256=row[7],
        external_credit=row[8],
        external_model=row[9],
        attempt=row[10],
        refusals=row[11],
        retries=row[12],
        maybe_sent=bool(row[13]),
        goal=row[14],
        sent_time=row[15],
        order_id=row[16],
        due_at=row[17],
        visitor_id=row[18],
        clicked_at=row[19],
        type=None if row[20] is None else AdjustmentType(row[20]),
        original=row[21],
        adjusted_at=row[22],
    )


def record_of(row: sqlite3.Row | Sequence[Any]) -> Record:
    """The record in a row of RECORD_COLUMNS."""
    return Record(
        seq=row[0],
        kind=Kind(row[1]),
        state=State(row[2]),
        reason=row[3],
        account=row[4],
        event=row[5],
        goal=row[6],
        order_id=row[7],
        time=row[8],
        value=row[9],
        currency=row[10],
        msclkid=row[11],
        email_sha256=row[12],
        phone_sha256=row[13],
        attempt=row[14],
        received_at=row[15],
        due_at=row[16],
        claimed=bool(row[17]),
        sent_at=row[18],
        settled_at=row[19],
        batch_id=row[20],
        error=row[21],
        error_code=row[22],
        tracking_id=row[23],
        message=row[24],
        meta=row[25],
        leased=bool(row[26]),
        visitor_id=row[27],
        type=None if row[28] is None else AdjustmentType(row[28]),
        original=row[29],
    )


@dataclass(frozen=True, slots=True)
class Draft:
    """An arrival on its way into the table, with its key and content: each is a hash, computed once."""

    arrival: Arrival
    conversion: Conversion
    key: Key
    content: str

    @classmethod
    def of(cls, arrival: Arrival) -> Self:
        return cls(arrival, arrival.conversion, arrival.conversion.key(), arrival.conversion.content())


def insert_values(draft: Draft, seq: int, lane: int) -> list[Any]:
    """The values of INSERT_COLUMNS for a new row."""
    conversion, received_at = draft.conversion, draft.arrival.received_at
    external = conversion.external_attribution
    due_at = max(received_at, millis(conversion.time))
    return [
        seq,
        lane,
        State.PENDING.value,
        Reason.NOT_YET.value if due_at > received_at else None,
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
        visitor_hash(conversion.account, conversion.visitor_id) if conversion.visitor_id else None,
    ]


def new_record(conversion: Conversion, values: Sequence[Any], *, attempt: int = 0) -> Record:
    """The record of a row that was just written from `values` (INSERT_COLUMNS)."""
    named = dict(zip(INSERT_COLUMNS, values, strict=True))
    return Record(
        seq=named["seq"],
        kind=Kind.CONVERSION,
        state=State.PENDING,
        reason=named["reason"],
        account=conversion.account,
        event=conversion.event,
        goal=None,
        order_id=conversion.order_id,
        time=conversion.time,
        value=named["value"],
        currency=conversion.currency,
        msclkid=conversion.msclkid,
        visitor_id=conversion.visitor_id,
        email_sha256=conversion.email_sha256,
        phone_sha256=conversion.phone_sha256,
        attempt=attempt,
        received_at=named["received_at"],
        due_at=named["due_at"],
        claimed=False,
        sent_at=None,
        settled_at=None,
        batch_id=None,
        error=None,
        error_code=None,
        tracking_id=None,
        message=None,
        meta=conversion.meta,
    )
