"""How a goal or an account does, in the words of an ad platform's diagnostics. Values in, values out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sidecar.core.concern import Concern, Ranked
from sidecar.core.instant import DAY_SECONDS
from sidecar.core.states_and_reasons import Reason
from sidecar.core.tally import Sum
from sidecar.core.waiting_parts import WaitingPart
from sidecar.core.waiting_summary import Waiting, amount


class Standing(StrEnum):
    """How a goal or an account does, the worst first; the words of an ad platform's diagnostics."""

    NEEDS_ATTENTION = "needs_attention"  # someone has to act
    HELD = "held"  # its rows wait for what passes by itself, or was wanted
    RECORDING = "recording"  # conversions were delivered, and nothing is wrong
    NO_RECENT_CONVERSIONS = "no_recent_conversions"


WORST_FIRST = tuple(Standing)


@dataclass(frozen=True, slots=True)
class GoalLine:
    """One event of an account with its goal: how it does, and the last day's deliveries."""

    goal: str
    event: str
    standing: Standing
    headline: str | None
    fix: str | None
    delivered: Sum


@dataclass(frozen=True, slots=True)
class AccountLine:
    """One account: how it does, and its goals."""

    account: str
    standing: Standing
    headline: str
    fix: str | None
    goals: Sequence[GoalLine]


_OWN: Mapping[str, str] = {
    Reason.AWAITING_CLICK: "for a click of the visitor",
    Reason.CLICK_SETTLING: "until the click is an hour old",
    Reason.NOT_YET: "until their time has come",
    Reason.RETRYING: "to be tried again",
    Reason.AWAITING_ORIGINAL: "for their conversion to be settled",
}


def goal_standing(
    loud: Sequence[Ranked], dead: Sum, delivered: Sum, held: Reason | None, own: WaitingPart | None
) -> tuple[Standing, str | None, str | None]:
    """Return how a goal does, with the sentence and the remedy that belong to it."""
    needy = [ranked for ranked in loud if not ranked.concern.is_wanted]
    if needy:
        return Standing.NEEDS_ATTENTION, needy[0].headline, needy[0].concern.fix
    if dead.rows:
        refused = f"{amount(_as_waiting(dead))} of the last 24 hours {'is' if dead.rows == 1 else 'are'} dead."
        return Standing.NEEDS_ATTENTION, refused, "Each dead conversion says why. Correct the cause, then replay them."
    if loud:
        return Standing.HELD, loud[0].headline, loud[0].concern.fix
    if held is not None:
        return Standing.HELD, f"{_HELD.get(held, held.replace('_', ' ')).capitalize()}.", None
    if delivered.rows:
        return Standing.RECORDING, None, None
    if own is not None:
        alone = own.waiting.rows == 1
        words = _OWN.get(own.reason or "", (own.reason or "").replace("_", " "))
        return Standing.HELD, f"{amount(own.waiting)} {'waits' if alone else 'wait'} {words}.", None
    return Standing.NO_RECENT_CONVERSIONS, None, None


_HELD = {
    Reason.ACCOUNT_PAUSED: "the account is paused",
    Reason.THROTTLED: "Microsoft asked to wait",
    Reason.GOAL_SETTLING: "the goal is too young for Microsoft; its conversions go out when it is ready",
    Reason.RETRYING: "the last request failed and is tried again",
}


def standing_of(concern: Concern) -> Standing:
    """Return how something does that only this concern is about."""
    return Standing.HELD if concern.is_wanted else Standing.NEEDS_ATTENTION


def last_day(delivered: Sum, received: Sum) -> str:
    """Return what the last day brought, in a sentence."""
    if delivered.rows:
        verb = "was" if delivered.rows == 1 else "were"
        each = "" if delivered.rows == 1 else "each "
        within = f", {each}within {_duration(delivered.slowest_millis)}" if delivered.slowest_millis else ""
        return f"{amount(_as_waiting(delivered))} {verb} delivered in the last 24 hours{within}."
    if received.rows:
        verb = "was" if received.rows == 1 else "were"
        return f"{amount(_as_waiting(received))} {verb} received in the last 24 hours."
    return "No conversion was received in the last 24 hours."


def _duration(millis: int) -> str:
    """In the largest unit that fits twice, rounded up."""
    for unit, size in (("days", DAY_SECONDS), ("hours", 3_600), ("minutes", 60)):
        if millis >= 2_000 * size:
            return f"{-(-millis // (1_000 * size))} {unit}"
    return f"{-(-millis // 1_000)} s"


def _as_waiting(rows: Sum) -> Waiting:
    return Waiting(rows.rows, False, None, 0, rows.values)
