"""Columns to values and back: a new row from a conversion, an Entry for delivery, a Record for the API.

A field of `Conversion`, `Entry` or `Record` is the column of its name; what differs from that is declared here, once.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from operator import attrgetter, itemgetter
from typing import Any

import msgspec
from msgspec.structs import force_setattr

from sidecar.core.conversion import AdjustmentType, Conversion, ExternalAttribution, Kind, plain_decimal
from sidecar.core.entry import Entry, Lane
from sidecar.core.instant import millis
from sidecar.core.keys import Key
from sidecar.core.record import Record
from sidecar.core.states_and_reasons import Reason, State
from sidecar.ports.intake import Arrival

# --- A row that comes in ---------------------------------------------------------------------------------------------

_CONVERTED = frozenset(("time_given", "value", "external_attribution"))
"""Fields of a conversion that its row has in another form: see `_Computed`."""

_IN_OTHER_COLUMNS = frozenset(("account", "event", "goal", "idempotency_key", "given_value", "given_currency"))
"""Fields that are in the row's lane, key or content."""

_AS_GIVEN = tuple(name for name in Conversion.__struct_fields__ if name not in _CONVERTED | _IN_OTHER_COLUMNS)
"""Fields of a conversion that its row has as they are."""

# As the index of ended rows has it. A list with IN would cost each row that is written; see schema/0004.
HAS_ENDED = "(state = 'dead' OR state = 'skipped' OR state = 'canceled')"

# The account at Microsoft that a waiting row keeps: that of its batch, or, of an adjustment, of its conversion's.
BOUND_TO = """
    (SELECT sent_to FROM batches WHERE id = CASE WHEN entries.original > 0
        THEN (SELECT o.batch_id FROM entries o WHERE o.seq = entries.original) ELSE entries.batch_id END)"""


_COMPUTED = (
    "seq",
    "lane",
    "state",
    "reason",
    "key_hash",
    "key_digest",
    "content",
    "time_given",
    "value",
    "external_credit",
    "external_model",
    "request_id",
    "received_at",
    "due_at",
    "visitor",
)
"""The other columns of a new row; the rest of the table starts at its defaults."""

INSERT_COLUMNS = (*_COMPUTED, *_AS_GIVEN)
"""What intake writes of a row, in the order of `new_row`."""

_as_given = attrgetter(*_AS_GIVEN)

_PENDING, _NOT_YET = State.PENDING.value, Reason.NOT_YET.value  # looked up in an enum they cost more than a digest


def new_row(
    arrival: Arrival, key: Key, content: str, seq: int, lane: int, visitor: int | None = None
) -> tuple[Any, ...]:
    """The values of INSERT_COLUMNS; `visitor` is the hash of the one that the conversion names."""
    conversion, received_at = arrival.conversion, arrival.received_at
    external = conversion.external_attribution
    value = None if conversion.value is None else plain_decimal(conversion.value)
    credit, model = (plain_decimal(external.credit), external.model) if external else (None, None)
    due_at = max(received_at, millis(conversion.time))
    return (  # a plain tuple in the order of _COMPUTED: one with names takes 1 µs more, 5 % of a row's write
        seq,
        lane,
        _PENDING,
        _NOT_YET if due_at > received_at else None,
        key.hash,
        key.digest,
        content,
        int(conversion.time_given),
        value,
        credit,
        model,
        arrival.request_id,
        received_at,
        due_at,
        visitor,
        *_as_given(conversion),
    )


_AT_FIRST: Mapping[str, object] = {"kind": Kind.CONVERSION, "state": State.PENDING, "claimed": False, "leased": False}
_VALUES_AT_FIRST = (*_AT_FIRST.values(), None)
_KNOWN_OF_NEW = (*INSERT_COLUMNS, "account", "event", "attempt", *_AT_FIRST, None)
_PLACES: Mapping[str | None, int] = {name: place for place, name in enumerate(_KNOWN_OF_NEW)}
_record_of_new = itemgetter(*(_PLACES.get(name, _PLACES[None]) for name in Record.__struct_fields__))


