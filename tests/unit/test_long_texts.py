"""Each text that a call takes has a bound, and no more than that of it is ever copied, searched or normalised."""

import json
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from intake_kit import CLICK, NOW, RULES

from sidecar.api import log_query, status
from sidecar.api.erasures import read_wanted
from sidecar.api.goals import APPLY, read_asked
from sidecar.api.http.problem import HttpProblem
from sidecar.api.http.reply import encode
from sidecar.api.http.request_id import request_id
from sidecar.api.replay_query import read_wish
from sidecar.api.request import query as parameters
from sidecar.api.validation import validation
from sidecar.core.conversion import Kind
from sidecar.core.erasure import erasure_number
from sidecar.core.intake import adjustment as adjustment_intake
from sidecar.core.intake import click as capture
from sidecar.core.intake import conversion as intake
from sidecar.core.intake import fields
from sidecar.core.intake.click import CaptureRules
from sidecar.core.intake.conversion import Accepted
from sidecar.core.intake.invisible_characters import trimmed
from sidecar.core.record import seq_of

MEGABYTE = 1_000_000

MOST_BYTES = 96 * 1024
"""What reading may take: far less than one copy of the text."""

WORST = {
    "per cent signs": "%",
    "escapes": "%25",
    "a click id in vain": "https://x/?msclkid=%%%%",
    "parameters": "&msclkid=a",
    "ampersands in HTML": "&amp;",
    "combining accents": "a\N{COMBINING ACUTE ACCENT}\N{COMBINING CEDILLA}",
    "ligatures": "\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}",
    "zero width": "\N{ZERO WIDTH SPACE}",
    "digits": "9",
    "plus signs": "+",
    "blanks": " ",
    "quotes": '"',
    "dots": ".",
    "at signs": "a@b.",
    "letters that grow": "\N{GREEK SMALL LETTER IOTA WITH DIALYTIKA AND TONOS}",
    "zeros in brackets": "(0)",
}


