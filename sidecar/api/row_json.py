"""A stored row as JSON, with the reason for its state, and the text and remedy of the trouble behind it.

Reasons that belong to an account or goal are not stored in rows; they are added here, as of the moment.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import assert_never

from msgspec import UNSET, Raw

from sidecar.api.row_members import Row, number
from sidecar.core.conversion import Kind
from sidecar.core.entry import Fault
from sidecar.core.goals.mapping import Mapped
from sidecar.core.instant import UnixMillis, text_of_millis, text_of_seconds, text_or_none
from sidecar.core.record import Record
from sidecar.core.states_and_reasons import Reason, State
from sidecar.microsoft import error_codes
from sidecar.troubles import BY_REASON, CATALOGUE, REFUSED, Trouble


@dataclass(frozen=True, slots=True)
class HeldReason:
    """Why rows of an account or goal wait; `trouble` is the one to fix, where it is more exact than the reason."""

    reason: str | None
    trouble: str | None = None
    words: Trouble | None = None
    """Texts to show in place of those of the trouble, where they have to name something."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Shows rows in their current state.

    `goal_of(account, event)` is the goal that the configuration maps them to, None where one of them left it.
    `held(record)` is why the row's account or goal does not accept it now, None if it does. It depends on account,
    event, goal, `bound_to`, and whether the row is claimed or leased, and on nothing else of the row.
    """

    goal_of: Callable[[str, str], str | None]
    held: Callable[[Record], HeldReason | None]
    now: Callable[[], UnixMillis]

    def of_one_answer(self) -> "Rows":
        """Return a copy for the rows of one answer, which looks up once what several rows share."""
        held = self.held
        known: dict[object, HeldReason | None] = {}

        def held_once(record: Record) -> HeldReason | None:
            asked = (record.account, record.event, record.goal, record.claimed, record.leased, record.bound_to)
            if asked not in known:
                known[asked] = held(record)
            return known[asked]

        return Rows(cache(self.goal_of), held_once, cache(self.now))

    def show(self, record: Record) -> Row:
        """Return the row as the API shows it."""
        goal = self.goal_of(record.account, record.event)
        reason, trouble = self._reason_and_trouble(record, goal)
        row = Row(  # by position: by name it takes twice as long
            UNSET,
            UNSET,
            record.id,
            record.kind,
            record.state,
            reason,
            record.account,
            record.event,
            record.goal or goal,
            record.order_id,
            text_of_seconds(record.time),
            None if record.value is None else number(record.value),
            record.currency,
            record.msclkid,
            record.visitor_id,
            record.matched_by,
            record.attempt,
            text_of_millis(record.received_at),
            text_or_none(record.due_at) if _shows_due_at(record) else None,
            text_or_none(record.sent_at),
            text_or_none(record.settled_at),
            record.batch_id,
            record.error,
            record.error_code,
            record.tracking_id,
            None if trouble is None else words_of(record, trouble) or trouble.cause,
            None if trouble is None else trouble.solution,
            None if record.meta is None else Raw(record.meta),
        )
        if record.kind is Kind.ADJUSTMENT:
            row.type, row.conversion_id = record.type, record.conversion_id
        return row

    def reason_and_trouble(self, record: Record) -> tuple[str | None, Trouble | None]:
        """Return the reason for the row's state, and the trouble behind it.

        Of the causes that hold a pending row the widest comes first: to fix a smaller one would not help.
        """
        return self._reason_and_trouble(record, self.goal_of(record.account, record.event))

    def _reason_and_trouble(self, record: Record, goal: str | None) -> tuple[str | None, Trouble | None]:
        if record.state is not State.PENDING:
            return record.reason, _trouble_of_ended(record)
        if goal is None:
            return Reason.UNMAPPED, CATALOGUE["unmapped"]
        held = self.held(record)
        if held is None and record.reason is None and not record.claimed:
            return None, None  # due, as nearly every row that has just come in
        held = held or HeldReason(None)
        reason = held.reason or self._own_reason(record)
        trouble = held.words or CATALOGUE.get(held.trouble or "")
        return reason, trouble or _trouble_of_pending(record, reason)

    def _own_reason(self, record: Record) -> str | None:
        """Return what the row itself waits for; a time that has passed is no reason any more."""
        passed = record.due_at is not None and record.due_at <= self.now()
        if passed and record.reason in (Reason.NOT_YET, Reason.AWAITING_CLICK, Reason.CLICK_SETTLING):
            return None
        return Reason.RETRYING if record.claimed and not record.leased else record.reason


def words_of(record: Record, trouble: Trouble) -> str | None:
    """Return Microsoft's message, if `trouble` comes from the same answer; else it would explain another trouble."""
    if record.message is None:
        return None
    match record.state:
        case State.PENDING:
            comes_from_it = trouble == _trouble_of_error(record)
        case State.DEAD:
            comes_from_it = record.reason == Reason.POISON or record.reason not in BY_REASON
        case State.DELIVERED | State.SKIPPED | State.CANCELED:
            comes_from_it = False
        case _:
            assert_never(record.state)
    return record.message if comes_from_it else None


