"""Times as common stacks write them, in bodies and in queries: all that can be read in one way only is taken."""

import pytest

from sidecar.api.http.problem import HttpProblem
from sidecar.api.request import query as parameters
from sidecar.core.instant import UnixMillis
from sidecar.core.intake import fields, time_text
from sidecar.core.intake.problem import Refusal

SECOND = 1_795_444_245
"""2026-11-23T14:30:45Z"""

NOW = UnixMillis(SECOND * 1000 + 999)

TAKEN = [
    # RFC 3339, and JavaScript's toISOString
    ("2026-11-23T14:30:45Z", SECOND, 0),
    ("2026-11-23t14:30:45z", SECOND, 0),
    ("2026-11-23 14:30:45Z", SECOND, 0),
    ("2026-11-23T14:30:45.123Z", SECOND, 123),
    ("2026-11-23T14:30:45-00:00", SECOND, 0),
    # Salesforce; PHP's DATE_ISO8601; strftime's %z, as Python, C and Ruby have it
    ("2026-11-23T15:30:45.000+0100", SECOND, 0),
    ("2026-11-23T15:30:45+0100", SECOND, 0),
    ("2026-11-23 15:30:45+0100", SECOND, 0),
    # PHP's DATE_ATOM and DATE_RFC3339_EXTENDED
    ("2026-11-23T15:30:45+01:00", SECOND, 0),
    ("2026-11-23T15:30:45.123+01:00", SECOND, 123),
    # Python's isoformat and str
    ("2026-11-23T15:30:45.123456+01:00", SECOND, 123),
    ("2026-11-23 15:30:45.999999+01:00", SECOND, 999),
    # PostgreSQL's timestamptz
    ("2026-11-23 14:30:45+00", SECOND, 0),
    ("2026-11-23 14:30:45.123456+00", SECOND, 123),
    ("2026-11-23 20:00:45+05:30", SECOND, 0),
    ("2026-11-23 10:30:45-04", SECOND, 0),
    # Ruby's Time#to_s, of a local time and of UTC
    ("2026-11-23 15:30:45 +0100", SECOND, 0),
    ("2026-11-23 14:30:45 UTC", SECOND, 0),
    ("2026-11-23 14:30:45utc", SECOND, 0),
    ("2026-11-23 14:30:45 Z", SECOND, 0),
    # SQL Server's datetimeoffset, and .NET's round-trip form
    ("2026-11-23 15:30:45.1234567 +01:00", SECOND, 123),
    ("2026-11-23T15:30:45.1234567+01:00", SECOND, 123),
    # Java's OffsetDateTime and Instant, Go's RFC3339Nano
    ("2026-11-23T15:30:45.123456789+01:00", SECOND, 123),
    ("2026-11-23T14:30:45.9Z", SECOND, 900),
    ("2026-11-23T15:30+01:00", SECOND - 45, 0),
    ("2026-11-23T14:30Z", SECOND - 45, 0),
    ("2026-11-23 15:30 +01", SECOND - 45, 0),
    # what a template or a text file leaves around it
    (" 2026-11-23T14:30:45Z\n", SECOND, 0),
    # a leap second is the second before it, also where an offset has half an hour
    ("2026-11-23T13:59:60Z", SECOND - 1_846, 0),
    ("2026-11-23T19:29:60+05:30", SECOND - 1_846, 0),
]

TIME, OFFSET = "invalid_time", "time_without_offset"

