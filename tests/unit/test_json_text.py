"""Bytes to JSON values: exact numbers, or one clear error that holds nothing of the body."""

import json
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


def test_of_a_repeated_member_the_last_one_counts() -> None:
    assert parse(b'{"event": "lead", "event": "purchase"}') == {"event": "purchase"}
    assert parse(b'{"event": "lead", "event": "\\ud800"}') == {"event": "\ud800"}  # by the other reader


NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,90})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)
ODD = st.sampled_from(["NaN", "-Infinity", "1.", "01", "+1", "'a'", '"\t"', '"\\x"', "1e", "nul"])
TEXTS = st.text(st.characters(categories=["L", "Cc", "Cs"]), max_size=5)
QUOTED = TEXTS.map(json.dumps) | TEXTS.map(lambda text: json.dumps(text, ensure_ascii=False))
SCALARS = NUMBERS | QUOTED | ODD | st.sampled_from(["null", "true", "false"])


def _arrays_and_objects(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    members = st.tuples(QUOTED, inner).map(":".join)
    lists = st.lists(inner, max_size=4).map(", ".join), st.lists(members, max_size=4).map(",".join)
    return lists[0].map("[{}]".format) | lists[1].map("{{{}}}".format)


DOCUMENTS = st.recursive(SCALARS, _arrays_and_objects, max_leaves=8)
AROUND = st.sampled_from(["", "", "", " \r\n\t", "\ufeff", "\f", "]", ",", "\0"])


@given(AROUND, DOCUMENTS, AROUND)
def test_what_is_json_and_its_value_are_as_the_standard_library_says(before: str, document: str, after: str) -> None:
    """The quick reader must take neither more nor less, and no number otherwise."""
    body = f"{before}{document}{after}".encode("utf-8", "surrogatepass")
    try:
        wanted = _standard(body)
    except ValueError:
        with pytest.raises(BadBody):
            parse(body)
    else:
        assert repr(parse(body)) == repr(wanted)


def _standard(body: bytes) -> object:
    def refuse(name: str) -> None:
        raise ValueError(name)

    return json.loads(body.decode("utf-8-sig"), parse_float=Decimal, parse_constant=refuse)
