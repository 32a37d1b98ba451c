"""Reading a request: rows as they arrived, and what a deserialiser would not take."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.emulator.error_bodies import Refused
from sidecar.emulator.json_rows import read_object, read_rows
from sidecar.emulator.row_fields import (
    TICKS_PER_SECOND,
    Time,
    read_adjustment,
    read_conversion,
    read_flags,
    read_long,
    read_time,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(rows=st.lists(JSON, max_size=6), around=st.dictionaries(st.text(), JSON, max_size=3), indent=st.integers(0, 3))
def test_rows_are_read_as_json_reads_them_and_each_keeps_its_own_text(
    rows: list[Any], around: dict[str, Any], indent: int
) -> None:
    body = json.dumps({**around, "OfflineConversions": rows}, indent=indent or None, ensure_ascii=indent > 1)
    found = read_rows(body.encode(), "OfflineConversions")
    assert found is not None
    assert [row.value for row in found] == rows
    assert [json.loads(row.raw) for row in found] == rows


def test_rows_keep_their_exact_bytes() -> None:
    body = b'{"Other": [1], "OfflineConversions" : [ {"a":  1.50} ,\n{"b":"\\u00e9"}, null ] }'
    found = read_rows(body, "OfflineConversions")
    assert found is not None
    assert [row.raw for row in found] == ['{"a":  1.50}', '{"b":"\\u00e9"}', "null"]
    assert found[0].value == {"a": Decimal("1.50")}


@pytest.mark.parametrize("body", [b"{}", b'{"OfflineConversions": null}', b'{"Offlineconversions": [1]}'])
def test_missing_list_is_none(body: bytes) -> None:
    assert read_rows(body, "OfflineConversions") is None


@pytest.mark.parametrize("body", [b"", b"  ", b"null"])
def test_empty_request_is_a_null_request(body: bytes) -> None:
    with pytest.raises(Refused, match="NullRequest"):
        read_rows(body, "OfflineConversions")
    with pytest.raises(Refused, match="NullRequest"):
        read_object(body)


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{",
        b"<html>",
        b"\xff",
        b'{"OfflineConversions": 3}',
        b'{"OfflineConversions": {}}',
        b'{"OfflineConversions": [1 2]}',
        b'{"OfflineConversions": [1,]}',
        b'{"OfflineConversions": [1]',
        b'{"OfflineConversions": []} trailing',
        b'{"OfflineConversions": [{"ConversionValue": NaN}]}',
        b'{"OfflineConversions": [{"ConversionValue": Infinity}]}',
        b"{'OfflineConversions': []}",
        b'{"OfflineConversions": [{"ConversionValue": 1e99999999999999999999}]}',
        b'{"OfflineConversions": [{"ConversionValue": -1e309}]}',
        b'{"OfflineConversions": [{"ConversionValue": ' + b"9" * 5_000 + b"}]}",
        b'{"OfflineConversions": [{"ConversionValue": 0.' + b"0" * 5_000 + b"1}]}",
        b'{"OfflineConversions": ' + b"[" * 100_000,
    ],
)
def test_what_is_no_json_object_with_a_list_is_refused_whole(body: bytes) -> None:
    with pytest.raises(Refused, match="ApiInputValidationError"):
        read_rows(body, "OfflineConversions")


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e308", Decimal("1e308")),
        ("1e-999999999", Decimal(0)),
        ("1e-99999999999999999999", Decimal(0)),
        ("0.10", Decimal("0.10")),
        ("7", 7),
    ],
)
def test_number_that_a_double_can_hold_is_read_exactly_and_one_too_small_is_zero(written: str, value: object) -> None:
    assert read_object(f'{{"Value": {written}}}'.encode()) == {"Value": value}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-20T14:03:07Z", 1_795_183_387),
        ("2026-11-20T14:03:07+00:00", 1_795_183_387),
        ("2026-11-20T15:03:07+01:00", 1_795_183_387),
        ("1969-12-31T23:59:59Z", -1),
    ],
)
def test_time_is_read_with_its_zone(text: str, seconds: int) -> None:
    assert read_time({"T": text}, "T") == Time(seconds * TICKS_PER_SECOND, zoned=True)


def test_time_has_up_to_seven_digits_after_the_second() -> None:
    """The documentation's own example is 2020-04-30T17:02:35.6853793Z."""
    assert read_time({"T": "2020-04-30T17:02:35.6853793Z"}, "T") == Time(15_882_661_556_853_793, zoned=True)
    assert read_time({"T": "2020-04-30T17:02:35.5Z"}, "T") == Time(15_882_661_555_000_000, zoned=True)


