"""Rows that have just been stored, straight to JSON text: what `Rows.show` returns, but without an object between.

A row has 26 members, and those of one bulk answer are nearly all alike. Without this a conversion takes 17 % more
instructions from request to settlement (`python -m bench.counted`). Rows that are not plainly new are left to
`Rows.show`, and a test compares the two.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from json.encoder import encode_basestring_ascii as quoted
from typing import NamedTuple

from sidecar.api.http.reply import Json, text
from sidecar.api.row_json import Rows
from sidecar.core.conversion import Kind
from sidecar.core.instant import text_of_millis, text_of_seconds
from sidecar.core.record import Record
from sidecar.core.states_and_reasons import State


class _Shared(NamedTuple):
    """JSON that new rows of one account, event and currency have in common, between the members of their own."""

    id_to_order_id: str
    value_to_msclkid: str
    message_to_meta: str


@dataclass(slots=True)
class NewRows:
    """Writes the new rows of one answer; `rows` are those of the same answer."""

    rows: Rows
    _shared: dict[tuple[str, str, str | None], _Shared] = field(default_factory=dict)

    def members(self, record: Record) -> str | None:
        """The members of the row, without the braces; None where it is not plainly new and due."""
        due_at = record.due_at
        if due_at is None or not _is_plain(record):
            return None
        key = (record.account, record.event, record.currency)
        shared = self._shared.get(key)
        if shared is None:
            shared = self._shared[key] = _shared_of(self.rows.show(record))
        return (
            f'"id":"conv_{record.seq}{shared.id_to_order_id}{_text(record.order_id)}'
            f',"time":"{text_of_seconds(record.time)}","value":{record.value or "null"}{shared.value_to_msclkid}'
            f'{_text(record.msclkid)},"visitor_id":{_text(record.visitor_id)},"matched_by":{_list(record.matched_by)}'
            f',"attempt":{record.attempt},"received_at":"{text_of_millis(record.received_at)}"'
            f',"due_at":"{text_of_millis(due_at)}"{shared.message_to_meta}'
            f"{record.meta or 'null'}"
        )


def _shared_of(row: Json) -> _Shared:
    return _Shared(
        '",' + _members(row, "kind", "state", "reason", "account", "event", "goal") + ',"order_id":',
        "," + _members(row, "currency") + ',"msclkid":',
        ","
        + _members(row, "sent_at", "settled_at", "batch_id", "error", "error_code", "tracking_id")
        + ","
        + _members(row, "message", "fix")
        + ',"meta":',
    )


def _is_plain(record: Record) -> bool:
    """Whether nothing has happened to the row yet, and nothing of its own delays it."""
    untouched = record.goal is None and record.error is None and record.message is None and record.batch_id is None
    waits = record.reason is not None or record.claimed
    return untouched and not waits and record.state is State.PENDING and record.kind is Kind.CONVERSION


def _members(row: Mapping[str, object], *names: str) -> str:
    return text({name: row[name] for name in names})[1:-1]


def _text(value: str | None) -> str:
    return "null" if value is None else quoted(value)


@cache
def _list(names: tuple[str, ...]) -> str:
    return text(names)
