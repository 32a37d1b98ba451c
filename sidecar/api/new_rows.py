"""Rows of one bulk answer, straight to JSON text: what `Rows.show` returns, but without an object between.

A row has 26 members, and those of one bulk answer are nearly all alike: what rows share is written once. Without this
a conversion takes 17 % more instructions from request to settlement (`python -m bench.counted`). A test compares both
ways.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from json.encoder import encode_basestring_ascii as quoted
from operator import call, itemgetter
from typing import Any

from sidecar.api.http.reply import Json, text
from sidecar.api.row_json import Rows
from sidecar.api.row_members import members_of
from sidecar.core.instant import text_of_seconds
from sidecar.core.record import Record


def _text(value: str | None) -> str:
    return "null" if value is None else quoted(value)


_OWN: Mapping[str, Callable[[Any], str]] = {
    "order_id": _text,
    "time": lambda at: f'"{text_of_seconds(at)}"',
    "value": lambda exact: exact or "null",
    "msclkid": _text,
    "visitor_id": _text,
    "meta": lambda json: json or "null",
}
"""Members that differ from row to row, and their JSON text; to leave one out costs speed, and changes no answer."""

_own = itemgetter(*map(Record._fields.index, _OWN))
_writers = tuple(_OWN.values())

_ALONE = {"id", "matched_by", *_OWN}
_shared = itemgetter(*(n for n, name in enumerate(Record._fields) if _ALONE.isdisjoint(members_of(name))))
"""The fields on which, with `matched_by`, all other members depend."""


@dataclass(slots=True)
class NewRows:
    """Writes the new rows of one answer; `rows` are those of the same answer."""

    rows: Rows
    _shared_parts: dict[object, list[str]] = field(default_factory=dict)

    def members(self, record: Record) -> str:
        """Return the members of the row, without the braces."""
        key = (record.matched_by, _shared(record))
        parts = self._shared_parts.get(key)
        if parts is None:
            parts = self._shared_parts[key] = _parts(self.rows.show(record))
        parts = parts.copy()
        parts[1::2] = map(call, _writers, _own(record))
        return f'"id":"{record.id}",{"".join(parts)}'


def _parts(row: Json) -> list[str]:
    """Return the JSON between the values in _OWN, with an empty text in place of each."""
    others = (member for member in row.items() if member[0] != "id")
    runs = groupby(others, lambda member: member[0] in _OWN)
    whole = ",".join(_marked(run) if is_own else text(dict(run))[1:-1] for is_own, run in runs)
    return [one for part in whole.split(_MARK) for one in (part, "")][:-1]


_MARK = "\0"
"""In place of a value; JSON text never has this character."""


def _marked(members: Iterable[tuple[str, object]]) -> str:
    return ",".join(f'"{name}":{_MARK}' for name, _ in members)
