"""When an account's goals are read again: thousands that were read together at a start are read apart afterwards."""

from zlib import crc32

from sidecar.core.instant import UnixMillis

SPREAD_MILLIS = 100
"""How far apart accounts are read: ten a second, where the interval has room for it."""


def next_reading(now: UnixMillis, refresh_millis: int) -> UnixMillis:
    """Return when an account is read again after a reading at its time."""
    return UnixMillis(now + refresh_millis)


def spread_reading(account: str, accounts: int, now: UnixMillis, refresh_millis: int) -> UnixMillis:
    """Return the same after a reading of all `accounts` together: each is earlier by a time of its own.

    That time is the same after each start. A few accounts are hardly earlier, and ten thousand take the whole interval.
    """
    window = min(refresh_millis, accounts * SPREAD_MILLIS)
    return UnixMillis(now + refresh_millis - (crc32(account.encode()) * window >> 32))
