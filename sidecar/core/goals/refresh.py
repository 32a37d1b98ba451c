"""When an account's goals are read again: each account has its own moment in the interval, so that the calls spread."""

from zlib import crc32

from sidecar.core.instant import UnixMillis


def next_reading(account: str, now: UnixMillis, refresh_millis: int) -> UnixMillis:
    """Return the account's next moment after `now`, one interval away at most.

    Ten thousand accounts that were all read at a start would else be read together each time.
    """
    own = crc32(account.encode()) * refresh_millis >> 32
    return UnixMillis(now + refresh_millis - (now - own) % refresh_millis)
