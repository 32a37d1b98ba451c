"""Points in time as whole numbers, and their text forms. Knows no clock: `now` is always an argument."""

from datetime import date
from functools import lru_cache
from typing import NewType

UnixSeconds = NewType("UnixSeconds", int)
"""Whole seconds since 1970 UTC: a conversion's time, which Microsoft compares at this precision at best."""

UnixMillis = NewType("UnixMillis", int)
"""Milliseconds since 1970 UTC: everything the sidecar itself notes down."""

SecondRange = tuple[int, int]
"""The first and the last, both included; plain numbers, since to call UnixSeconds for each took half of their cost."""

EPOCH = UnixMillis(0)
"""Before everything that is noted down."""

DAY_SECONDS = 86_400

MAX_AGE_SECONDS = 90 * DAY_SECONDS
"""Microsoft refuses a conversion older than this (code 5609).

https://learn.microsoft.com/advertising/campaign-management-service/offlineconversion
"""


def seconds(at: UnixMillis) -> UnixSeconds:
    """The whole second in which `at` lies."""
    return UnixSeconds(at // 1000)


def millis(at: UnixSeconds) -> UnixMillis:
    """The first millisecond of the second `at`."""
    return UnixMillis(at * 1000)


def text_or_none(at: UnixMillis | None) -> str | None:
    """As `text_of_millis`; None for None."""
    return None if at is None else text_of_millis(at)


def text_of_seconds(at: UnixSeconds) -> str:
    """`2026-11-23T15:30:45Z`: the form that is sent to Microsoft and shown to people."""
    day, second = divmod(at, DAY_SECONDS)
    return f"{_text_of_day(day)}{_MINUTES[second // 60]}{_SECONDS[second % 60]}"  # a fifth of what datetime costs


@lru_cache(maxsize=1024)
def _text_of_day(day: int) -> str:
    return date.fromordinal(_EPOCH_ORDINAL + day).isoformat()


_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_MINUTES = tuple(f"T{minute // 60:02d}:{minute % 60:02d}:" for minute in range(1440))
_SECONDS = tuple(f"{second:02d}Z" for second in range(60))


@lru_cache(maxsize=1024)
def text_of_millis(at: UnixMillis) -> str:
    """`2026-11-23T15:30:45.123Z`, and without the fraction when it is zero."""
    whole, fraction = divmod(at, 1000)
    return f"{text_of_seconds(UnixSeconds(whole))[:-1]}{_FRACTIONS[fraction]}"


_FRACTIONS = ("Z", *(f".{fraction:03d}Z" for fraction in range(1, 1000)))
