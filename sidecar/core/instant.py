"""Points in time as whole numbers, and their text forms. Knows no clock: `now` is always an argument."""

from datetime import UTC, datetime
from typing import NewType

UnixSeconds = NewType("UnixSeconds", int)
"""Whole seconds since 1970 UTC: a conversion's time, which Microsoft compares at this precision at best."""

UnixMillis = NewType("UnixMillis", int)
"""Milliseconds since 1970 UTC: everything the sidecar itself notes down."""

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


def text_of_seconds(at: UnixSeconds) -> str:
    """`2026-11-23T15:30:45Z`: the form that is sent to Microsoft and shown to people."""
    return datetime.fromtimestamp(at, UTC).isoformat()[:19] + "Z"  # a third of what strftime costs


def text_of_millis(at: UnixMillis) -> str:
    """`2026-11-23T15:30:45.123Z`, and without the fraction when it is zero."""
    whole, fraction = divmod(at, 1000)
    text = text_of_seconds(UnixSeconds(whole))
    return f"{text[:-1]}.{fraction:03d}Z" if fraction else text
