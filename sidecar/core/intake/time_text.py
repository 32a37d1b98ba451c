"""From a text to an instant: the one reader of times for bodies, queries and the command line.

Knows RFC 3339 and what common stacks write beside it; leaves how old or how far ahead a time may be to its caller.
"""

import math
import re
from datetime import datetime

from sidecar.core.instant import UnixMillis, UnixSeconds
from sidecar.core.intake.problem import Refusal

LONGEST = 64
"""No form that is taken has more than 36 characters; what is far longer is not looked at."""

WANTED = "must be a time such as 2026-11-23T15:30:45+01:00, or Unix seconds as a number"

_TAKEN = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::(?:[0-5][0-9]|60)(?:\.[0-9]{1,9})?)?"
    r"(?: ?(?:[Zz]|([Uu][Tt][Cc])|([+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?)))"
)
"""https://www.rfc-editor.org/rfc/rfc3339#section-5.6, and other forms that can be read in one way only.

An offset of two or four digits comes from PostgreSQL, Salesforce, PHP and strftime; a blank before it from Ruby and SQL
Server; UTC from Ruby. Java's OffsetDateTime leaves out seconds that are zero."""


def seconds_of(text: str) -> UnixSeconds:
    """The whole second in which the time lies. Refusal names what is missing, or too much."""
    return UnixSeconds(math.floor(_moment(text).timestamp()))


def millis_of(text: str) -> UnixMillis:
    """The whole millisecond in which the time lies. Refusal names what is missing, or too much."""
    at = _moment(text)
    return UnixMillis(math.floor(at.timestamp()) * 1000 + at.microsecond // 1000)


_BLANK_FOR_PLUS = re.compile(r"(?<=[0-9]) ?( )(?=[0-9]{2}(?::?[0-9]{2})?$)")


def with_plus(text: str) -> str:
    """The text of a query, where an unescaped + reads as a blank; before an offset it can mean nothing else."""
    if " " not in text or len(text) > LONGEST:
        return text
    return text[:11] + _BLANK_FOR_PLUS.sub("+", text[11:], count=1)


def _moment(text: str) -> datetime:
    if len(text) > LONGEST:
        raise Refusal("invalid_time", WANTED)
    found = _TAKEN.fullmatch(text) or _TAKEN.fullmatch(text := text.strip())
    if found is None:
        raise _refusal(text)
    if text[16:19] == ":60":
        return _leap_second(text)
    utc, offset = found.groups()
    local = text if offset else text[: -len(utc or "Z")]
    if " " in text[11:]:
        local = f"{local[:11]}{local[11:].replace(' ', '')}"
    try:
        return datetime.fromisoformat(local if offset else f"{local}Z")
    except ValueError:  # a 30th of February, the year 0
        raise Refusal("invalid_time", "names a day that no calendar has") from None


def _leap_second(text: str) -> datetime:
    """The second before it, since Unix time has no leap seconds. They end an hour, wherever that is."""
    before = _moment(f"{text[:17]}59{text[19:]}")
    if math.floor(before.timestamp() + 1) % 3600:
        raise Refusal("invalid_time", "has a second 60 where no leap second can be")
    return before


_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CLOCK = re.compile(r"[0-9]{2}:[0-9]{2}(?::[0-9]{2})?")
_IN_RANGE = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::(?:[0-5][0-9]|60))?")
_FRACTION = re.compile(r"\.[0-9]{1,9}(?![0-9])")
_OFFSET = re.compile(r" ?(?:[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)")
_WITHOUT_OFFSET = "needs its offset from UTC at the end, such as Z or +01:00"


def _refusal(text: str) -> Refusal:
    """Why the text is refused, without repeating it."""
    if _NUMBER.fullmatch(text):
        return Refusal("invalid_time", "must be without quotes where it is Unix seconds")
    day = _DAY.match(text)
    if day is None:
        return Refusal("invalid_time", f"{WANTED}: the day comes first, as year-month-day")
    if day.end() == len(text):
        return Refusal("invalid_time", "needs a time of day and its offset after the day, such as T15:30:45+01:00")
    if text[day.end()] not in "Tt " or not (clock := _CLOCK.match(text, day.end() + 1)):
        return Refusal("invalid_time", "needs T or one blank after the day, and then the time of day as HH:MM:SS")
    if not _IN_RANGE.fullmatch(clock[0]):
        return Refusal("invalid_time", "has a time of day beyond 23:59:59")
    return _refusal_of_end(clock[0], text[clock.end() :])


def _refusal_of_end(clock: str, end: str) -> Refusal:
    """What is wrong with what follows the time of day."""
    if end.startswith(","):
        return Refusal("invalid_time", "needs a point before the fraction of the second, not a comma")
    if end.startswith("."):
        fraction = _FRACTION.match(end)
        if fraction is None or clock.count(":") < 2:
            return Refusal("invalid_time", "must have 1 to 9 digits as fraction of the second, and only after seconds")
        end = end[fraction.end() :]
    if not end.strip():
        return Refusal("time_without_offset", _WITHOUT_OFFSET)
    if offset := _OFFSET.match(end):
        return _refusal_of_rest(end[offset.end() :])
    return _refusal_of_offset(end.strip())


def _refusal_of_rest(rest: str) -> Refusal:
    """What follows an offset, or nothing where the offset itself is none that there is."""
    if not rest:
        return Refusal("invalid_time", "has an offset beyond 23:59")
    if rest.strip().startswith(("[", "(")):
        return Refusal("invalid_time", "has the name of a zone after its offset: leave it out, the offset says it all")
    if re.fullmatch(r":?[0-9]{2}", rest):
        return Refusal("invalid_time", "has an offset with seconds: hours and minutes are taken, such as +01:00")
    return Refusal("invalid_time", "has something after its offset: leave it out")


def _refusal_of_offset(end: str) -> Refusal:
    """Why the text in the place of the offset is refused."""
    if re.match(r"[AaPp]\.?[Mm]\b", end):
        return Refusal("invalid_time", "must have hours from 00 to 23, without AM or PM")
    if end[0].isdigit():
        return Refusal("invalid_time", "needs a sign before its offset: + is east of UTC, - is west")
    if end[0] in "+-\N{MINUS SIGN}":
        return Refusal("invalid_time", "must have two digits, or four, and a plain + or - as offset, such as +01:00")
    if end[0].isalpha() or end[0] == "[":
        message = "names a zone, which is no offset: write the offset from UTC itself, such as Z or +01:00"
        return Refusal("time_without_offset", message)
    return Refusal("invalid_time", WANTED)
