"""Converts a row's JSON to typed fields as strictly as a deserialiser: one malformed value refuses the request.

https://learn.microsoft.com/advertising/campaign-management-service/offlineconversion
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from sidecar.emulator.error_bodies import Refused

T = TypeVar("T")

TICKS_PER_SECOND = 10_000_000
"""A time has up to seven digits after the second."""

TICKS_PER_MS = TICKS_PER_SECOND // 1_000

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,7}))?(Z|[+-]\d\d:\d\d)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Time:
    """A point in time in ticks of 100 ns since 1970 UTC. `zoned` is false when the text named no zone."""

    ticks: int
    zoned: bool


@dataclass(frozen=True, slots=True)
class Conversion:
    """An OfflineConversion. Every field may be absent."""

    click_id: str | None
    name: str | None
    time: Time | None
    email: str | None
    phone: str | None
    value: Decimal | None
    currency: str | None
    credit: Decimal | None
    model: str | None


@dataclass(frozen=True, slots=True)
class Adjustment:
    """An OfflineConversionAdjustment; `original` has the key fields of its conversion."""

    type: str | None
    time: Time | None
    value: Decimal | None
    currency: str | None
    original: Conversion


def read_conversion(row: object) -> Conversion | None:
    """The row's fields, None for `null`. Raises Refused when a value has a wrong type."""
    return None if row is None else _conversion(_object(row))


def read_adjustment(row: object) -> Adjustment | None:
    """The row's fields, None for `null`. Raises Refused when a value has a wrong type."""
    if row is None:
        return None
    fields = _object(row)
    return Adjustment(
        read_text(fields, "AdjustmentType"),
        read_time(fields, "AdjustmentTime"),
        read_number(fields, "AdjustmentValue"),
        read_text(fields, "AdjustmentCurrencyCode"),
        _conversion(fields),
    )


def read_text(fields: Mapping[str, Any], name: str) -> str | None:
    """A string or None."""
    return _typed(fields, name, str, "string")


def read_number(fields: Mapping[str, Any], name: str) -> Decimal | None:
    """A number or None. A string of digits is no number here: only 64-bit ids travel as strings."""
    value = fields.get(name)
    if value is None or isinstance(value, Decimal):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    raise Refused("ApiInputValidationError", detail=f"{name} is not a number")


def read_flag(fields: Mapping[str, Any], name: str) -> bool | None:
    """A boolean or None."""
    return _typed(fields, name, bool, "boolean")


def read_long(fields: Mapping[str, Any], name: str) -> str | None:
    """A 64-bit id as text, given as a string of digits or as a number."""
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, int | str) and not isinstance(value, bool) and re.fullmatch(r"-?\d{1,19}", str(value)):
        return str(value)
    raise Refused("ApiInputValidationError", detail=f"{name} is not a 64-bit integer")


def read_flags(fields: Mapping[str, Any], name: str, known: Sequence[str]) -> tuple[str, ...]:
    """The members of a flag enum: one string, joined by a comma and a blank. Microsoft's own SDK also writes `None`."""
    value = read_text(fields, name)
    flags = tuple(value.split(", ")) if value else ()
    if all(flag in known for flag in flags):
        return tuple(flag for flag in flags if flag != "None")
    raise Refused("ApiInputValidationError", detail=f"{name} has an unknown member: {value!r}")


def read_list(fields: Mapping[str, Any], name: str) -> list[Any] | None:
    """A list or None."""
    return _typed(fields, name, list, "list")


def read_time(fields: Mapping[str, Any], name: str) -> Time | None:
    """A time, None when absent. It is not nullable: `null` is as malformed as any other text (113)."""
    if name not in fields:
        return None
    value = fields[name]
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise Refused("InvalidDateObject", detail=f"{name} is not an ISO 8601 time")
    whole, fraction, zone = match.groups()
    try:
        moment = datetime.fromisoformat(whole + ("+00:00" if zone in (None, "Z") else zone))
        seconds = int(moment.timestamp())
    except (ValueError, OverflowError):
        raise Refused("InvalidDateObject", detail=f"{name} is not an ISO 8601 time") from None
    return Time(seconds * TICKS_PER_SECOND + int((fraction or "").ljust(7, "0")), zone is not None)


def _typed(fields: Mapping[str, Any], name: str, kind: type[T], what: str) -> T | None:
    value = fields.get(name)
    if value is None or isinstance(value, kind):
        return value
    raise Refused("ApiInputValidationError", detail=f"{name} is not a {what}")


def _conversion(fields: Mapping[str, Any]) -> Conversion:
    return Conversion(
        read_text(fields, "MicrosoftClickId"),
        read_text(fields, "ConversionName"),
        read_time(fields, "ConversionTime"),
        read_text(fields, "HashedEmailAddress"),
        read_text(fields, "HashedPhoneNumber"),
        read_number(fields, "ConversionValue"),
        read_text(fields, "ConversionCurrencyCode"),
        read_number(fields, "ExternalAttributionCredit"),
        read_text(fields, "ExternalAttributionModel"),
    )


def _object(row: object) -> Mapping[str, Any]:
    if isinstance(row, dict):
        return row
    raise Refused("ApiInputValidationError", detail="a row is not an object")
