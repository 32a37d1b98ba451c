"""How long to wait before another try: after faults of an account, for a row asked for again, and for a webhook."""

BACKOFF_FIRST_MILLIS = 1_000
BACKOFF_CAP_MILLIS = 60_000
BACKOFF_FLOOR_MILLIS = 1_000
"""Full jitter alone would now and then repeat at once; on errors at most one request a second goes out."""

EXPIRED_TIMES = 3
"""Fresh tokens that were refused as expired, one after another, before a person is asked to look."""

ROW_FIRST_MILLIS = 60_000
ROW_CAP_MILLIS = 6 * 3_600_000

WEBHOOK_CAP_MILLIS = 300_000
"""A webhook that refuses every message is wrong for good, mostly: it is not asked every few seconds."""


def backoff_millis(faults: int, chance: float) -> int:
    """The wait after `faults` failures in a row: doubling from 1 s to 60 s, full jitter; `chance` lies in [0, 1)."""
    cap = _doubled(BACKOFF_FIRST_MILLIS, faults - 1, BACKOFF_CAP_MILLIS)
    return max(BACKOFF_FLOOR_MILLIS, int(cap * chance))


def row_delay_millis(retries: int, chance: float) -> int:
    """How long a row waits after its `retries`-th retry: doubling up to six hours, spread over the last quarter."""
    return int(_doubled(ROW_FIRST_MILLIS, retries, ROW_CAP_MILLIS) * (0.75 + 0.25 * chance))


def webhook_delay_millis(failures: int, chance: float) -> int:
    """The wait after `failures` messages that a webhook did not take: doubling from 1 s to 5 min, full jitter."""
    return max(BACKOFF_FLOOR_MILLIS, int(_doubled(BACKOFF_FIRST_MILLIS, failures, WEBHOOK_CAP_MILLIS) * chance))


def _doubled(first: int, times: int, cap: int) -> int:
    return min(cap, first << min(max(times, 0), 20))
