"""Which click led to a conversion, and until when to wait for it. Decided when a row is due, from plain values.

How clicks are stored and looked up is left to the store, what is written down to `click_matcher`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from msgspec.structs import replace

from sidecar.core.conversion import Click
from sidecar.core.entry import Entry
from sidecar.core.instant import UnixMillis, UnixSeconds, millis, seconds
from sidecar.core.states_and_reasons import Reason


@dataclass(frozen=True, slots=True)
class AttributionRules:
    """The configuration of clicks."""

    wait_millis: int
    """How long a conversion waits, from its receipt, for the first click of its visitor."""
    settle_millis: int
    """How old a click must be when its conversion is uploaded.

    https://help.ads.microsoft.com/apex/index/3/en/56850 advises an hour.
    """
    retention_seconds: int
    """How long a click is good for; Microsoft forgets it after 90 days."""


@dataclass(frozen=True, slots=True)
class GoalTraits:
    """What is known of a goal; None is what is not known."""

    window_seconds: int | None = None
    """How long after its click a conversion counts."""
    enhanced: bool | None = None
    """Whether it matches by hashed e-mail and phone."""


@dataclass(frozen=True, slots=True)
class SendConversion:
    """It may go out; with this click, as it is (None), or without its own click id."""

    click: Click | None = None
    without_msclkid: bool = False


@dataclass(frozen=True, slots=True)
class WaitForClick:
    """It is looked at again at `due_at`, or as soon as a click of its visitor comes in."""

    reason: Reason
    due_at: UnixMillis


@dataclass(frozen=True, slots=True)
class Skip:
    """It can no longer count."""

    reason: Reason


Choice = SendConversion | WaitForClick | Skip


@dataclass(frozen=True, slots=True)
class Deferral:
    """A due entry that does not go out now, and the time of the click that was evaluated for it, if there was one."""

    seq: int
    choice: WaitForClick | Skip
    clicked_at: UnixSeconds | None = None


@dataclass(frozen=True, slots=True)
class Attributed:
    """Due entries after their clicks were chosen: those that go out now, with their click, and the others."""

    ready: list[Entry]
    deferrals: list[Deferral]


def attribute(
    entries: Sequence[Entry], clicks: Mapping[int, Click], goal: GoalTraits, rules: AttributionRules, now: UnixMillis
) -> Attributed:
    """What becomes of each of `entries`, all for one goal; `clicks` has, by seq, the click found for an entry."""
    found = Attributed([], [])
    for entry in entries:
        if not needs_choice(entry, goal):
            found.ready.append(entry)
            continue
        click = clicks.get(entry.seq)
        match decide(entry, click, goal, rules, now):
            case SendConversion() as choice:
                found.ready.append(with_choice(entry, choice, click))
            case choice:
                found.deferrals.append(Deferral(entry.seq, choice, click.clicked_at if click else None))
    return found


def needs_choice(entry: Entry, goal: GoalTraits) -> bool:
    """Whether there is anything to decide: not for what is frozen, nor for a mere click id."""
    if entry.goal is not None:
        return False
    return entry.visitor_id is not None or (entry.msclkid is None and goal.enhanced is False)


def decide(entry: Entry, click: Click | None, goal: GoalTraits, rules: AttributionRules, now: UnixMillis) -> Choice:
    """What becomes of `entry` now.

    `click` is the last one of its visitor at or before its time; where the entry brings a click id of its own, that
    very click if it was captured for the visitor.
    """
    click = click if click is not None and is_kept(click.clicked_at, rules, now) else None
    if click is not None:
        return _with_click(entry, click, goal, rules, now)
    if entry.msclkid is not None:
        return SendConversion()
    return _without_click(entry, goal, rules, now)


def is_kept(clicked_at: UnixSeconds, rules: AttributionRules, now: UnixMillis) -> bool:
    """Whether a click of that time is young enough to be used."""
    return clicked_at >= seconds(now) - rules.retention_seconds


def _with_click(entry: Entry, click: Click, goal: GoalTraits, rules: AttributionRules, now: UnixMillis) -> Choice:
    if goal.window_seconds is not None and entry.time - click.clicked_at > goal.window_seconds:
        return SendConversion(without_msclkid=True) if _has_use_for_hashes(entry, goal) else Skip(Reason.OUTSIDE_WINDOW)
    settled_at = UnixMillis(millis(click.clicked_at) + rules.settle_millis)
    return WaitForClick(Reason.CLICK_SETTLING, settled_at) if settled_at > now else SendConversion(click)


def _without_click(entry: Entry, goal: GoalTraits, rules: AttributionRules, now: UnixMillis) -> Choice:
    if entry.visitor_id is None:
        return SendConversion() if _has_use_for_hashes(entry, goal) else Skip(Reason.GOAL_NOT_ENHANCED)
    until = UnixMillis(entry.received_at + rules.wait_millis)
    if until > now:
        return WaitForClick(Reason.AWAITING_CLICK, until)
    return SendConversion() if _has_use_for_hashes(entry, goal) else Skip(Reason.NO_CLICK)


def _has_use_for_hashes(entry: Entry, goal: GoalTraits) -> bool:
    """Whether it can be matched without a click. A goal of which nothing is known gets the benefit of the doubt."""
    return goal.enhanced is not False and (entry.email_sha256 is not None or entry.phone_sha256 is not None)


def with_choice(entry: Entry, choice: SendConversion, seen: Click | None = None) -> Entry:
    """The entry as it will be frozen and sent; `seen` is the click that was evaluated for it."""
    entry = replace(entry, evaluated=seen.clicked_at if seen else None, clicked_at=None)
    match choice:
        case SendConversion(click=Click() as click):
            return replace(entry, msclkid=click.msclkid, clicked_at=click.clicked_at)
        case SendConversion(without_msclkid=True):
            return replace(entry, msclkid=None)
        case SendConversion():
            return entry
        case _:
            assert_never(choice)


# --- Afterwards: why this one ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SeenClick:
    """A click of the visitor as it is stored."""

    msclkid: str
    clicked_at: UnixSeconds
    captured_at: UnixMillis


class ClickVerdict(StrEnum):
    """What became of a click in the choice for one conversion."""

    CHOSEN = "chosen"
    OWN_CLICK_ID = "own_click_id"  # the conversion names another click id itself
    LATER_THAN_CONVERSION = "later_than_conversion"
    CAPTURED_TOO_LATE = "captured_too_late"  # after the choice was made for good
    TOO_OLD = "too_old"
    OUTSIDE_WINDOW = "outside_window"
    ANOTHER_WAS_LATER = "another_was_later"


@dataclass(frozen=True, slots=True)
class Chosen:
    """How far the choice for a conversion is."""

    time: UnixSeconds
    named: str | None
    """The click id that the conversion itself brought."""
    sent_with: str | None
    """The click id that it was frozen with, if it was."""
    at: UnixMillis
    """When the choice was made; now, while it is open."""
    is_over: bool


def verdicts(
    clicks: Sequence[SeenClick], chosen: Chosen, window_seconds: int | None, rules: AttributionRules
) -> list[ClickVerdict]:
    """For each of a visitor's clicks, why it was chosen or not: the rules of `decide`, afterwards."""
    out = [_ruled_out(click, chosen, window_seconds, rules) for click in clicks]
    left = [click for click, why in zip(clicks, out, strict=True) if why is None]
    best = _best(left, chosen)
    lost = ClickVerdict.OUTSIDE_WINDOW if best is None else ClickVerdict.ANOTHER_WAS_LATER
    return [why or (ClickVerdict.CHOSEN if click is best else lost) for click, why in zip(clicks, out, strict=True)]