def filled(worst: str) -> str:
    return worst * (MEGABYTE // len(worst))


def placed(path: str, value: object) -> dict[str, Any]:
    """`a.b` becomes {"a": {"b": value}}."""
    for name in reversed(path.split(".")):
        value = {name: value}
    assert isinstance(value, dict)
    return value


CONVERSION = {"event": "lead", "order_id": "A-1", "time": "2026-11-18T11:06:40Z", "msclkid": CLICK}
ADJUSTMENT = {"type": "retract", "order_id": "A-1", "event": "lead"}
CLICKED = {"visitor_id": "v-1", "msclkid": CLICK}

Read = Callable[[object], object]

read_conversion = partial(intake.read, now=NOW, rules=RULES)
read_adjustment = partial(adjustment_intake.read, now=NOW, rules=RULES)
read_click = partial(capture.read_click, now=NOW, rules=CaptureRules(("default",)))

USER = ("email", "phone", "email_sha256", "phone_sha256", "country", "unknown")

ITEMS: dict[str, tuple[Read, dict[str, Any], tuple[str, ...]]] = {
    "conversions": (
        read_conversion,
        CONVERSION,
        (
            *sorted(intake.SHAPE.names - {"landing_url", "user", "external_attribution"}),
            *(f"user.{name}" for name in USER),
            *("user", "external_attribution", "external_attribution.credit", "external_attribution.model"),
            *("meta.note", "meta.notes.note", "unknown"),
        ),
    ),
    "conversions without msclkid": (read_conversion, CONVERSION | {"msclkid": None}, ("landing_url",)),
    "adjustments": (read_adjustment, ADJUSTMENT, (*sorted(adjustment_intake.SHAPE.names), "unknown")),
    "adjustments of others": (
        read_adjustment,
        {"type": "retract"},
        (
            *(f"original.{name}" for name in sorted(adjustment_intake.ORIGINAL.names)),
            *(f"original.user.{name}" for name in USER),
        ),
    ),
    "clicks": (read_click, CLICKED, (*sorted(capture.SHAPE.names - {"url"}), "unknown")),
    "clicks without msclkid": (read_click, {"visitor_id": "v-1"}, ("url",)),
}

FIELDS = [(call, name) for call, (_, _, names) in ITEMS.items() for name in names]


def copied(work: Callable[[], object]) -> int:
    """The most bytes that it held at a time."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module", autouse=True)
def _warm() -> Iterator[None]:
    """Load and cache first, so that no measured text pays for it."""
    read_conversion(CONVERSION | {"user": {"email": "a@b.example", "phone": "+1 425 555 1234", "country": "US"}})
    read_conversion(CONVERSION | {"user": {"phone": "425 555 1234", "country": "US"}, "unknown": 1, "event": "laed"})
    yield


@pytest.mark.parametrize("worst", WORST)
@pytest.mark.parametrize(("call", "name"), FIELDS)
def test_no_field_of_an_item_copies_a_long_text(call: str, name: str, worst: str) -> None:
    read, good, _ = ITEMS[call]
    item = good | placed(name, filled(WORST[worst]))
    assert copied(lambda: read(item)) <= MOST_BYTES


@pytest.mark.parametrize("worst", WORST)
@pytest.mark.parametrize("name", [*(f"user.{name}" for name in USER), "landing_url", "user", "visitor_id"])
def test_validation_copies_no_long_text(name: str, worst: str) -> None:
    item = CONVERSION | {"msclkid": None} | placed(name, filled(WORST[worst]))
    assert copied(lambda: validation(read_conversion(item), item, RULES)) <= MOST_BYTES


@pytest.mark.parametrize("name", ["email", "phone"])
def test_validation_shows_no_steps_of_a_long_identifier_beside_a_usable_click(name: str) -> None:
    item = CONVERSION | {"user": {name: "1" * 321}}
    shown = validation(read_conversion(item), item, RULES)
    assert [warning.code for warning in shown["warnings"]] == [f"{name}_unusable"]
    assert not shown["normalized"]["steps"][name]


HEADERS_AND_QUERIES: dict[str, Callable[[str], object]] = {
    "Idempotency-Key": lambda text: read_conversion(CONVERSION, idempotency_key=text),
    "Idempotency-Key of an adjustment": lambda text: read_adjustment(ADJUSTMENT, idempotency_key=text),
    "X-Request-Id": lambda text: request_id(text, lambda: "new"),
    "Last-Event-ID": lambda text: log_query.read_request([("follow", "1")], text),
    "id of a conversion": lambda text: seq_of(Kind.CONVERSION, text),
    "id of an erasure": erasure_number,
    "id of an order": trimmed,
    **{
        f"conversions?{name}": lambda text, name=name: status.read_query([(name, text)])  # type: ignore[misc]
        for name in ("order_id", "event", "state", "account", "since", "limit", "cursor")
    },
    **{
        f"logs?{name}": lambda text, name=name: log_query.read_request([(name, text)], None)  # type: ignore[misc]
        for name in ("level", "name", "order_id", "conversion_id", "since", "until", "follow")
    },
    "conversions? with a name": lambda text: status.read_query([(text, "1")]),
}

REQUEST_LINE = 8_190
"""As much as a line of a request may have: aiohttp refuses more."""


@pytest.mark.parametrize("worst", WORST)
@pytest.mark.parametrize("place", HEADERS_AND_QUERIES)
def test_no_header_query_or_path_is_worked_on_beyond_its_bound(place: str, worst: str) -> None:
    text = (WORST[worst] * REQUEST_LINE)[:REQUEST_LINE]

    def work() -> None:
        try:
            HEADERS_AND_QUERIES[place](text)
        except HttpProblem as problem:
            assert len(encode(problem.body)) < 4_096

    assert copied(work) <= MOST_BYTES


BODIES: dict[str, tuple[Callable[[bytes], object], dict[str, Any], tuple[str, ...]]] = {
    "erasures": (
        lambda body: read_wanted(body, None),
        {},
        ("email", "phone", "country", "visitor_id", "order_id", "retract"),
    ),
    "replay": (read_wish, {"state": "dead"}, ("state", "reason", "event", "since", "dry_run", "cursor")),
    "goals": (lambda body: read_asked(body, APPLY, ["default"]), {}, ("account", "goals")),
}
SMALL_BODY = 64 * 1024
"""What these calls take at most."""


@pytest.mark.parametrize("worst", WORST)
@pytest.mark.parametrize(("call", "name"), [(call, name) for call, (_, _, names) in BODIES.items() for name in names])
def test_no_field_of_a_small_body_is_worked_on_beyond_its_bound(call: str, name: str, worst: str) -> None:
    read, good, _ = BODIES[call]
    text = WORST[worst] * ((SMALL_BODY - 200) // (len(json.dumps(WORST[worst], ensure_ascii=False).encode()) - 2))
    body = json.dumps(good | {name: text}, ensure_ascii=False).encode()
    assert len(body) <= SMALL_BODY

    def work() -> None:
        with pytest.raises(HttpProblem):
            read(body)

    assert copied(work) <= 12 * SMALL_BODY  # the body once as bytes, and as text of up to four bytes a letter


def test_long_landing_address_costs_its_click_id_and_not_the_sale() -> None:
    long = f"https://shop.example/?{'a' * fields.LONGEST_TEXT}&msclkid={CLICK}"
    result = read_conversion(CONVERSION | {"msclkid": None, "landing_url": long, "visitor_id": "v-1"})
    assert isinstance(result, Accepted)
    assert result.conversion.msclkid is None
    assert [(warning.field, "8192 characters" in warning.message) for warning in result.warnings] == [
        ("landing_url", True)
    ]


def test_landing_address_of_just_that_length_is_searched() -> None:
    tail = f"&msclkid={CLICK}"
    url = "https://shop.example/?".ljust(fields.LONGEST_TEXT - len(tail), "a") + tail
    result = read_conversion(CONVERSION | {"msclkid": None, "landing_url": url})
    assert isinstance(result, Accepted)
    assert (result.conversion.msclkid, result.warnings) == (CLICK, ())


def test_long_email_or_phone_is_left_out_with_a_warning_and_the_sale_stays() -> None:
    for name in ("email", "phone"):
        result = read_conversion(CONVERSION | {"user": {name: "1" * 321}})
        assert isinstance(result, Accepted)
        assert [(warning.code, warning.field) for warning in result.warnings] == [(f"{name}_unusable", f"user.{name}")]


def test_parameter_of_a_query_may_be_long_only_in_blanks() -> None:
    assert parameters.text(" " * 500 + "A-1 ") == "A-1"
