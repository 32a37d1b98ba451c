"""Why the account or goal of a stored row cannot take it now, as status, `explain` and the answers show it."""

from sidecar.api.row_json import HeldReason, elsewhere
from sidecar.core.instant import UnixMillis
from sidecar.core.record import Record
from sidecar.core.states_and_reasons import Reason
from sidecar.service.wiring import Components


def held_reason(parts: Components, record: Record, now: UnixMillis) -> HeldReason | None:
    """The reason, with the trouble that a person can fix; None when nothing holds the row."""
    if record.bound_to is not None and (held := elsewhere(record, parts.settings.identities().get(record.account))):
        return held
    goal = record.goal or parts.settings.goal_of(record.account, record.event)
    reason = parts.gates.held(record.account, goal)
    if reason is Reason.NOT_CONNECTED:
        return HeldReason(reason, parts.tokens.connection.trouble)
    if reason is Reason.ACCOUNT_PAUSED and parts.gates.paused_since(record.account) is not None:
        return HeldReason(reason, "paused_by_operator")
    if reason in (Reason.GOAL_NOT_FOUND, Reason.GOAL_PAUSED, Reason.GOAL_SETTLING):
        hold = parts.gates.hold_of(record.account, goal or "")
        return HeldReason(reason, hold.trouble if hold else None)
    if reason is Reason.THROTTLED:
        return HeldReason(reason)
    goes_again = record.claimed and not record.leased
    waits_for_reading = parts.gates.awaits_reading(record.account)
    if reason is None and not goes_again and (waits_for_reading or parts.gates.lets_out(record.account, now)):
        return None
    active = parts.telemetry.board.everywhere(account=record.account)
    trouble = next((one.code for one in active if one.subject is None and one.trouble.stops_account), None)
    return HeldReason(reason or Reason.RETRYING, trouble)


def lane_reason(parts: Components, account: str, goal: str | None, now: UnixMillis) -> Reason | None:
    """The reason that all rows of an account and goal show; None when nothing holds them."""
    reason = parts.gates.held(account, goal)
    if reason is not None or parts.gates.awaits_reading(account) or parts.gates.lets_out(account, now):
        return reason
    return Reason.RETRYING
