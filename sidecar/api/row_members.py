"""The members of a row's JSON, declared once: object, text and the test of openapi.yaml follow from here.

A member is the field of `Record` that has its name, in the order of the fields. What differs from that is listed here.
"""

import json
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

from sidecar.api.http.reply import Json
from sidecar.core.conversion import Kind
from sidecar.core.instant import text_of_millis, text_of_seconds
from sidecar.core.record import Record

_IN_PLACE: Mapping[str, tuple[str, ...]] = {
    "seq": ("id",),
    "email_sha256": ("matched_by",),  # which identifiers it carries, and never their hashes
    "phone_sha256": ("matched_by",),
    "claimed": (),
    "leased": (),
    "message": ("message", "fix"),
    "original": ("conversion_id",),
    "bound_to": (),
}
"""What is shown in place of a field: other attributes of the record, and the fix, which only `Rows.show` knows."""

_ADJUSTMENT_ONLY = ("type", "conversion_id")


def members_of(field: str) -> tuple[str, ...]:
    """Return the members that show a field of `Record`; none where it is internal."""
    return _IN_PLACE.get(field, (field,))


_ALL = tuple(dict.fromkeys(member for field in Record._fields for member in members_of(field)))

MEMBERS: Mapping[Kind, tuple[str, ...]] = {
    Kind.CONVERSION: tuple(member for member in _ALL if member not in _ADJUSTMENT_ONLY),
    Kind.ADJUSTMENT: _ALL,
}
"""The members of a row of each kind, in their order."""


def number(exact: str) -> int | float:
    """Return a JSON number that reads digit for digit as the plain decimal `exact`.

    A value has at most 15 digits (12 before the point, 3 after), which a double keeps exactly.
    """
    return float(exact) if "." in exact else int(exact)


_FORMATS: Mapping[str, Callable[[Any], object]] = {
    "time": text_of_seconds,
    "value": number,
    "received_at": text_of_millis,
    "due_at": text_of_millis,
    "sent_at": text_of_millis,
    "settled_at": text_of_millis,
    "meta": json.loads,
}
"""How a member is shown that is not null; the others are shown as they are."""

_VALUES: Mapping[Kind, Callable[[Record], tuple[Any, ...]]] = {
    kind: attrgetter(*("message" if member == "fix" else member for member in members))
    for kind, members in MEMBERS.items()
}


def stored_members(record: Record) -> Json:
    """Return all members in their order, as the row has them; in place of the fix is the message."""
    row: Json = dict(zip(MEMBERS[record.kind], _VALUES[record.kind](record), strict=True))
    for member, shown in _FORMATS.items():
        value = row[member]
        if value is not None:
            row[member] = shown(value)
    return row
