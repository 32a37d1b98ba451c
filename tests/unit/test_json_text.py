"""Bytes to JSON values: exact numbers, or one clear error that holds nothing of the body."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.intake.json_text import BadBody, parse


def test_numbers_stay_as_they_were_written() -> None:
    assert parse(b'{"a": 99.99, "b": 12345678901234567890, "c": 1e3}') == {
        "a": Decimal("99.99"),
        "b": 12345678901234567890,
        "c": Decimal("1E+3"),
    }
    assert type(parse(b"[1.0]")[0]) is Decimal


def test_number_of_thousands_of_digits_is_left_to_its_field() -> None:
    assert parse(b'{"a": %b}' % (b"9" * 5_000)) == {"a": Decimal("9" * 5_000)}


def test_byte_order_mark_before_the_text_does_not_matter() -> None:
    assert parse(b"\xef\xbb\xbf{}") == {}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "empty"),
        (b" \r\n", "empty"),
        (b"\xff{}", "UTF-8 at byte 0"),
        (b'{"a": "\xe9"}', "UTF-8 at byte 7"),
        (b"{'a': 1}", r"line 1, column 2"),
        (b'{"a": 1} {"b": 2}', "Extra data"),
        (b"event=purchase", "not JSON"),
        (b"[NaN]", "no NaN"),
        (b"[-Infinity]", "no -Infinity"),
        (b"[" * 200_000, "too deep"),
        (b"[1e99999999999999999999]", "too long"),
    ],
)
def test_bytes_that_are_no_json_are_refused_with_the_reason(body: bytes, why: str) -> None:
    with pytest.raises(BadBody, match=why):
        parse(body)


def test_refusal_does_not_carry_the_body_along() -> None:
    with pytest.raises(BadBody) as caught:
        parse(b'{"email": "canary@contoso.com"')
    assert caught.value.__context__ is None
    assert "canary" not in str(caught.value)


@given(st.binary())
def test_any_bytes_give_a_value_or_a_bad_body(body: bytes) -> None:
    try:
        parse(body)
    except BadBody as error:
        assert str(error)


def test_duplicate_member_is_refused_without_repeating_it():
    """With two values of one event it would be unclear which is meant."""
    with pytest.raises(BadBody, match="twice") as refused:
        parse(b'{"event": "purchase", "user": {"email": "a@example.com", "email": "b@example.com"}}')
    assert "example" not in str(refused.value)
