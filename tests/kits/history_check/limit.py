"""Sliding minutes in which an account sent more than it may."""

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
    first, most = 0, 0
    for place, instant in enumerate(at):
        while at[first] <= instant - MINUTE:
            first += 1
        most = max(most, place - first + 1)
    return most
