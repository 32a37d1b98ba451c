"""What every answer has beside its errors, from any sender and in any spelling."""

import json

import pytest

from sidecar.microsoft.reply import HttpReply


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ({"Retry-After": "60"}, 60),
        ({"RETRY-AFTER": " 60 "}, 60),
        ({"Retry-After": "0"}, 1),
        ({"Retry-After": "99999999999999999999"}, 900),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "1.5"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "٣"}, None),
        ({}, None),
        ({"Retry-After": "Mon, 23 Nov 2026 14:06:00 GMT", "Date": "Mon, 23 Nov 2026 14:05:00 GMT"}, 60),
        ({"Retry-After": "Mon, 23 Nov 2026 14:06:00 -0000", "date": "Mon, 23 Nov 2026 14:05:00 GMT"}, 60),
        ({"Retry-After": "Mon, 23 Nov 2026 14:04:00 GMT", "Date": "Mon, 23 Nov 2026 14:05:00 GMT"}, 1),
        ({"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT", "Date": "Mon, 23 Nov 2026 14:05:00 GMT"}, 900),
        ({"Retry-After": "Mon, 23 Nov 2026 14:06:00 GMT"}, None),
        ({"Retry-After": "Mon, 99 Nov 2026 14:06:00 GMT", "Date": "Mon, 23 Nov 2026 14:05:00 GMT"}, None),
        ({"Retry-After": "Mon, 23 Nov 2026 14:06:00 GMT", "Date": "yesterday"}, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date_within_a_second_and_15_minutes(
    header: dict[str, str], seconds: float | None
) -> None:
    assert HttpReply(429, header, b"").retry_after_seconds == seconds


@pytest.mark.parametrize("name", ["TrackingId", "trackingid", "TRACKINGID"])
def test_the_tracking_id_is_read_from_the_header_before_the_body(name: str) -> None:
    body = b'{"TrackingId":"of-the-body","Errors":[{"Code":109}]}'
    assert HttpReply(401, {name: "of-the-header"}, body).tracking_id == "of-the-header"
    assert HttpReply(401, {name: " "}, body).tracking_id == "of-the-body"
    assert HttpReply(401, {}, body).tracking_id == "of-the-body"


def test_details_are_read_in_both_spellings() -> None:
    errors = [{"Message": "No.", "Detail": "why"}, {"Message": "No.", "Details": "why"}, {"Details": "why"}]
    read = HttpReply(400, {}, json.dumps({"Errors": errors}).encode()).fault()
    assert [error.fault.message for error in read] == ["No. (why)", "No. (why)", "why"]


def test_texts_are_fit_for_a_log_line_and_a_column() -> None:
    error = {"Code": 10**12, "ErrorCode": "Drop\ntable; \ud800Über" * 99, "Message": "a\r\nb\u0000\ud83d\u202e" * 999}
    [read] = HttpReply(400, {}, json.dumps({"Errors": [error]}).encode()).fault()
    assert read.fault.error_code is None
    assert read.fault.error.startswith("Droptableber")
    assert len(read.fault.error) <= 100
    assert (read.fault.message or "").startswith("a b a b")
    assert len(read.fault.message or "") <= 500
    assert (read.fault.error + (read.fault.message or "")).encode().decode().isprintable()
