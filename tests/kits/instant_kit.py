"""The moment at which tests of stores begin, and instants around it."""

from sidecar.core.instant import UnixMillis, UnixSeconds, millis, seconds

NOW = UnixMillis(1_795_000_000_000)
SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def later(amount: int, start: UnixMillis = NOW) -> UnixMillis:
    """`amount` milliseconds after `start`."""
    return UnixMillis(start + amount)


def first_of_day(day: int) -> UnixSeconds:
    """A second that lies `day` days before NOW."""
    return UnixSeconds(seconds(NOW) - day * 86_400)


def when(second: UnixSeconds) -> UnixMillis:
    """The first millisecond of that second."""
    return millis(second)