def elsewhere(record: Record, ids: str | None) -> HeldReason | None:
    """Return why a row waits that may be at another account of Microsoft than `ids`; None if it is not."""
    if record.bound_to is None or ids is None or record.bound_to == ids:
        return None
    now, then = _account(ids), _account(record.bound_to)
    what = "the conversion that it adjusts" if record.kind is Kind.ADJUSTMENT else "it"
    words = replace(
        CATALOGUE["unmapped"],
        cause=f"{what[0].upper()}{what[1:]} went, or may have gone, to {then}; accounts.{record.account} is {now} now.",
        solution=f"Give accounts.{record.account} its former ids back and reload with SIGHUP: the row then goes there. "
        "A conversion that shall not go there any more: POST /v1/conversions/{id}/discard.",
    )
    return HeldReason(Reason.UNMAPPED, "unmapped", words)


def _account(ids: str) -> str:
    customer, _, account = ids.partition("/")
    return f"customer_id {customer}, account_id {account}"


def _shows_due_at(record: Record) -> bool:
    """Return whether it is known when the row is sent next.

    It is not once it is settled; nor while it is leased, since the end of the lease would mislead; nor while an
    adjustment waits for the outcome of its conversion.
    """
    return record.state is State.PENDING and not record.leased and record.reason != Reason.AWAITING_ORIGINAL


def _trouble_of_pending(record: Record, reason: str | None) -> Trouble | None:
    """Return the trouble of a retried row by Microsoft's code, where the code is known."""
    return (_trouble_of_error(record) if reason == Reason.RETRYING else None) or BY_REASON.get(reason or "")


def _trouble_of_error(record: Record) -> Trouble | None:
    """Return the trouble of the last answer to a waiting row; None where it has no error."""
    if record.error is None:
        return None
    code = error_codes.find_code(Fault(record.error, record.error_code))
    return CATALOGUE[code.trouble if code else "row_retried"]


def _trouble_of_ended(record: Record) -> Trouble | None:
    """Return the trouble of a row that ended; of one that Microsoft refused, by its code."""
    trouble = BY_REASON.get(record.reason or "")
    if trouble is not None or record.state is not State.DEAD or record.reason is None:
        return trouble
    code = error_codes.find_code(Fault(record.reason, record.error_code))
    return CATALOGUE[code.trouble] if code else REFUSED[record.kind]


def goal_words(mapped: Mapped, trouble: Trouble) -> str:
    """Return what is wrong with a goal; if only answers show it, and not the list of goals, that is added."""
    return f"Microsoft answered so to conversions of the goal. {trouble.cause}" if mapped.is_answered else trouble.cause
