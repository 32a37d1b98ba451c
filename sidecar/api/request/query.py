"""Query strings: one reader per parameter, every problem found at once. The callers list the parameters."""

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from sidecar.api.http.problem import invalid
from sidecar.core.did_you_mean import did_you_mean
from sidecar.core.instant import UnixMillis
from sidecar.core.intake import fields, time_text
from sidecar.core.intake.invisible_characters import trimmed
from sidecar.core.intake.problem import Problem, Refusal, listed

MAX_LIMIT = 1_000
MAX_TEXT = 200
_LONGEST_CURSOR = 64

Readers = Mapping[str, Callable[[str], Any]]


def read(given: Iterable[tuple[str, str]], readers: Readers) -> dict[str, Any]:
    """The value of each parameter that is given; HttpProblem with everything that is wrong with them."""
    found: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, text in given:
        try:
            if name in found:
                raise Refusal("repeated", "is given twice")
            found[name] = _reader_of(name, readers)(text)
        except Refusal as refusal:
            problems.append(Problem(name[:100], refusal.code, refusal.message))
    if problems:
        raise invalid(problems)
    return found


def _reader_of(name: str, readers: Readers) -> Callable[[str], Any]:
    if name in readers:
        return readers[name]
    close = did_you_mean(name, readers)
    hint = f"did you mean {close}?" if close else f"known are {listed(readers)}"
    raise Refusal("unknown_parameter", f"is not known; {hint}")


def text(given: str) -> str:
    """Something to compare with, without the blanks around it, as ids are stored."""
    wanted = trimmed(given) if len(given) <= fields.LONGEST_TEXT else given
    if not 0 < len(wanted) <= MAX_TEXT:
        raise Refusal("invalid_length", f"must have 1 to {MAX_TEXT} characters, or be left out")
    return wanted


_UNIX_SECONDS = re.compile(r"[0-9]{1,64}(?:\.[0-9]{1,64})?")


def instant(given: str) -> UnixMillis:
    """A time with its offset, as in bodies, or Unix seconds; before the offset a + may have become a blank."""
    if _UNIX_SECONDS.fullmatch(given):
        return fields.moment(Decimal(given))
    return time_text.millis_of(time_text.with_plus(given))


def limit(given: str) -> int:
    """How many items a page has."""
    if not re.fullmatch(r"[0-9]{1,4}", given, re.ASCII) or not 1 <= int(given) <= MAX_LIMIT:
        raise Refusal("invalid_limit", f"must be a whole number from 1 to {MAX_LIMIT}")
    return int(given)


def to_cursor(seq: int | None) -> str | None:
    """Where the next page starts, as an opaque text; None at the end."""
    return None if seq is None else base64.urlsafe_b64encode(f"before {seq}".encode()).decode().rstrip("=")


def cursor(given: str) -> int:
    """The number in a cursor."""
    if len(given) > _LONGEST_CURSOR:
        given = ""
    try:
        plain = base64.b64decode(given + "=" * (-len(given) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        plain = ""
    found = re.fullmatch(r"before ([0-9]{1,18})", plain)
    if found is None:
        raise Refusal("invalid_cursor", "must be the next_cursor of the page before")
    return int(found[1])
