"""From the bytes of a request to plain JSON values with exact numbers; their meaning is left to the readers."""

import json
from decimal import Decimal, DecimalException
from typing import Any

import msgspec


class BadBody(Exception):
    """These bytes are no JSON text; the message has the reason and the place, never the content."""


def parse(body: bytes) -> Any:
    """The JSON value in `body`: numbers are int or Decimal, just as they were written. BadBody when there is none.

    Of a member that an object repeats, the last one counts.
    """
    try:
        return _QUICK.decode(body)
    except (ValueError, DecimalException, RecursionError):  # msgspec's own errors are ValueErrors
        pass  # and end here: the next error must carry none, since each can hold the whole body
    return _parse_slowly(body)


def _parse_slowly(body: bytes) -> Any:
    """The same for what msgspec refuses: it names no line, and takes no byte order mark and no half of a surrogate."""
    try:
        return _SLOW.decode(_text(body))
    except BadBody:
        raise
    except json.JSONDecodeError as error:
        why = f"the body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
    except RecursionError:
        why = "the body is nested too deep"
    except (ValueError, DecimalException):
        why = "the body holds a number that is too long"
    raise BadBody(why)  # outside of the handlers, as above


def _text(body: bytes) -> str:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        why = f"the body is not UTF-8 at byte {error.start}"
    else:
        if text.strip():
            return text
        why = "the body is empty; a JSON object or array is wanted"
    raise BadBody(why)


def _refuse_constant(name: str) -> None:
    raise BadBody(f"the body is not JSON: it has no {name}")


def _whole(digits: str) -> int | Decimal:
    """A number without point. Python reads no int of thousands of digits; whether it is too large is for its field."""
    return int(digits) if len(digits) < _LONG else Decimal(digits)


_LONG = 100
_QUICK = msgspec.json.Decoder(float_hook=Decimal)
_SLOW = json.JSONDecoder(parse_float=Decimal, parse_int=_whole, parse_constant=_refuse_constant)
