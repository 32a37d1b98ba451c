"""A stored row as JSON: instants as text, numbers exact, and beside each trouble its words and its remedy.

Reasons that belong to an account or goal are not stored in rows; they are laid over here, as they stand at the moment.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sidecar.api.reply import Json
from sidecar.core.entry import Reason, State
from sidecar.core.instant import UnixMillis, text_of_millis, text_of_seconds
from sidecar.core.record import Record
from sidecar.troubles import CATALOGUE, Trouble

_TROUBLES: Mapping[str, str] = {
    Reason.NOT_CONNECTED: "not_connected",
    Reason.THROTTLED: "throttled",
    Reason.GOAL_NOT_FOUND: "goal_not_found",
    Reason.GOAL_PAUSED: "goal_paused",
    Reason.GOAL_SETTLING: "goal_settling",
    Reason.RETRYING: "row_retried",
    Reason.AWAITING_CLICK: "awaiting_click",
    Reason.CLICK_SETTLING: "click_settling",
    Reason.NO_CLICK: "no_click",
    Reason.OUTSIDE_WINDOW: "outside_window",
    Reason.GOAL_NOT_ENHANCED: "goal_not_enhanced",
    Reason.TOO_OLD: "conversion_too_old",
    Reason.POISON: "poison",
    Reason.UNMAPPED: "unmapped",
    Reason.ACCOUNT_PAUSED: "account_paused",
}
"""The trouble whose words explain a reason; reasons that pass by themselves have none."""


@dataclass(frozen=True, slots=True)
class Held:
    """Why rows of an account or goal wait; `trouble` is the one to mend, where it is more exact than the reason."""

    reason: str | None
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """Shows rows as they stand now.

    `goal_of(account, event)` is the goal that the configuration maps them to, None where one of them left it.
    `held(record)` is what keeps the row's account or goal from taking it now, None if nothing does.
    """

    goal_of: Callable[[str, str], str | None]
    held: Callable[[Record], Held | None]
    now: Callable[[], UnixMillis]

    def show(self, record: Record) -> Json:
        """The row of section 4 of the contract."""
        goal = self.goal_of(record.account, record.event)
        reason, trouble = self._standing(record, goal)
        return {
            "id": record.id,
            "kind": record.kind,
            "state": record.state,
            "reason": reason,
            "account": record.account,
            "event": record.event,
            "goal": record.goal or goal,
            "order_id": record.order_id,
            "time": text_of_seconds(record.time),
            "value": None if record.value is None else number(record.value),
            "currency": record.currency,
            "msclkid": record.msclkid,
            "visitor_id": record.visitor_id,
            "matched_by": record.matched_by,
            "attempt": record.attempt,
            "received_at": text_of_millis(record.received_at),
            "due_at": _instant(_due_at(record)),
            "sent_at": _instant(record.sent_at),
            "settled_at": _instant(record.settled_at),
            "batch_id": record.batch_id,
            "error": record.error,
            "error_code": record.error_code,
            "tracking_id": record.tracking_id,
            "message": record.message or (trouble.cause if trouble else None),
            "fix": trouble.solution if trouble else None,
            "meta": None if record.meta is None else json.loads(record.meta),
        }

    def _standing(self, record: Record, goal: str | None) -> tuple[str | None, Trouble | None]:
        """Why the row is where it is, and the trouble behind it.

        Of what keeps a pending row from going out the widest cause comes first: mending a smaller one would not help.
        """
        if record.state is not State.PENDING:
            return record.reason, _trouble(record.state, record.reason)
        if goal is None:
            return Reason.UNMAPPED, CATALOGUE["unmapped"]
        held = self.held(record) or Held(None)
        reason = held.reason or self._own_reason(record)
        return reason, CATALOGUE.get(held.trouble or "") or _trouble(record.state, reason)

    def _own_reason(self, record: Record) -> str | None:
        """What the row itself waits for; a time that has come is waited for no more."""
        passed = record.due_at is not None and record.due_at <= self.now()
        if passed and record.reason in (Reason.NOT_YET, Reason.AWAITING_CLICK, Reason.CLICK_SETTLING):
            return None
        return Reason.RETRYING if record.claimed and not record.leased else record.reason


def number(exact: str) -> int | float:
    """A JSON number that reads digit for digit as the plain decimal `exact`.

    A value has at most 15 digits (12 before the point, 3 after), and a double of so many is written as it was read.
    """
    return float(exact) if "." in exact else int(exact)


def _due_at(record: Record) -> UnixMillis | None:
    """When it is sent next; None once it is settled, and while it is on its way: the lease's end would mislead."""
    return record.due_at if record.state is State.PENDING and not record.leased else None


def _instant(at: UnixMillis | None) -> str | None:
    return None if at is None else text_of_millis(at)


def _trouble(state: State, reason: str | None) -> Trouble | None:
    if reason is None:
        return None
    code = _TROUBLES.get(reason) or ("row_refused" if state is State.DEAD else None)
    return CATALOGUE[code] if code else None
