"""Rows that have just been stored, straight to JSON text: what `Rows.show` says of them, but without an object between.

A row has 26 members, and those of an array, or of one request and the next, are nearly all alike: written out here they
take a third of the time. Whatever is not so plain is left to `Rows.show`, and a test holds the two to each other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from json.encoder import encode_basestring_ascii as quoted
from typing import NamedTuple

from sidecar.api.http.reply import Json, text
from sidecar.api.row_json import HeldReason, Rows
from sidecar.core.conversion import Kind
from sidecar.core.entry import State
from sidecar.core.instant import text_of_millis, text_of_seconds
from sidecar.core.record import Record

MOST_SHARED = 1_000
"""So many kinds of rows are remembered: more than there are accounts, events, currencies and holds in earnest."""


class Shared(NamedTuple):
    """What rows of one kind (see Kept) have in common, as JSON from one member of their own to the next."""

    id_to_order_id: str
    value_to_msclkid: str
    message_to_meta: str


Kept = dict[tuple[str, str, str | None, str | None, HeldReason | None], Shared]
"""By all that it hangs on: account, event, currency, and which goal they go to and what keeps that now."""


@dataclass(slots=True)
class FreshRows:
    """The new rows of one answer; `rows` are those of the same answer, `kept` outlives it."""

    rows: Rows
    kept: Kept = field(default_factory=dict)
    _shared: dict[tuple[str, str, str | None], Shared] = field(default_factory=dict)

    def members(self, record: Record) -> str | None:
        """The members of the row, without the braces; None where it is not plainly new and due."""
        due_at = record.due_at
        if due_at is None or not _is_plain(record):
            return None
        kind = (record.account, record.event, record.currency)
        shared = self._shared.get(kind)
        if shared is None:
            shared = self._shared[kind] = self._kept_for(record)
        return (
            f'"id":"conv_{record.seq}{shared.id_to_order_id}{_text(record.order_id)}'
            f',"time":"{text_of_seconds(record.time)}","value":{record.value or "null"}{shared.value_to_msclkid}'
            f'{_text(record.msclkid)},"visitor_id":{_text(record.visitor_id)},"matched_by":{_list(record.matched_by)}'
            f',"attempt":{record.attempt},"received_at":"{text_of_millis(record.received_at)}"'
            f',"due_at":"{text_of_millis(due_at)}"{shared.message_to_meta}'
            f"{record.meta or 'null'}"
        )

    def _kept_for(self, record: Record) -> Shared:
        goal, held = self.rows.goal_of(record.account, record.event), self.rows.held(record)
        kind = (record.account, record.event, record.currency, goal, held)
        shared = self.kept.get(kind)
        if shared is None:
            if len(self.kept) >= MOST_SHARED:
                self.kept.clear()
            # By the very values that it is kept under: asked again they might be others, and this answer stays.
            then = Rows(lambda account, event: goal, lambda record: held, self.rows.now)
            shared = self.kept[kind] = _shared_by(then.show(record))
        return shared


def _shared_by(shown: Json) -> Shared:
    return Shared(
        '",' + _members(shown, "kind", "state", "reason", "account", "event", "goal") + ',"order_id":',
        "," + _members(shown, "currency") + ',"msclkid":',
        ","
        + _members(shown, "sent_at", "settled_at", "batch_id", "error", "error_code", "tracking_id")
        + ","
        + _members(shown, "message", "fix")
        + ',"meta":',
    )


def _is_plain(record: Record) -> bool:
    """Whether nothing has happened to the row yet, and nothing of its own keeps it from going out."""
    untouched = record.goal is None and record.error is None and record.message is None and record.batch_id is None
    waits = record.reason is not None or record.claimed
    return untouched and not waits and record.state is State.PENDING and record.kind is Kind.CONVERSION


def _members(shown: Mapping[str, object], *names: str) -> str:
    return text({name: shown[name] for name in names})[1:-1]


def _text(value: str | None) -> str:
    return "null" if value is None else quoted(value)


@cache
def _list(names: tuple[str, ...]) -> str:
    return text(names)
