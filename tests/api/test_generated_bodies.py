"""Generated bodies: the answer is always one of eight statuses, and never 500.

`SIDECAR_GENERATED_BODIES` sets how many bodies are tried; 10,000 in the long form.
"""

import json
import os
import time
from collections import Counter
from typing import Any

import pytest
from api_kit import MSCLKID, OpenApi
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from promises import Show

LONG = os.environ.get("SIDECAR_GENERATED_BODIES")
BODIES = int(LONG or 300)

STATUSES = {200, 202, 207, 400, 409, 413, 415, 422}

FIELDS = (
    "event order_id time value currency msclkid landing_url visitor_id user consent account external_attribution meta "
    "email phone email_sha256 phone_sha256 country credit model"
)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["", "\x00", "\ud800", "9" * 5_000, -0.0, 1e308, 10**400, 1e-400]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)

plausible: dict[str, st.SearchStrategy[Any]] = {
    "event": st.sampled_from(["purchase", "lead", "trial", "Purchase", "purchse"]),
    "order_id": st.sampled_from(["1", "2", "3"]) | st.text(max_size=5),
    "time": st.sampled_from([1_795_444_000, 1_795_444_000_000, "2026-11-23T15:30:45+01:00", "2026-11-23T15:30:45", 1.5])
    | st.datetimes().map(lambda at: f"{at.isoformat()}Z"),
    "value": st.sampled_from([0, 1.5, 59.97000000000001, 999_999_999_999, 1e12, -1, "5"]) | st.floats(),
    "currency": st.sampled_from(["USD", "eur", "XXX", "€"]),
    "msclkid": st.sampled_from([MSCLKID, f"_uet{MSCLKID}", f"{MSCLKID}-1", MSCLKID[:-1]]),
    "landing_url": st.sampled_from([f"https://shop.example/?msclkid={MSCLKID}", "https://[bad", "/?msclkid=%ff"]),
    "user": st.fixed_dictionaries(
        {},
        optional={
            "email": st.emails() | st.text(max_size=20),
            "phone": st.sampled_from(["+1 (425) 555-1234", "0", "+", "00441632960000"]) | st.text(max_size=20),
            "email_sha256": st.sampled_from(["a" * 64, "A" * 64, "a" * 63]),
            "country": st.sampled_from(["US", "de", "ZZ"]),
        },
    ),
    "consent": st.sampled_from(["granted", "denied", "maybe"]),
    "external_attribution": st.fixed_dictionaries(
        {}, optional={"credit": st.floats(-1, 2), "model": st.text(max_size=5)}
    ),
    "meta": st.dictionaries(st.text(max_size=5), json_values, max_size=3),
}

optional = {name: values | json_values for name, values in plausible.items() if name != "event"}
conversions = st.fixed_dictionaries({"event": plausible["event"] | json_values}, optional=optional)
good_conversions = st.fixed_dictionaries(
    {"event": st.just("purchase"), "msclkid": st.just(MSCLKID)},
    optional={"order_id": st.sampled_from(["1", "2", "3"]), "value": st.integers(1, 3), "meta": plausible["meta"]},
)
strange_conversions = st.dictionaries(st.sampled_from(FIELDS.split()) | st.text(max_size=8), json_values, max_size=6)
items = good_conversions | conversions | strange_conversions | json_values


@st.composite
def damaged(draw: st.DrawFn, texts: st.SearchStrategy[bytes]) -> bytes:
    """A text with something cut out or put in."""
    text = draw(texts)
    start, end = sorted((draw(st.integers(0, len(text))), draw(st.integers(0, len(text)))))
    return text[:start] + draw(st.binary(max_size=4)) + text[end:]


json_texts = (items | st.lists(items, max_size=6)).map(lambda value: json.dumps(value).encode())
bodies = json_texts | json_texts | damaged(json_texts) | st.binary(max_size=200)

visible = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
odd_headers = st.fixed_dictionaries(
    {},
    optional={
        "Content-Type": st.sampled_from(["application/json", "application/json; charset=x", "text/plain"]),
        "Content-Encoding": st.sampled_from(["identity", "gzip"]),
        "Idempotency-Key": visible,
        "X-Request-Id": visible,
    },
)
headers = st.just({}) | st.just({}) | odd_headers


def generated(number: int) -> list[tuple[bytes, dict[str, str], str]]:
    """Generated requests: body, headers and path."""
    requests: list[tuple[bytes, dict[str, str], str]] = []

    # The short form tries the same bodies each time: it guards, the long form searches.
    @settings(
        max_examples=number,
        deadline=None,
        database=None,
        derandomize=LONG is None,
        suppress_health_check=list(HealthCheck),
    )
    @given(bodies, headers, st.sampled_from(["/v1/conversions", "/v1/conversions", "/v1/validate"]))
    def collect(body: bytes, headers: dict[str, str], path: str) -> None:
        requests.append((body, headers, path))

    collect()
    return requests


