"""How one field of a request becomes a value: a reader for each kind, which raises Refusal with what is expected.

Readers know no other field, and of the configuration only their arguments.
"""

import json
import math
import re
from collections.abc import Callable, Collection
from decimal import ROUND_HALF_UP, Decimal
from itertools import chain, islice
from typing import Any, Literal

from sidecar.core.currencies import CURRENCIES
from sidecar.core.did_you_mean import did_you_mean
from sidecar.core.instant import MAX_AGE_SECONDS, UnixMillis, UnixSeconds, millis, seconds
from sidecar.core.intake import click_ids, hashing, time_text
from sidecar.core.intake.invisible_characters import trimmed, without_whitespace
from sidecar.core.intake.problem import Near, Refusal, listed

Consent = Literal["granted", "denied"]

MAX_AHEAD_SECONDS = 300
"""Clocks differ; what lies further ahead is a mistake."""

MAX_META_BYTES = 2_048

_NUMBER = (int, Decimal)
"""What a number of JSON comes as; a union in its place is made again by each call."""

_UNSTORABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""SQLite ends a text at NUL, a lone surrogate has no UTF-8 form, and the others are mistakes in an id."""

LONGEST_TEXT = 8_192
"""What has more characters is refused, or left out, before anything searches, decodes or normalises it."""


def any_length(value: object) -> str:
    """A text that is not empty; the caller checks its length before it reads on."""
    if not isinstance(value, str):
        raise Refusal("not_text", "must be a text in quotes")
    if not value:
        raise Refusal("empty", "must not be empty: leave it out, or give null")
    return value


def string(value: object) -> str:
    """A text that is not empty, and short enough to be processed without delaying other requests."""
    if isinstance(value, str) and 0 < len(value) <= LONGEST_TEXT:
        return value
    any_length(value)
    raise Refusal("too_long", f"must have at most {LONGEST_TEXT} characters")


def text(most: int) -> Callable[[object], str]:
    """A text of 1 to `most` characters once the blanks around it are off, none of them a control character."""

    def read(value: object) -> str:
        given = trimmed(string(value))
        if not given:
            raise Refusal("empty", "must hold more than blanks: leave it out, or give null")
        if len(given) > most:
            raise Refusal("too_long", f"must have at most {most} characters")
        if _UNSTORABLE.search(given):
            raise Refusal("unprintable", "must not hold control characters")
        return given

    return read


visitor_id = text(200)
"""The app's own id for a browser or person; one reader, so that clicks and conversions mean the same visitor."""


def one_of(known: Collection[str], code: str, section: str) -> Callable[[object], str]:
    """One of the names that the configuration knows in `section`."""

    def read(value: object) -> str:
        name = string(value)
        if name in known or (name := trimmed(name)) in known:
            return name
        message = f"is not one of the configured {section}: {listed(known)}"
        raise Refusal(code, message, Near(name, known, did_you_mean))

    return read


def flag(value: object) -> bool:
    """True or false."""
    if isinstance(value, bool):
        return value
    raise Refusal("not_a_boolean", "must be true or false, without quotes")


def consent(value: object) -> Consent:
    """Whether the person agreed."""
    if value == "granted" or value == "denied":
        return value
    raise Refusal("invalid_consent", "must be granted or denied")


def currency(value: object) -> str:
    """An ISO 4217 code, in upper case."""
    code = string(value).upper()
    if code not in CURRENCIES:
        raise Refusal("unknown_currency", "must be a currency code of ISO 4217, such as USD")
    return code


def click_id(value: object) -> str:
    """A click id in any of its forms; its 32 hex digits."""
    found = click_ids.normalise(string(value))
    if found is None:
        message = "must be Microsoft's click id, 32 hexadecimal digits with or without dashes; no other platform's"
        raise Refusal("invalid_msclkid", message)
    return found


def sha256(value: object) -> str:
    """A hash that the caller has taken, in lower case."""
    given = string(value)
    found = hashing.given_sha256(given)
    if found is None and without_whitespace(given).lower() == hashing.EMPTY_SHA256:
        raise Refusal("hash_of_empty", "is the hash of an empty text: leave it out where there is nothing to hash")
    if found is None:
        raise Refusal("invalid_hash", "must be a SHA-256 as 64 hexadecimal digits")
    return found


_LARGEST = 999_999_999_999
_THOUSANDTH = Decimal("0.001")
_MOST_CREDIT_DECIMALS = 18  # floats never need more
_SMALLEST_CREDIT = Decimal((0, (1,), -_MOST_CREDIT_DECIMALS))


