"""Validates conversions and adjustments; the errors are symbols of Microsoft's list. Pure.

https://learn.microsoft.com/advertising/campaign-management-service/offlineconversion
https://learn.microsoft.com/advertising/campaign-management-service/offlineconversionadjustment
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from sidecar.emulator.call import DAY_MS, HOUR_MS, MINUTE_MS
from sidecar.emulator.currencies import CURRENCIES
from sidecar.emulator.row_fields import TICKS_PER_MS, Adjustment, Conversion, Time

MAX_VALUE = 999_999_999_999
MAX_MODEL_LENGTH = 100  # a guess: Microsoft does not publish its limit

MAX_CLICK_AGE_MS = 90 * DAY_MS
"""Older clicks are gone."""

_MAX_AGE_MS = 90 * DAY_MS
_GOAL_SETTLES_MS = 2 * HOUR_MS
_CLICK_ID = re.compile(r"[0-9A-Fa-f]{32}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """The settings of a goal that the checks use."""

    id: int
    name: str
    active: bool
    created_at: int
    window_minutes: int
    currency: str | None = None
    enhanced: bool = False
    externally_attributed: bool = False


@dataclass(frozen=True, slots=True)
class Click:
    """A registered click: its account, and its time in Unix milliseconds."""

    account_id: str
    clicked_at: int
    reason: str | None = None
    """Why its conversions do not count, before all other rules."""


@dataclass(frozen=True, slots=True)
class CheckContext:
    """The time, account, goals and clicks that rows are checked against."""

    now: int
    account_id: str
    goals: Mapping[str, Goal]
    """By exact name."""
    clicks: Mapping[str, Click]


def conversion_errors(row: Conversion | None, context: CheckContext) -> tuple[str, ...]:
    """Every symbol that applies to the conversion; empty when it is accepted."""
    return ("OfflineConversionIsNull",) if row is None else tuple(_conversion(row, context))


def adjustment_errors(row: Adjustment | None, context: CheckContext) -> tuple[str, ...]:
    """Every symbol that applies to the adjustment; a missing original shows in the report only."""
    return ("OfflineConversionIsNull",) if row is None else tuple(_adjustment(row, context))


def _conversion(row: Conversion, context: CheckContext) -> Iterator[str]:
    goal = context.goals.get(row.name or "")
    yield from _name(row.name, goal, context.now)
    yield from _conversion_time(row.time, context.now)
    yield from _identifiers(row, goal)
    yield from _value(row.value)
    yield from _currency(row.currency)
    if goal is not None:
        yield from _external(row, goal)
        yield from _click(row, goal, context)


def _adjustment(row: Adjustment, context: CheckContext) -> Iterator[str]:
    goal = context.goals.get(row.original.name or "")
    if row.type not in ("Restate", "Retract"):
        yield "OfflineConversionInvalidAdjustmentType"
    yield from _name(row.original.name, goal, context.now)
    yield from _conversion_time(row.original.time, context.now)
    yield from _adjustment_time(row, context.now)
    yield from _identifiers(row.original, goal)
    yield from _adjustment_value(row, goal)


def _name(name: str | None, goal: Goal | None, now: int) -> Iterator[str]:
    if not name:
        yield "OfflineConversionNameNullOrEmpty"
    elif goal is None or not goal.active:
        yield "OfflineConversionNameInvalid"
    elif now - goal.created_at < _GOAL_SETTLES_MS:
        yield "OfflineConversionNotAcceptedForGoal"


def _conversion_time(time: Time | None, now: int) -> Iterator[str]:
    yield from _time(time, now, "OfflineConversionTime", "FutureConversionTimeCannotBeSet")


def _adjustment_time(row: Adjustment, now: int) -> Iterator[str]:
    prefix, in_future = "OfflineConversionAdjustmentTime", "OfflineConversionFutureAdjustmentTimeCannotBeSet"
    wrong = list(_time(row.time, now, prefix, in_future))
    yield from wrong
    if not wrong and row.time and row.original.time and row.time.ticks < row.original.time.ticks:
        yield f"{prefix}EarlierThanConversionTime"


def _time(time: Time | None, now: int, prefix: str, in_future: str) -> Iterator[str]:
    if time is None:
        yield f"{prefix}NullOrEmpty"
    elif not time.zoned:
        yield f"{prefix}Invalid"
    elif time.ticks > now * TICKS_PER_MS:
        yield in_future
    elif time.ticks < (now - _MAX_AGE_MS) * TICKS_PER_MS:
        yield f"{prefix}OutOfWindow"


def _identifiers(row: Conversion, goal: Goal | None) -> Iterator[str]:
    """A click id, or hashes where the goal is enhanced."""
    has_hashes = bool(row.email or row.phone)
    if row.click_id and not _CLICK_ID.fullmatch(row.click_id):
        yield "OfflineConversionMicrosoftClickIdInvalid"
    elif not row.click_id and not (has_hashes and (goal is None or goal.enhanced)):
        yield "OfflineConversionMicrosoftClickIdNullOrEmpty"
    if row.email and not _SHA256.fullmatch(row.email):
        yield "ConversionEmailAddressIsNotHashed"
    if row.phone and not _SHA256.fullmatch(row.phone):
        yield "ConversionPhoneNumberIsNotHashed"


def _value(value: Decimal | None) -> Iterator[str]:
    if value is not None and not (0 <= value <= MAX_VALUE and value == round(value, 3)):
        yield "OfflineConversionValueInvalid"


def _currency(currency: str | None) -> Iterator[str]:
    if currency and currency not in CURRENCIES:
        yield "OfflineConversionCurrencyCodeInvalid"


def _external(row: Conversion, goal: Goal) -> Iterator[str]:
    if not goal.externally_attributed:
        if row.credit is not None or row.model is not None:
            yield "GoalNotEligibleForExternalAttribution"
    elif row.credit is None or not row.model:
        yield "ExternalAttributionRequiredFieldEmpty"
    else:
        if not 0 < row.credit <= 1:
            yield "ExternalAttributionCreditValueInvalid"
        if len(row.model) > MAX_MODEL_LENGTH:
            yield "ExternalAttributionModelTooLong"


def _click(row: Conversion, goal: Goal, context: CheckContext) -> Iterator[str]:
    """Checks registered clicks only; one that is another account's, too old or with a reason shows in the report."""
    click = context.clicks.get(row.click_id or "")
    if click is None or click.reason or row.time is None or click.account_id != context.account_id:
        return
    if click.clicked_at < context.now - MAX_CLICK_AGE_MS:
        return
    after_click_ms = row.time.ticks / TICKS_PER_MS - click.clicked_at
    if after_click_ms < 0:
        yield "ConversionTimeEarlierThanClickTime"
    elif after_click_ms > goal.window_minutes * MINUTE_MS:
        yield "ClickIdDateTimeOutsideGoalConversionWindow"


def _adjustment_value(row: Adjustment, goal: Goal | None) -> Iterator[str]:
    if row.type == "Retract" and row.value is not None:
        yield "OfflineConversionAdjustmentValueNotExpected"
    if row.type == "Restate":
        if row.value is None:
            yield "OfflineConversionAdjustmentValueRequired"
        if not row.currency and not (goal and goal.currency):
            yield "OfflineConversionCurrencyValueRequired"
    yield from _value(row.value)
    yield from _currency(row.currency)
