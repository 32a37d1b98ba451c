"""A stored row with any fields, and what shows rows, for the tests of their JSON."""

import json
from typing import Any

from sidecar.api.http.reply import encode
from sidecar.api.row_json import Rows
from sidecar.core.conversion import Kind
from sidecar.core.instant import UnixMillis, UnixSeconds
from sidecar.core.record import Record
from sidecar.core.states_and_reasons import State

CLICK = "f894f652ea334e739002f7167ab8f8e3"


def stored_row(**fields: Any) -> Record:
    """A pending conversion that no claim has frozen yet; of fields that are not given, nothing is known."""
    absent = {**dict.fromkeys(Record.__struct_fields__), "attempt": 0, "claimed": False, "leased": False}
    known = {"seq": 17, "kind": Kind.CONVERSION, "state": State.PENDING, "account": "default", "event": "purchase"}
    return Record(**{**absent, **known, **fields})


PENDING = stored_row(
    order_id="O-1",
    time=UnixSeconds(1_795_444_245),
    value="49.9",
    currency="USD",
    msclkid=CLICK,
    email_sha256="a" * 64,
    received_at=UnixMillis(1_795_444_245_123),
    due_at=UnixMillis(1_795_444_250_000),
    meta='{"cart":{"lines":3}}',
)
GOALS = {("default", "purchase"): "Sidecar Purchase"}
NOW = UnixMillis(PENDING.received_at)
ROWS = Rows(goal_of=lambda account, event: GOALS.get((account, event)), held=lambda record: None, now=lambda: NOW)


def shown(record: Record, rows: Rows = ROWS) -> dict[str, Any]:
    """The row as a caller reads it."""
    read: dict[str, Any] = json.loads(encode(rows.show(record)))
    return read