def amount(value: object) -> Decimal:
    """A sum of money with the three decimals that Microsoft takes; more of them are rounded half up."""
    number = _number(value)
    if number < 0:
        raise Refusal("negative", "must not be negative: a refund is an adjustment of the conversion")
    if number > _LARGEST:
        raise Refusal("too_large", f"must be at most {_LARGEST}")
    return abs(number.quantize(_THOUSANDTH, ROUND_HALF_UP))


def credit(value: object) -> Decimal:
    """The share of a conversion, more than 0 and at most 1."""
    number = _number(value)
    if not 0 < number <= 1:
        raise Refusal("invalid_credit", "must be more than 0 and at most 1")
    rounded = number.quantize(_SMALLEST_CREDIT)  # 1e-999999 would be written out digit by digit
    if rounded != number:
        raise Refusal("too_many_decimals", f"must have at most {_MOST_CREDIT_DECIMALS} decimals")
    return rounded


def _number(value: object) -> Decimal:
    """JSON numbers come as int or Decimal. Floats are refused: they are no longer exact."""
    if isinstance(value, bool) or not isinstance(value, _NUMBER):
        raise Refusal("not_a_number", "must be a number, without quotes")
    number = value if isinstance(value, Decimal) else Decimal(value)
    if not number.is_finite():
        raise Refusal("not_a_number", "must be a finite number")
    return number


def instant(value: object, now: UnixMillis, of: str = "conversion") -> UnixSeconds:
    """The whole second of RFC 3339 text or Unix seconds, not older than 90 days and not more than 5 minutes ahead.

    `of` is what the time is one of.
    """
    at = time_text.seconds_of(value) if isinstance(value, str) else _seconds_of_number(value)
    age = seconds(now) - at
    if age > MAX_AGE_SECONDS:
        raise Refusal("too_old", f"is more than 90 days ago, and Microsoft takes no {of} that old")
    if age < -MAX_AHEAD_SECONDS:
        raise Refusal("in_future", "is more than 5 minutes ahead: check the clock, and the time zone")
    return at


def _seconds_of_number(value: object) -> UnixSeconds:
    if isinstance(value, bool) or not isinstance(value, _NUMBER):
        raise Refusal("invalid_time", time_text.WANTED)
    if isinstance(value, Decimal) and not value.is_finite():
        raise Refusal("invalid_time", time_text.WANTED)
    if value < 0:
        raise Refusal("too_old", "is before 1970: Unix seconds are wanted")
    if value >= 10**13:
        raise Refusal("in_future", "is thousands of years ahead: Unix seconds are wanted")
    if value >= 10**12:
        raise Refusal("time_in_milliseconds", "has 13 digits: milliseconds? Unix seconds are wanted, divide by 1000")
    return UnixSeconds(math.floor(value))


def moment(value: object) -> UnixMillis:
    """The whole millisecond of RFC 3339 text or the second of a Unix time, of any age."""
    return time_text.millis_of(value) if isinstance(value, str) else millis(_seconds_of_number(value))


_compact = json.JSONEncoder(default=float, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
"""Made once: `json.dumps` with other than its defaults makes one each time: 17 us for small notes in place of 2."""


def meta(value: Any) -> str:
    """The caller's own notes as compact JSON text; fractions in it as exact as a double is."""
    if not isinstance(value, dict):
        raise Refusal("not_an_object", "must be an object")
    if _is_longer(value, MAX_META_BYTES):
        raise Refusal("too_long", f"must have at most {MAX_META_BYTES} bytes as JSON")
    try:
        written = _compact(value)
        size = len(written.encode())
    except UnicodeEncodeError:
        raise Refusal("unprintable", "must not hold half a surrogate pair") from None
    except (ValueError, OverflowError, RecursionError):
        raise Refusal("invalid_meta", "holds a number too large, or is nested too deep") from None
    if size > MAX_META_BYTES:
        raise Refusal("too_long", f"must have at most {MAX_META_BYTES} bytes as JSON, and has {size}")
    return written


def _is_longer(value: Any, room: int) -> bool:
    """Whether it surely has more than `room` bytes as JSON; looks at no more of it than that takes."""
    todo = [value]
    while todo and room >= 0:
        one = todo.pop()
        room -= len(one) if isinstance(one, str) else 1
        if isinstance(one, dict):
            todo += islice(chain.from_iterable(one.items()), room + 1)
        elif isinstance(one, list):
            todo += islice(one, room + 1)
    return room < 0
