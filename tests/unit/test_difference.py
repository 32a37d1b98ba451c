"""In which fields a repeat differs from what is stored, told from what a row has kept."""

from decimal import Decimal
from typing import Any

import pytest
from intake_kit import accepted
from msgspec.structs import replace

from sidecar.core.conversion import AdjustmentType, Conversion
from sidecar.core.difference import (
    AdjustmentContent,
    FieldDifference,
    of_adjustments,
    of_conversions,
    words,
)


def stored(**given: Any) -> tuple[Conversion, str]:
    """The conversion as its row holds it, which knows no more what was a default; and the digest of what was given."""
    conversion = accepted(**given)
    return replace(conversion, given_value=None, given_currency=None), conversion.content()


@pytest.mark.parametrize(
    ("before", "now", "found"),
    [
        ({"value": 99.99}, {"value": 89.5}, [FieldDifference("value", Decimal("99.99"), Decimal("89.5"))]),
        ({"value": 1}, {}, [FieldDifference("value", Decimal(1))]),
        ({}, {"value": 1}, [FieldDifference("value", None, Decimal(1))]),
        ({"currency": "EUR"}, {"currency": "usd"}, [FieldDifference("currency", "EUR", "USD")]),
        ({"currency": "USD"}, {}, [FieldDifference("currency", "USD")]),
        ({"visitor_id": "v-1"}, {"visitor_id": "v-2"}, [FieldDifference("visitor_id", is_secret=True)]),
        (
            {"time": "2026-11-18T11:00:00Z"},
            {"time": "2026-11-18T11:00:01Z", "value": 1},
            [
                FieldDifference("time", "2026-11-18T11:00:00Z", "2026-11-18T11:00:01Z"),
                FieldDifference("value", None, Decimal(1)),
            ],
        ),
    ],
)
def test_only_fields_that_the_callers_gave_otherwise_differ(
    before: dict[str, Any], now: dict[str, Any], found: list[FieldDifference]
) -> None:
    assert list(of_conversions(*stored(**before), accepted(**now))) == found


def test_default_that_the_event_gave_is_no_value_of_the_callers() -> None:
    """A signup has a value and a currency of its own."""
    by_default, content = stored(event="signup")
    assert (by_default.value, by_default.currency) == (Decimal("2.50"), "EUR")
    (found,) = of_conversions(by_default, content, accepted(event="signup", value=2.5))
    assert found == FieldDifference("value", None, Decimal("2.500"))


def test_value_that_was_restated_since_is_the_one_that_is_shown() -> None:
    conversion, content = stored(value=99.99)
    restated = replace(conversion, value=Decimal("79.99"))
    for given in (79.99, 5):
        (found,) = of_conversions(restated, content, accepted(value=given))
        assert (found.field, found.stored) == ("value", Decimal("79.99"))


def test_differences_are_described_without_any_identifier() -> None:
    found = of_conversions(*stored(value=1.5), accepted(currency="EUR", visitor_id="v-1"))
    assert (
        words(found) == "value was 1.5 and now is absent; currency was absent and now is EUR; visitor_id is another one"
    )


def test_adjustments_of_one_key_differ_in_what_they_say_else_in_their_time() -> None:
    first = AdjustmentContent("conv_1", AdjustmentType.RESTATE, Decimal(50), "USD")
    assert of_adjustments(first, first._replace(value=Decimal(40))) == (
        FieldDifference("value", Decimal(50), Decimal(40)),
    )
    retract = AdjustmentContent("conv_2", AdjustmentType.RETRACT, None, None)
    assert [each.field for each in of_adjustments(first, retract)] == ["conversion_id", "type", "value", "currency"]
    assert of_adjustments(first, first) == (FieldDifference("time", is_secret=True),)
