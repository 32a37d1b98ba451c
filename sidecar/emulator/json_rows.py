"""Reads a request's list of rows: each as a value, and as its exact text."""

import json
import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

from sidecar.emulator.error_bodies import FaultShape, Refused

_SPACE = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True, slots=True)
class Row:
    """One item of the list."""

    raw: str
    value: Any
    """Numbers with a fraction are `Decimal`, so that no digit is lost."""


def read_rows(body: bytes, name: str) -> list[Row] | None:
    """The rows of the list `name` in the object `body`; None when the list is missing or null.

    Raises Refused with 100 for an empty body, and with 201 for anything else than such an object.
    """
    text = _text(body)
    try:
        return _Reader(text).rows_of(name)
    except (ValueError, IndexError, RecursionError) as error:
        raise Refused("ApiInputValidationError", detail=f"not readable as JSON: {error}") from None


def read_object(body: bytes) -> dict[str, Any]:
    """The request as an object. Raises Refused with 100 or 201 when it is none."""
    try:
        value = _DECODER.decode(_text(body))
    except (ValueError, RecursionError) as error:
        raise Refused("ApiInputValidationError", detail=f"not readable as JSON: {error}") from None
    if not isinstance(value, dict):
        raise Refused("ApiInputValidationError", detail="a JSON object is expected")
    return value


def _text(body: bytes) -> str:
    try:
        text = body.decode()
    except ValueError:
        raise Refused("ApiInputValidationError", detail="not UTF-8") from None
    if not text.strip() or text.strip() == "null":
        raise Refused("NullRequest", FaultShape.AD_API)
    return text


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


MAX_NUMBER_CHARACTERS = 400
"""Characters of a number; the largest double has 309 digits."""


def _decimal(text: str) -> Decimal:
    """A number within the range of a double, so that it can become an integer; one below that range is 0."""
    if len(text) > MAX_NUMBER_CHARACTERS or math.isinf(size := float(text)):
        raise ValueError("a number is too large or too long")
    return Decimal(text) if size else Decimal(0)


def _whole(text: str) -> int:
    return int(_decimal(text))


_DECODER = json.JSONDecoder(parse_float=_decimal, parse_int=_whole, parse_constant=_no_constant)


@dataclass(slots=True)
class _Reader:
    """Reads the outermost object and the list itself; `json` reads everything inside."""

    text: str
    at: int = 0

    def rows_of(self, name: str) -> list[Row] | None:
        found: list[Row] | None = None
        self._expect("{")
        more = not self._skip("}")
        while more:
            key = self._value()
            self._expect(":")
            if key == name:
                found = self._list(name)
            else:
                self._value()
            more = self._more("}")
        if self._next() != "":
            raise ValueError("text after the object")
        return found

    def _list(self, name: str) -> list[Row] | None:
        if self._next() == "[":
            return self._rows()
        if self._value() is not None:
            raise ValueError(f"{name} is not a list")
        return None

    def _rows(self) -> list[Row]:
        rows: list[Row] = []
        self._expect("[")
        more = not self._skip("]")
        while more:
            self._next()
            start = self.at
            value = self._value()
            rows.append(Row(self.text[start : self.at], value))
            more = self._more("]")
        return rows

    def _value(self) -> Any:
        self._next()
        value, self.at = _DECODER.raw_decode(self.text, self.at)
        return value

    def _more(self, end: str) -> bool:
        """Whether another element follows; steps over the comma or the closing bracket."""
        mark = self._next()
        if mark not in (",", end):
            raise ValueError(f"',' or '{end}' expected at {self.at}")
        self.at += 1
        return mark == ","

    def _skip(self, mark: str) -> bool:
        """Steps over the mark if it is next."""
        is_next = self._next() == mark
        self.at += is_next
        return is_next

    def _expect(self, mark: str) -> None:
        if not self._skip(mark):
            raise ValueError(f"'{mark}' expected at {self.at}")

    def _next(self) -> str:
        """The next character that is no blank; empty at the end."""
        match = _SPACE.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return self.text[self.at : self.at + 1]
