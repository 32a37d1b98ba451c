"""What a conversion says of when and how much: each row of the contract, taken, refused and warned of."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from intake_kit import (
    CLICK,
    DAY,
    NOW,
    RULES,
    SECOND,
    accepted,
    message,
    problems,
    raw,
    warned,
)

from sidecar.core.intake.conversion import Accepted, EventRule, RejectedItem, read

# --- time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "second"),
    [
        ("2026-11-18T11:06:40Z", SECOND),
        ("2026-11-18T12:06:40+01:00", SECOND),
        ("2026-11-17T23:06:40-12:00", SECOND),
        ("2026-11-18T11:06:40-00:00", SECOND),
        ("2026-11-18t11:06:40.9999999z", SECOND),
        ("2026-11-18 11:06:40.5Z", SECOND),
        ("2026-11-18T12:06:40.000+0100", SECOND),
        ("2026-11-18 11:06:40 UTC", SECOND),
        ("2026-11-18T11:06Z", SECOND - 40),
        (SECOND, SECOND),
        (SECOND - 0.25, SECOND - 1),
        ("2026-11-18T10:59:60Z", SECOND - 401),
        (SECOND + 300, SECOND + 300),
        (SECOND - 90 * DAY, SECOND - 90 * DAY),
    ],
)
def test_time_is_floored_to_whole_seconds(written: Any, second: int) -> None:
    conversion = accepted(time=written)
    assert (conversion.time, conversion.time_given) == (second, True)


def test_absent_time_is_now() -> None:
    assert (accepted().time, accepted().time_given) == (SECOND, False)


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("2026-11-18T11:06:40", "time_without_offset"),
        ("2026-11-18 11:06:40.123", "time_without_offset"),
        ("2026-11-18", "invalid_time"),
        ("2026-11-18T11:06", "time_without_offset"),
        ("2026-11-18T11:06:40+01:00[Europe/Paris]", "invalid_time"),
        ("2026-11-18T11:06:40,5Z", "invalid_time"),
        ("20261118T110640Z", "invalid_time"),
        ("2026-02-30T11:06:40Z", "invalid_time"),
        ("2026-11-18T25:06:40Z", "invalid_time"),
        ("2026-11-18T11:06:60Z", "invalid_time"),
        ("2026-11-18T11:06:40+24:00", "invalid_time"),
        ("٢026-11-18T11:06:40Z", "invalid_time"),
        ("1795000000", "invalid_time"),
        ("yesterday", "invalid_time"),
        ("", "invalid_time"),
        (True, "invalid_time"),
        (SECOND - 90 * DAY - 1, "too_old"),
        ("2026-08-20T11:06:39Z", "too_old"),
        ("0001-01-01T00:00:00+14:00", "too_old"),
        (0, "too_old"),
        (-1, "too_old"),
        (SECOND + 301, "in_future"),
        ("2026-11-18T11:11:41Z", "in_future"),
        ("9999-12-31T23:59:59-14:00", "in_future"),
        (1_795_000_000_500, "time_in_milliseconds"),
        (1_795_000_000_500_000, "in_future"),
        (10**400, "in_future"),
    ],
)
def test_time_that_is_no_instant_or_too_far_away_is_refused(written: Any, code: str) -> None:
    assert problems(time=written) == [("time", code)]


def test_milliseconds_are_asked_back() -> None:
    assert "milliseconds?" in message(time=1_795_000_000_500)


@pytest.mark.parametrize(("written", "code"), [("1e999999999", "in_future"), ("-1e999999999", "too_old")])
def test_time_with_a_monstrous_exponent_is_refused_at_once(written: str, code: str) -> None:
    result = raw(f'{{"event": "lead", "msclkid": "{CLICK}", "time": {written}}}')
    assert isinstance(result, RejectedItem)
    assert result.problems[0].code == code


# --- value, currency -------------------------------------------------------------------------------------------------


def value_of(written: str) -> tuple[Decimal | None, list[str]]:
    result = raw(f'{{"event": "purchase", "order_id": "A", "msclkid": "{CLICK}", "value": {written}}}')
    assert isinstance(result, Accepted), result
    return result.conversion.value, [warning.code for warning in result.warnings]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("99.99", "99.99"),
        ("0.001", "0.001"),
        ("1.50000000", "1.5"),
        ("1e2", "100"),
        ("12.5E-1", "1.25"),
        ("999999999999", "999999999999"),
        ("999999999998.999", "999999999998.999"),
    ],
)
def test_value_stays_exact(written: str, value: str) -> None:
    found, warnings = value_of(written)
    assert found == Decimal(value)
    assert found is not None and not found.is_signed()
    assert warnings == []


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("59.97000000000001", "59.97"),
        ("0.30000000000000004", "0.3"),
        ("0.09999999999999432", "0.1"),
        ("7.7225", "7.723"),
        ("7.7235", "7.724"),
        ("7.72249999999999999999999999999999999", "7.722"),
        ("1.2345", "1.235"),
        ("0.0005", "0.001"),
        ("0.0004", "0"),
        ("600000.1239", "600000.124"),
        ("0.333333333333", "0.333"),
        ("999999999998.9995", "999999999999"),
        ("1e-999999999", "0"),
        (f"0.{'7' * 100_000}", "0.778"),
    ],
)
def test_decimals_beyond_three_are_rounded_half_up_with_a_warning(written: str, value: str) -> None:
    assert value_of(written) == (Decimal(value), ["value_rounded"])


def test_rounding_does_not_make_another_content() -> None:
    for written, meant in ((59.97000000000001, 59.97), (7.7225, 7.723), (7.7225, 7.7230)):
        rounded, _ = warned(value=written)
        assert rounded.content() == accepted(value=meant).content() == warned(value=written)[0].content()


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("-0.01", "negative"),
        ("-1", "negative"),
        ("1000000000000", "too_large"),
        ("999999999999.001", "too_large"),
        ("1e999999999", "too_large"),
        ("9" * 4_000, "too_large"),
        ("-0.0001", "negative"),
        ("999999999999.0001", "too_large"),
        ('"1"', "not_a_number"),
        ('""', "not_a_number"),
        ("true", "not_a_number"),
        ("false", "not_a_number"),
    ],
)
def test_value_that_is_no_sum_of_money_is_refused(written: str, code: str) -> None:
    result = raw(f'{{"event": "purchase", "msclkid": "{CLICK}", "value": {written}}}')
    assert isinstance(result, RejectedItem)
    assert [(problem.field, problem.code) for problem in result.problems] == [("value", code)]


@pytest.mark.parametrize("value", [1.5, Decimal("NaN"), Decimal("Infinity")])
def test_numbers_that_json_does_not_give_are_refused(value: object) -> None:
    result = read({"event": "lead", "msclkid": CLICK, "value": value, "time": value}, now=NOW, rules=RULES)
    assert isinstance(result, RejectedItem)
    assert {problem.code for problem in result.problems} == {"not_a_number", "invalid_time"}


def test_value_and_currency_default_to_the_events() -> None:
    conversion = accepted(event="signup")
    assert (conversion.value, conversion.currency) == (Decimal("2.50"), "EUR")
    assert (conversion.given_value, conversion.given_currency) == (None, None)
    conversion = accepted(event="signup", value=3, currency="gbp")
    assert (conversion.value, conversion.currency) == (3, "GBP")
    assert (conversion.given_value, conversion.given_currency) == (3, "GBP")
    assert accepted(event="lead").value is None


def test_value_without_any_currency_is_refused() -> None:
    assert problems(event="lead", value=1) == [("currency", "currency_required")]
    assert accepted(event="lead", value=1, currency="USD").currency == "USD"
    assert problems(event="lead", value=1, currency="nope") == [("currency", "unknown_currency")]
    rules = replace(RULES, events={"purchase": EventRule("G", value=Decimal(1))})
    assert problems(rules) == [("currency", "currency_required")]
    assert accepted(rules, currency="USD").value == 1


@pytest.mark.parametrize(
    ("written", "code"),
    [*((code, "unknown_currency") for code in ("US", "USDT", "XXX", " USD", "$", "€")), (840, "not_text")],
)
def test_currency_is_a_code_of_iso_4217(written: Any, code: str) -> None:
    assert problems(currency=written) == [("currency", code)]


# --- external_attribution, meta --------------------------------------------------------------------------------------


@pytest.mark.parametrize("credit", ["1", "0.000000000000000001", "0.30000000000000004"])
def test_credit_is_a_share_of_at_most_one(credit: str) -> None:
    text = f'{{"event": "lead", "order_id": "A", "msclkid": "{CLICK}", "external_attribution": '
    result = raw(text + f'{{"credit": {credit}, "model": "m"}}}}')
    assert isinstance(result, Accepted)
    assert result.conversion.external_attribution is not None
    assert result.conversion.external_attribution.credit == Decimal(credit)


@pytest.mark.parametrize(
    ("external", "problem"),
    [
        ({"credit": 1}, ("model", "required")),
        ({"model": "m"}, ("credit", "required")),
        ({"credit": 0, "model": "m"}, ("credit", "invalid_credit")),
        ({"credit": 1.001, "model": "m"}, ("credit", "invalid_credit")),
        ({"credit": -0.5, "model": "m"}, ("credit", "invalid_credit")),
        ({"credit": 1e-19, "model": "m"}, ("credit", "too_many_decimals")),
        ({"credit": "1", "model": "m"}, ("credit", "not_a_number")),
        ({"credit": 1, "model": ""}, ("model", "empty")),
        ({"credit": 1, "model": "m" * 201}, ("model", "too_long")),
    ],
)
def test_external_attribution_needs_both_its_parts(external: Any, problem: tuple[str, str]) -> None:
    field, code = problem
    assert problems(external_attribution=external) == [(f"external_attribution.{field}", code)]


@pytest.mark.parametrize("meta", [{}, {"a": ["b", 1, 1.5, None, True]}, {"a": "x" * 2_040}, {"a": "é" * 1_020}])
def test_meta_is_kept_as_compact_json(meta: Any) -> None:
    kept = accepted(meta=meta).meta
    assert kept is not None
    assert json.loads(kept) == meta
    assert len(kept.encode()) <= 2_048


@pytest.mark.parametrize(
    ("meta", "code"),
    [
        ("text", "not_an_object"),
        ({"a": "x" * 2_041}, "too_long"),
        ({"a": "é" * 1_021}, "too_long"),
        ({"a": "\ud800"}, "unprintable"),
    ],
)
def test_meta_is_an_object_of_at_most_2_kib(meta: Any, code: str) -> None:
    assert problems(meta=meta) == [("meta", code)]


def test_meta_beyond_what_json_can_hold_is_refused() -> None:
    nested: dict[str, Any] = {}
    for _ in range(5_000):
        nested = {"a": nested}
    for meta, code in ((nested, "too_long"), ({"a": Decimal("1e400")}, "invalid_meta")):
        result = read({"event": "lead", "msclkid": CLICK, "meta": meta}, now=NOW, rules=RULES)
        assert isinstance(result, RejectedItem)
        assert result.problems[0].code == code