def record_of_new(row: tuple[Any, ...], conversion: Conversion, attempt: int = 0) -> Record:
    """The record of a `row` of INSERT_COLUMNS that was just written; its other fields are None."""
    known = (*row, conversion.account, conversion.event, attempt, *_VALUES_AT_FIRST)
    return Record(*_record_of_new(known))


STORED_COLUMNS = ", ".join(("time_given", "value", "external_credit", "external_model", *_AS_GIVEN))
"""What a row holds of its conversion."""


def stored_conversion(row: Sequence[Any], given: Conversion) -> Conversion:
    """The conversion in a row of STORED_COLUMNS; what no row holds is that of `given`, which has the same key."""
    time_given, value, credit, model, *stored = row
    return msgspec.structs.replace(
        given,
        time_given=bool(time_given),
        value=None if value is None else Decimal(value),
        external_attribution=None if credit is None else ExternalAttribution(Decimal(credit), model),
        **dict(zip(_AS_GIVEN, stored, strict=True)),
    )


# --- A row on its way ------------------------------------------------------------------------------------------------

_SHOWN_CLICK = "nullif(coalesce({0}click, {0}msclkid), '')"
"""What was chosen by the claim, else what the caller gave."""

_NOT_SELECTED = ("evaluated", "lane")
"""The last fields of an entry are no columns: what was evaluated is never stored, and its lane is known."""
assert Entry.__struct_fields__[-len(_NOT_SELECTED) :] == _NOT_SELECTED

_ENTRY_SQL = {"msclkid": _SHOWN_CLICK.format(""), "maybe_sent": "[flag maybe_sent]"}
_ENTRY = [_ENTRY_SQL.get(name, name) for name in Entry.__struct_fields__ if name not in _NOT_SELECTED]

# An entry as JSON, without what a row has at first: half as much to read of one that was never claimed.
ENTRY_JSON = f"""
    CASE WHEN attempt = 0 AND goal IS NULL AND clicked_at IS NULL AND type IS NULL
        THEN [list {", ".join(_ENTRY[: _ENTRY.index("attempt")])}] ELSE [list {", ".join(_ENTRY)}] END"""

_entries_from_json = msgspec.json.Decoder(list[Entry]).decode


def entries_of(text: str, lane: Lane) -> list[Entry]:
    """The entries in a JSON list of ENTRY_JSON."""
    entries = _entries_from_json(text)
    for entry in entries:
        force_setattr(entry, "lane", lane)  # it was just made
    return entries


# --- A row as it is shown --------------------------------------------------------------------------------------------

_RECORD_SQL = {
    "kind": "l.kind",
    "account": "l.account",
    "event": "l.event",
    "msclkid": _SHOWN_CLICK.format("e."),
    "due_at": "CASE WHEN e.claimed = 1 THEN b.due_at ELSE e.due_at END",
    "sent_at": "b.sent_at",
    "tracking_id": "b.tracking_id",
    "leased": "CASE WHEN e.claimed = 1 AND b.leased = 1 THEN 1 ELSE 0 END",
    "bound_to": """CASE WHEN e.state = 'pending' AND e.goal IS NOT NULL THEN CASE
        WHEN e.original > 0 THEN (
            SELECT ob.sent_to FROM entries o JOIN batches ob ON ob.id = o.batch_id WHERE o.seq = e.original)
        WHEN e.maybe_sent = 1 OR e.claimed = 1 AND b.leased = 1 THEN b.sent_to END END""",
}
"""Fields of a record that are not a column of the row itself."""

RECORD_COLUMNS = ", ".join(_RECORD_SQL.get(name, f"e.{name}") for name in Record.__struct_fields__)

RECORD_TABLES = "entries e JOIN lanes l ON l.id = e.lane LEFT JOIN batches b ON b.id = e.batch_id"

_KINDS: Mapping[str, Kind] = {kind.value: kind for kind in Kind}
_STATES: Mapping[str, State] = {state.value: state for state in State}


def record_of(row: Sequence[Any]) -> Record:
    """The record in a row of RECORD_COLUMNS."""
    record = Record(row[0], _KINDS[row[1]], _STATES[row[2]], *row[3:])
    return record if record.type is None else msgspec.structs.replace(record, type=AdjustmentType(record.type))
