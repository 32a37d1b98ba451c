"""The types of the sections' values, each read from a text of the file.

A ValueError describes the expected form and does not repeat the text. Values that are no text come from code, not from
the file; pydantic checks their type.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any
from unicodedata import category
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, SecretStr

from sidecar.config.units import bytes_of, duration_text, seconds_of, size_text
from sidecar.core.currencies import CURRENCIES
from sidecar.core.intake.countries import country
from sidecar.system.listening import is_loopback

LARGEST_VALUE = Decimal(999_999_999_999)


def _from_text(read: Callable[[str], Any]) -> BeforeValidator:
    return BeforeValidator(lambda value: read(value) if isinstance(value, str) else value)


def integer_between(least: int, most: int) -> BeforeValidator:
    """A whole number between `least` and `most`, both included."""

    def read(text: str) -> int:
        if not re.fullmatch(r"0|[1-9][0-9]{0,17}", text) or not least <= int(text) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(text)

    return _from_text(read)


def duration_between(least: str, most: str) -> AfterValidator:
    """A duration not shorter than `least` and not longer than `most`, both written as in the file."""
    return _between(least, most, seconds_of)


def multiple_of(unit: str) -> AfterValidator:
    """A duration that is a multiple of `unit`, such as 1m: anything finer would be cut off."""
    step = seconds_of(unit)

    def check(value: float) -> float:
        if value % step:
            raise ValueError(f"must be a multiple of {unit}: it is stored no finer")
        return value

    return AfterValidator(check)


def size_between(least: str, most: str) -> AfterValidator:
    """A size of at least `least` and at most `most`, both written as in the file."""
    return _between(least, most, bytes_of)


def _between(least: str, most: str, measure: Callable[[str], float]) -> AfterValidator:
    lowest, highest = measure(least), measure(most)

    def check(value: Any) -> Any:
        if value < lowest:
            raise ValueError(f"must be at least {least}")
        if value > highest:
            raise ValueError(f"must be at most {most}")
        return value

    return AfterValidator(check)


def _money(text: str) -> Decimal:
    if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,3})?", text) or Decimal(text) > LARGEST_VALUE:
        raise ValueError("must be a number from 0 to 999999999999 with at most 3 decimals, such as 49.90")
    return Decimal(text)


def _number(value: Decimal) -> int | float:
    """The number as YAML and JSON write it. With at most 15 digits a float shows exactly what was read."""
    return int(value) if value == value.to_integral_value() else float(value)


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("must be true or false")
    return text == "true"


Seconds = Annotated[float, _from_text(seconds_of), PlainSerializer(duration_text, return_type=str)]
Bytes = Annotated[int, _from_text(bytes_of), PlainSerializer(size_text, return_type=str)]
Amount = Annotated[Decimal, _from_text(_money), PlainSerializer(_number)]
Boolean = Annotated[bool, _from_text(_boolean)]


def text(most: int) -> AfterValidator:
    """A text of 1 to `most` characters on one line, without blanks around it."""

    def check(value: str) -> str:
        if not value.strip() or len(value) > most:
            raise ValueError(f"must be a text of 1 to {most} characters")
        return _one_line(value)

    return AfterValidator(check)


def _one_line(value: str) -> str:
    if value.rstrip("\r") != value:
        raise ValueError("ends with a carriage return: it comes from a file with Windows line ends")
    if any(category(character) == "Cf" for character in value):
        raise ValueError("has an invisible character in it (a byte order mark, say): write it again by hand")
    if not value.isprintable():
        raise ValueError("must be one line without control characters")
    if value != value.strip():
        raise ValueError("must not begin or end with a blank")
    return value


def _code(known: frozenset[str], what: str) -> AfterValidator:
    def check(value: str) -> str:
        if value.upper() not in known:
            raise ValueError(f"must be {what}")
        return value.upper()

    return AfterValidator(check)


def _country(text: str) -> str:
    code = country(text) if text else ""
    if code is None:
        raise ValueError("must be an ISO 3166 code of two letters, such as US or NO")
    return code


def _clean(secret: SecretStr) -> SecretStr:
    _one_line(secret.get_secret_value())
    return secret


MIN_KEY_CHARACTERS = 16
_GOOD_KEY = f"have at least {MIN_KEY_CHARACTERS} characters: openssl rand -base64 32 makes a good one"


def _encryption_key(secret: SecretStr) -> SecretStr:
    if 0 < len(secret.get_secret_value()) < MIN_KEY_CHARACTERS:
        raise ValueError(f"must be empty or {_GOOD_KEY}")
    return secret


def _api_key(secret: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]+", secret.get_secret_value()):
        raise ValueError("must be visible ASCII characters without blanks: it travels in the Authorization header")
    if len(secret.get_secret_value()) < MIN_KEY_CHARACTERS:
        raise ValueError(f"must {_GOOD_KEY}")
    return secret


def _webhook(secret: SecretStr) -> SecretStr:
    """It may have a query, since some services put their token there. No message repeats any of it."""
    value = secret.get_secret_value()
    try:
        parts = urlsplit(value)
        _ = parts.port  # raises unless it is a number
    except ValueError:
        parts = urlsplit("")
    is_local = parts.scheme == "http" and is_loopback(parts.hostname or "")
    if value and (not (parts.scheme == "https" or is_local) or not parts.hostname or re.search(r"[\s#]", value)):
        raise ValueError("must be an https:// address; plain http is accepted for this machine (localhost) only")
    if parts.username or parts.password:
        raise ValueError("must be an address without user and password")
    return secret


_Hidden = Annotated[SecretStr, BeforeValidator(lambda value: SecretStr(value) if isinstance(value, str) else value)]

OneLine = Annotated[str, AfterValidator(_one_line)]
Name = Annotated[str, text(100)]
Currency = Annotated[str, _code(CURRENCIES, "an ISO 4217 code, such as USD")]
Country = Annotated[str, AfterValidator(_country)]
Secret = Annotated[
    _Hidden, AfterValidator(_clean), PlainSerializer(lambda secret: "***" if secret else "", return_type=str)
]
EncryptionKey = Annotated[Secret, AfterValidator(_encryption_key)]
ApiKey = Annotated[Secret, AfterValidator(_api_key)]
WebhookAddress = Annotated[Secret, AfterValidator(_webhook)]
