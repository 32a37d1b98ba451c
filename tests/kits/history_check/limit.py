"""Sliding minutes in which an account sent more than it may."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence

from history_check.events import Requested
from history_check.history import History

MINUTE = 60_000
REFUSED = "CallRateExceeded"


def check(history: History, requests_per_minute: int) -> Iterator[str]:
    """Each account that ever sent too much."""
    by_account: defaultdict[str, list[int]] = defaultdict(list)
    for request in history.all(Requested):
        by_account[request.account].append(request.at)
        if request.answer == REFUSED:
            yield f"Microsoft refused a request of {request.account} as one too many"
    for account, at in by_account.items():
        if (most := fullest(sorted(at))) > requests_per_minute:
            yield f"{account} sent {most} requests within one minute, and may send {requests_per_minute}"


def fullest(at: Sequence[int]) -> int:
    """The most of these instants, which are in order, within any sliding minute."""
    return max((last - first for first, last in _minutes(at)), default=0)


def fullest_over(at: Sequence[int], moments: Sequence[int]) -> int:
    """The same, of minutes with one of `moments`, in order too, between their first and their last instant."""
    return max(
        (last - first for first, last in _minutes(at) if _is_between(moments, at[first], at[last - 1])), default=0
    )


def _minutes(at: Sequence[int]) -> Iterator[tuple[int, int]]:
    """For each instant the minute that ends with it: the places of its first one, and after its last one."""
    first = 0
    for place, instant in enumerate(at):
        while at[first] <= instant - MINUTE:
            first += 1
        yield first, place + 1


def _is_between(moments: Sequence[int], first: int, last: int) -> bool:
    return bisect_right(moments, first) < bisect_left(moments, last)
