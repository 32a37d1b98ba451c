"""Every check of a row, with plain values."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from sidecar.emulator.call import DAY_MS, HOUR_MS, MINUTE_MS
from sidecar.emulator.row_checks import (
    CheckContext,
    Click,
    Goal,
    adjustment_errors,
    conversion_errors,
)
from sidecar.emulator.row_fields import TICKS_PER_MS, Adjustment, Conversion, Time

NOW = 1_795_176_000_000
HASH = "c5" * 32
CLICK = "f894f652ea334e739002f7167ab8f8e3"


def when(ms: int) -> Time:
    return Time(ms * TICKS_PER_MS, zoned=True)


def goal(name: str, **fields: Any) -> Goal:
    usual = {"id": 1, "active": True, "created_at": NOW - DAY_MS, "window_minutes": 30 * 24 * 60, "enhanced": True}
    return Goal(name=name, **{**usual, **fields})


GOALS = {
    one.name: one
    for one in (
        goal("Purchase"),
        goal("Priced", currency="EUR"),
        goal("Plain", enhanced=False),
        goal("Paused", active=False),
        goal("Young", created_at=NOW - 2 * HOUR_MS + 1),
        goal("Ripe", created_at=NOW - 2 * HOUR_MS),
        goal("Outside", externally_attributed=True),
    )
}
WORLD = CheckContext(NOW, "200000001", GOALS, {})
GOOD = Conversion(CLICK, "Purchase", when(NOW - HOUR_MS), None, None, Decimal("249.9"), "EUR", None, None)
HASHED = replace(GOOD, click_id=None, email=HASH)
OUTSIDE = replace(GOOD, name="Outside", credit=Decimal("0.5"), model="linear")


@pytest.mark.parametrize(
    "row",
    [
        GOOD,
        replace(GOOD, value=None, currency=None),
        replace(GOOD, value=Decimal("999999999999")),
        replace(GOOD, value=Decimal("0.001")),
        replace(GOOD, value=Decimal("1.500000")),
        replace(GOOD, time=when(NOW)),
        replace(GOOD, time=when(NOW - 90 * DAY_MS)),
        replace(GOOD, click_id=CLICK.upper()),
        replace(GOOD, name="Ripe"),
        replace(GOOD, name="Plain", email=HASH),
        HASHED,
        replace(HASHED, email=None, phone=HASH),
        replace(HASHED, click_id=""),
        OUTSIDE,
        replace(OUTSIDE, credit=Decimal(1)),
    ],
)
def test_conversion_is_accepted(row: Conversion) -> None:
    assert conversion_errors(row, WORLD) == ()


@pytest.mark.parametrize(
    ("row", "symbol"),
    [
        (None, "OfflineConversionIsNull"),
        (replace(GOOD, click_id=None), "OfflineConversionMicrosoftClickIdNullOrEmpty"),
        (replace(GOOD, click_id=""), "OfflineConversionMicrosoftClickIdNullOrEmpty"),
        (replace(HASHED, name="Plain"), "OfflineConversionMicrosoftClickIdNullOrEmpty"),
        (replace(GOOD, click_id="invalid-click-id"), "OfflineConversionMicrosoftClickIdInvalid"),
        (replace(GOOD, click_id="_uet" + CLICK), "OfflineConversionMicrosoftClickIdInvalid"),
        (replace(GOOD, click_id="f894f652-ea33-4e73-9002-f7167ab8f8e3"), "OfflineConversionMicrosoftClickIdInvalid"),
        (replace(GOOD, name=None), "OfflineConversionNameNullOrEmpty"),
        (replace(GOOD, name=""), "OfflineConversionNameNullOrEmpty"),
        (replace(GOOD, name="Nothing of that name"), "OfflineConversionNameInvalid"),
        (replace(GOOD, name="purchase"), "OfflineConversionNameInvalid"),
        (replace(GOOD, name="Paused"), "OfflineConversionNameInvalid"),
        (replace(GOOD, name="Young"), "OfflineConversionNotAcceptedForGoal"),
        (replace(GOOD, time=None), "OfflineConversionTimeNullOrEmpty"),
        (replace(GOOD, time=Time(0, zoned=False)), "OfflineConversionTimeInvalid"),
        (replace(GOOD, time=when(NOW - 90 * DAY_MS - 1)), "OfflineConversionTimeOutOfWindow"),
        (replace(GOOD, time=when(NOW + 1)), "FutureConversionTimeCannotBeSet"),
        (replace(GOOD, value=Decimal("-0.01")), "OfflineConversionValueInvalid"),
        (replace(GOOD, value=Decimal("0.0001")), "OfflineConversionValueInvalid"),
        (replace(GOOD, value=Decimal("59.97000000000001")), "OfflineConversionValueInvalid"),
        (replace(GOOD, value=Decimal("1000000000000")), "OfflineConversionValueInvalid"),
        (replace(GOOD, value=Decimal("1E+400")), "OfflineConversionValueInvalid"),
        (replace(GOOD, currency="eur"), "OfflineConversionCurrencyCodeInvalid"),
        (replace(GOOD, currency="XXQ"), "OfflineConversionCurrencyCodeInvalid"),
        (replace(GOOD, email="jane@example.com"), "ConversionEmailAddressIsNotHashed"),
        (replace(HASHED, email=HASH.upper()), "ConversionEmailAddressIsNotHashed"),
        (replace(HASHED, phone="+14255551234"), "ConversionPhoneNumberIsNotHashed"),
        (replace(GOOD, credit=Decimal("0.5")), "GoalNotEligibleForExternalAttribution"),
        (replace(GOOD, model="linear"), "GoalNotEligibleForExternalAttribution"),
        (replace(OUTSIDE, credit=None), "ExternalAttributionRequiredFieldEmpty"),
        (replace(OUTSIDE, model=""), "ExternalAttributionRequiredFieldEmpty"),
        (replace(OUTSIDE, credit=Decimal(0)), "ExternalAttributionCreditValueInvalid"),
        (replace(OUTSIDE, credit=Decimal("1.01")), "ExternalAttributionCreditValueInvalid"),
        (replace(OUTSIDE, model="m" * 101), "ExternalAttributionModelTooLong"),
    ],
)
def test_conversion_is_refused_for_exactly_one_reason(row: Conversion | None, symbol: str) -> None:
    assert conversion_errors(row, WORLD) == (symbol,)


def test_conversion_with_several_faults_gets_an_error_for_each() -> None:
    """One or more error objects corresponding to each unsuccessful item."""
    row = Conversion("short", None, None, "plain", None, Decimal(-1), "??", None, None)
    assert conversion_errors(row, WORLD) == (
        "OfflineConversionNameNullOrEmpty",
        "OfflineConversionTimeNullOrEmpty",
        "OfflineConversionMicrosoftClickIdInvalid",
        "ConversionEmailAddressIsNotHashed",
        "OfflineConversionValueInvalid",
        "OfflineConversionCurrencyCodeInvalid",
    )


@pytest.mark.parametrize(
    ("click", "expected"),
    [
        (Click("200000001", NOW - 2 * HOUR_MS), ()),
        (Click("200000001", NOW - HOUR_MS), ()),
        (Click("200000001", NOW - HOUR_MS + 1), ("ConversionTimeEarlierThanClickTime",)),
        (Click("200000001", NOW - HOUR_MS - 30 * 24 * 60 * MINUTE_MS), ()),
        (
            Click("200000001", NOW - HOUR_MS - 30 * 24 * 60 * MINUTE_MS - 1),
            ("ClickIdDateTimeOutsideGoalConversionWindow",),
        ),
        (Click("another account", NOW), ()),
    ],
)
def test_known_click_must_lie_before_the_conversion_and_inside_the_goals_window(
    click: Click, expected: tuple[str, ...]
) -> None:
    assert conversion_errors(GOOD, replace(WORLD, clicks={CLICK: click})) == expected


RESTATE = Adjustment("Restate", when(NOW), Decimal("9.5"), "EUR", GOOD)
RETRACT = Adjustment("Retract", when(NOW), None, None, GOOD)


@pytest.mark.parametrize(
    "row",
    [
        RESTATE,
        RETRACT,
        replace(RESTATE, value=Decimal(0)),
        replace(RESTATE, currency=None, original=replace(GOOD, name="Priced")),
        replace(RETRACT, original=HASHED),
        replace(RETRACT, time=GOOD.time),
    ],
)
def test_adjustment_is_accepted(row: Adjustment) -> None:
    assert adjustment_errors(row, WORLD) == ()


@pytest.mark.parametrize(
    ("row", "symbol"),
    [
        (None, "OfflineConversionIsNull"),
        (replace(RESTATE, type="restate"), "OfflineConversionInvalidAdjustmentType"),
        (replace(RETRACT, type=None), "OfflineConversionInvalidAdjustmentType"),
        (replace(RESTATE, time=None), "OfflineConversionAdjustmentTimeNullOrEmpty"),
        (replace(RESTATE, time=Time(0, zoned=False)), "OfflineConversionAdjustmentTimeInvalid"),
        (
            replace(RESTATE, time=when(NOW - HOUR_MS - 1)),
            "OfflineConversionAdjustmentTimeEarlierThanConversionTime",
        ),
        (replace(RESTATE, time=when(NOW + 1)), "OfflineConversionFutureAdjustmentTimeCannotBeSet"),
        (replace(RESTATE, time=when(NOW - 91 * DAY_MS)), "OfflineConversionAdjustmentTimeOutOfWindow"),
        (replace(RETRACT, value=Decimal(0)), "OfflineConversionAdjustmentValueNotExpected"),
        (replace(RESTATE, value=None), "OfflineConversionAdjustmentValueRequired"),
        (replace(RESTATE, currency=None), "OfflineConversionCurrencyValueRequired"),
        (replace(RESTATE, value=Decimal("-1")), "OfflineConversionValueInvalid"),
        (replace(RESTATE, currency="zz"), "OfflineConversionCurrencyCodeInvalid"),
        (replace(RETRACT, original=replace(GOOD, name="Nobody")), "OfflineConversionNameInvalid"),
        (replace(RETRACT, original=replace(GOOD, name="Young")), "OfflineConversionNotAcceptedForGoal"),
        (replace(RETRACT, original=replace(GOOD, time=None)), "OfflineConversionTimeNullOrEmpty"),
        (
            replace(RETRACT, original=replace(GOOD, time=when(NOW - 91 * DAY_MS))),
            "OfflineConversionTimeOutOfWindow",
        ),
        (
            replace(RETRACT, original=replace(GOOD, click_id=None)),
            "OfflineConversionMicrosoftClickIdNullOrEmpty",
        ),
    ],
)
def test_adjustment_is_refused_for_exactly_one_reason(row: Adjustment | None, symbol: str) -> None:
    assert adjustment_errors(row, WORLD) == (symbol,)
