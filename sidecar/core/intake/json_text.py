"""From the bytes of a request to plain JSON values with exact numbers; their meaning is left to the readers."""

import json
from decimal import Decimal, DecimalException
from typing import Any


class BadBody(Exception):
    """These bytes are no JSON text; the message has the reason and the place, never the content."""


def parse(body: bytes) -> Any:
    """The JSON value in `body`: numbers are int or Decimal, just as they were written. BadBody when there is none."""
    try:
        return _DECODER.decode(_text(body))
    except BadBody:
        raise
    except json.JSONDecodeError as error:
        why = f"the body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
    except RecursionError:
        why = "the body is nested too deep"
    except (ValueError, DecimalException):
        why = "the body holds a number that is too long"
    # Outside of the handlers, so that this error does not carry the other one, which holds the whole body.
    raise BadBody(why)


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


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which each member occurs once: of two values it would be unclear which is meant."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise BadBody("an object in the body has a member twice; give each one once")
    return made


def _whole(digits: str) -> int | Decimal:
    """A number without point. Python reads no int of thousands of digits; whether it is too large is for its field."""
    return int(digits) if len(digits) < _LONG else Decimal(digits)


_LONG = 100
_DECODER = json.JSONDecoder(
    parse_float=Decimal, parse_int=_whole, parse_constant=_refuse_constant, object_pairs_hook=_object
)