def test_time_without_zone_is_recognised() -> None:
    assert read_time({"T": "2026-11-20T14:03:07"}, "T") == Time(1_795_183_387 * TICKS_PER_SECOND, zoned=False)


@pytest.mark.parametrize(
    "value",
    [
        None,
        1_795_183_387,
        "",
        "yesterday",
        "2026-11-20",
        "2026-11-20 14:03:07Z",
        "2026-13-01T00:00:00Z",
        "2026-11-20T25:00:00Z",
        "2026-11-20T14:03:07.12345678Z",
        "20.11.2026T14:03:07Z",
        "٢٠٢٦-11-20T14:03:07Z",
        "2026-11-20T14:03:07z",
        "2026-11-20T14:03:07+0100",
        "0000-01-01T00:00:00Z",
        "2026-11-20T14:03:07+99:00",
    ],
)
def test_malformed_time_refuses_the_whole_request(value: object) -> None:
    """A malformed value fails the whole request at deserialisation, without per-row errors."""
    with pytest.raises(Refused, match="InvalidDateObject"):
        read_conversion({"ConversionTime": value})


@pytest.mark.parametrize(
    "fields",
    [
        {"ConversionValue": "249.90"},
        {"ConversionValue": True},
        {"ConversionName": 7},
        {"MicrosoftClickId": ["f894f652ea334e739002f7167ab8f8e3"]},
        {"HashedEmailAddress": {}},
        {"ExternalAttributionCredit": "1"},
    ],
)
def test_value_of_another_type_refuses_the_whole_request(fields: dict[str, Any]) -> None:
    for read in (read_conversion, read_adjustment):
        with pytest.raises(Refused, match="ApiInputValidationError"):
            read(fields)


@pytest.mark.parametrize("row", [1, "text", [], True])
def test_row_that_is_no_object_refuses_the_whole_request(row: object) -> None:
    with pytest.raises(Refused, match="ApiInputValidationError"):
        read_conversion(row)


def test_nullable_members_may_be_null_or_left_out_and_unknown_ones_are_ignored() -> None:
    bare = read_conversion({"ConversionName": "Purchase"})
    full = read_conversion({"ConversionName": "Purchase", "MicrosoftClickId": None, "OrderId": 5})
    assert bare == full


@pytest.mark.parametrize(("value", "expected"), [("48210331", "48210331"), (48210331, "48210331"), (None, None)])
def test_long_is_text_but_a_number_is_understood(value: object, expected: str | None) -> None:
    assert read_long({"Id": value}, "Id") == expected


@pytest.mark.parametrize("value", ["", "x", "1.5", True, 1.5, "12345678901234567890"])
def test_what_is_no_long_is_refused(value: object) -> None:
    with pytest.raises(Refused, match="ApiInputValidationError"):
        read_long({"Id": value}, "Id")


def test_flags_are_joined_by_comma_and_blank() -> None:
    """SOAP used a blank; Microsoft's REST SDK writes `None, ...` when it writes again what it has read."""
    known = ("None", "A", "B")
    assert read_flags({"F": "A, B"}, "F", known) == ("A", "B")
    assert read_flags({"F": "None, B"}, "F", known) == ("B",)
    assert read_flags({"F": None}, "F", known) == ()
    for wrong in ("A B", "A,B", "C"):
        with pytest.raises(Refused, match="ApiInputValidationError"):
            read_flags({"F": wrong}, "F", known)