REFUSED = [
    ("2026-11-23T15:30:45", OFFSET, "needs its offset"),
    ("2026-11-23 15:30:45.123", OFFSET, "needs its offset"),
    ("2026-11-23T15:30", OFFSET, "needs its offset"),
    ("2026-11-23 15:30:45 CET", OFFSET, "names a zone"),
    ("2026-11-23 15:30:45 Europe/Berlin", OFFSET, "names a zone"),
    ("2026-11-23T15:30:45[Europe/Berlin]", OFFSET, "names a zone"),
    ("2026-11-23T15:30:45+01:00[Europe/Berlin]", TIME, "name of a zone after its offset"),
    ("2026-11-23 15:30:45 +0100 CET", TIME, "something after its offset"),
    ("2026-11-23T15:30:45Z+01:00", TIME, "something after its offset"),
    ("2026-11-23T15:30:45+01:00:00", TIME, "offset with seconds"),
    ("2026-11-23T15:30:45+24:00", TIME, "beyond 23:59"),
    ("2026-11-23T15:30:45+01:60", TIME, "beyond 23:59"),
    ("2026-11-23T15:30:45+1", TIME, "two digits, or four"),
    ("2026-11-23T15:30:45+1:00", TIME, "two digits, or four"),
    ("2026-11-23T15:30:45\N{MINUS SIGN}01:00", TIME, "a plain + or -"),
    ("2026-11-23 03:30:45 PM", TIME, "without AM or PM"),
    ("2026-11-23T15:30:45,123Z", TIME, "a point"),
    ("2026-11-23T15:30:45.Z", TIME, "1 to 9 digits"),
    ("2026-11-23T15:30:45.1234567890Z", TIME, "1 to 9 digits"),
    ("2026-11-23T15:30.5Z", TIME, "1 to 9 digits"),
    ("2026-11-23", TIME, "needs a time of day"),
    ("2026-11-23Z", TIME, "needs T or one blank"),
    ("2026-11-23  15:30:45Z", TIME, "needs T or one blank"),
    ("2026-11-23T153045Z", TIME, "HH:MM:SS"),
    ("2026-11-23T15Z", TIME, "HH:MM:SS"),
    ("2026-11-23T25:30:45Z", TIME, "beyond 23:59:59"),
    ("2026-11-23T24:00:00Z", TIME, "beyond 23:59:59"),
    ("2026-11-23T15:30:61Z", TIME, "beyond 23:59:59"),
    ("2026-11-23T15:30:60Z", TIME, "no leap second"),
    ("2026-02-30T15:30:45Z", TIME, "no calendar"),
    ("0000-01-01T15:30:45Z", TIME, "no calendar"),
    ("20261123T153045Z", TIME, "year-month-day"),
    ("23.11.2026 15:30:45 +0100", TIME, "year-month-day"),
    ("2026/11/23 15:30:45 +0100", TIME, "year-month-day"),
    ("Mon, 23 Nov 2026 15:30:45 +0100", TIME, "year-month-day"),
    ("Monday, 23-Nov-2026 15:30:45 CET", TIME, "year-month-day"),
    ("2026-W48-1T15:30:45Z", TIME, "year-month-day"),
    ("\N{ARABIC-INDIC DIGIT TWO}026-11-23T15:30:45Z", TIME, "year-month-day"),
    ("yesterday", TIME, "year-month-day"),
    ("", TIME, "year-month-day"),
    ("9" * 1_000_000, TIME, "must be a time such as"),
]


@pytest.mark.parametrize(("written", "second", "milli"), TAKEN)
def test_time_that_can_be_read_in_one_way_only_is_taken_everywhere(written: str, second: int, milli: int) -> None:
    assert fields.instant(written, NOW) == second
    assert fields.moment(written) == parameters.instant(written) == second * 1000 + milli


@pytest.mark.parametrize(("written", "code", "words"), REFUSED)
def test_any_other_time_is_refused_with_what_is_missing_or_too_much(written: str, code: str, words: str) -> None:
    for read in (fields.moment, parameters.instant, lambda text: fields.instant(text, NOW)):
        with pytest.raises(Refusal) as refused:
            read(written)
        assert refused.value.code == code
        assert words in refused.value.message
        assert len(written) < 5 or written not in refused.value.message


@pytest.mark.parametrize("written", [text for text, _, _ in TAKEN if "+" in text])
def test_unescaped_plus_before_an_offset_is_still_a_plus(written: str) -> None:
    assert parameters.instant(written.replace("+", " ")) == parameters.instant(written)


@pytest.mark.parametrize("written", ["2026-11-23T15:30:45 01:00", "2026-11-23 15:30:45 0100", "2026-11-23T15:30:45 01"])
def test_offset_without_sign_is_refused_in_a_body(written: str) -> None:
    with pytest.raises(Refusal) as refused:
        fields.moment(written)
    assert "needs a sign" in refused.value.message


def test_unix_seconds_are_a_number_in_a_body_and_digits_in_a_query() -> None:
    assert fields.moment(SECOND) == parameters.instant(str(SECOND)) == SECOND * 1000
    with pytest.raises(Refusal) as refused:
        fields.moment(str(SECOND))
    assert (refused.value.code, "without quotes" in refused.value.message) == (TIME, True)


@pytest.mark.parametrize(("digits", "code"), [("1795444245123", "time_in_milliseconds"), ("9" * 20, "in_future")])
def test_milliseconds_in_a_query_are_asked_back(digits: str, code: str) -> None:
    with pytest.raises(HttpProblem) as refused:
        parameters.read([("since", digits)], {"since": parameters.instant})
    assert [problem.code for problem in refused.value.errors] == [code]


def test_text_longer_than_any_time_is_not_searched() -> None:
    assert max(len(written.strip()) for written, _, _ in TAKEN) < time_text.LONGEST