def _ruled_out(
    click: SeenClick, chosen: Chosen, window_seconds: int | None, rules: AttributionRules
) -> ClickVerdict | None:
    """Why the click could not be chosen even if it were the only one; None when it could."""
    if chosen.named is not None and click.msclkid != chosen.named:
        return ClickVerdict.OWN_CLICK_ID
    if click.msclkid == chosen.sent_with:
        return None
    if click.clicked_at > chosen.time and chosen.named is None:  # its own click goes with it at any time
        return ClickVerdict.LATER_THAN_CONVERSION
    if chosen.is_over and click.captured_at > chosen.at:
        return ClickVerdict.CAPTURED_TOO_LATE
    if not is_kept(click.clicked_at, rules, chosen.at):
        return ClickVerdict.TOO_OLD
    if window_seconds is not None and chosen.time - click.clicked_at > window_seconds:
        return ClickVerdict.OUTSIDE_WINDOW
    return None


def _best(left: Sequence[SeenClick], chosen: Chosen) -> SeenClick | None:
    """The click that was taken; while the choice is open the last one. None when it went out without any."""
    if chosen.sent_with is not None or chosen.is_over:
        return next((click for click in left if click.msclkid == chosen.sent_with), None)
    return max(left, key=lambda click: click.clicked_at, default=None)