@pytest.mark.promise("C7")
async def test_any_body_gets_one_of_the_documented_statuses(open_api: OpenApi, shown: Show) -> None:
    """10,000 generated bodies give only 200, 202, 207, 400, 409, 413, 415 or 422, never 500."""
    api = await open_api()
    seen: Counter[int] = Counter()
    for body, extra, path in generated(BODIES):
        answer = await api.post(body, path=path, headers=extra)
        assert answer.status in STATUSES, (path, extra, body, answer.text)
        assert isinstance(answer.json, dict)
        seen[answer.status] += 1
    assert set(seen) >= STATUSES - {413}, seen
    odd = sum(number for status, number in seen.items() if status not in STATUSES)
    shown(f"{seen.total():,} generated bodies", odd, ", ".join(f"{seen[status]} x {status}" for status in sorted(seen)))


MIB = 2**20
LARGE = 2 * MIB - 100
MOST_SECONDS = 0.5
"""Per MiB; ten times the aim, since a coverage tool or a slow machine takes its time."""


def filled(start: bytes, again: bytes, end: bytes) -> bytes:
    """`again` as often as it fits into a body."""
    return start + again * ((LARGE - len(start) - len(end)) // len(again)) + end


NAMED = b'{"event":"purchase","msclkid":"%b"' % MSCLKID.encode()
HOSTILE = {
    "objects in objects": b'{"a":' * 300_000,
    "arrays in arrays": b"[" * 1_000_000 + b"]" * 1_000_000,
    "arrays in meta": NAMED + b',"meta":{"a":' + b"[" * 900 + b"]" * 900 + b"}}",
    "150,000 members": b"{%b}" % b",".join(b'"%d":1' % number for number in range(150_000)),
    "the same member": filled(b"{", b'"a":1,', b'"a":1}'),
    "members of an item": filled(NAMED + b",", b'"value":1,', b'"value":1}'),
    "digits": filled(b'{"event":"purchase","value":', b"9", b"}"),
    "digits behind the point": filled(b'{"event":"purchase","value":0.', b"3", b"}"),
    "digits of a time": filled(b'{"event":"purchase","time":', b"1", b"}"),
    "an exponent": b'{"event":"purchase","value":1e400}',
    "a huge exponent": b'{"event":"purchase","value":1e999999999}',
    "a tiny exponent": b'{"event":"purchase","value":1e-999999999}',
    "huge exponents": filled(b"[", b"1e99999,", b"1]"),
    "no number": b'{"event":"purchase","value":NaN}',
    "infinities": filled(b"[", b"-Infinity,", b"1]"),
    "half a letter": b'{"event":"purchase","order_id":"\\ud800","msclkid":"%b"}' % MSCLKID.encode(),
    "half letters": filled(b'{"event":"', b"\\udfff", b'"}'),
    "escapes": filled(b'{"event":"purchase","user":{"email":"', b"\\u0000", b'"}}'),
    "a long e-mail": filled(b'{"event":"purchase","user":{"email":"', b"a+", b'@b.example"}}'),
    "many at signs": filled(b'{"event":"purchase","user":{"email":"', b"@.", b'"}}'),
    "a long phone": filled(b'{"event":"purchase","user":{"country":"US","phone":"', b"1(", b'"}}'),
    "letters that grow": filled(b'{"event":"purchase","user":{"email":"', "\ufdfa".encode(), b'@b.example"}}'),
    "accents on one letter": filled(b'{"event":"purchase","user":{"email":"a', "\u0301".encode(), b'@b.example"}}'),
    "a long address": filled(b'{"event":"purchase","landing_url":"https://a.example/?', b"&", b'"}'),
    "a long click id": filled(b'{"event":"purchase","msclkid":"_uet', b"a-", b'"}'),
    "a long event": filled(b'{"event":"', b"purchase", b'"}'),
    "a thousand wrong items": b"[%b]" % b",".join([b'{"evnt":1,"valeu":2,"ordr_id":3}'] * 1_000),
    "a million items": filled(b"[", b"1,", b"1]"),
    "blanks": filled(b"", b" ", b"{}"),
    "nothing but blanks": filled(b"", b"\n", b""),
    "no end": filled(b'{"event":"', b"a", b""),
    "zeros": filled(b"", b"\x00", b""),
}


@pytest.mark.promise("C7")
async def test_body_made_to_cost_is_answered_like_any_other(open_api: OpenApi, shown: Show) -> None:
    """Depth, members, digits, letters: within the size that is taken, none costs much."""
    api = await open_api()
    odd: list[str] = []
    worst = 0.0
    for name, body in HOSTILE.items():
        started = time.process_time()  # CPU, which other processes do not lengthen; the client's is in it
        answers = [await api.post(body, path=path) for path in ("/v1/conversions", "/v1/validate")]
        worst = max(worst, (time.process_time() - started) / (len(answers) * max(len(body), MIB) / MIB))
        odd += [name for answer in answers if answer.status not in STATUSES]
    shown(f"{2 * len(HOSTILE)} bodies made to cost", len(odd), f"at most {1_000 * worst:.0f} ms of CPU per MiB")
    assert worst < MOST_SECONDS
