"""What a trial amounted to: how much was posted and sent, and how near the accounts came to their limit."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from history_check.events import Answered, Disaster, Event, Requested, Row, Taken, TookOver
from history_check.history import History
from history_check.limit import fullest, fullest_over


class Figures:
    """Figures of one log."""

    def __init__(self, log: Sequence[Event], requests_per_minute: int) -> None:
        self._history = History(log)
        self._limit = requests_per_minute
        self._requests: defaultdict[str, list[int]] = defaultdict(list)
        for request in sorted(self._history.all(Requested), key=lambda one: one.at):
            self._requests[request.account].append(request.at)

    @property
    def fullest(self) -> int:
        """The most requests of an account within any sliding minute."""
        return max(map(fullest, self._requests.values()), default=0)

    @property
    def fullest_over_a_change(self) -> int:
        """The same, of minutes within which another replica took the account over."""
        changes = self._changes()
        return max((fullest_over(at, changes[account]) for account, at in self._requests.items()), default=0)

    def _changes(self) -> defaultdict[str, list[int]]:
        takeovers: defaultdict[str, list[TookOver]] = defaultdict(list)
        for took in sorted(self._history.all(TookOver), key=lambda one: one.at):
            takeovers[took.account].append(took)
        found: defaultdict[str, list[int]] = defaultdict(list)
        for account, all_of_it in takeovers.items():
            found[account] = [after.at for before, after in pairwise(all_of_it) if before.holder != after.holder]
        return found

    @property
    def changes(self) -> int:
        """How often an account came to another replica."""
        return sum(map(len, self._changes().values()))

    @property
    def in_the_calm(self) -> int:
        """How many requests came while no disaster had its effect."""
        storms = _merged(self._history.all(Disaster))
        begins = [began for began, _ in storms]
        return sum(not _is_within(storms, begins, at) for each in self._requests.values() for at in each)

    def __str__(self) -> str:
        posts, taken = self._history.all(Answered), self._history.all(Taken)
        without = sum(not post.is_stored for post in posts)
        again = sum(one.seen > 1 for one in taken)
        rows, requests = len(self._history.all(Row)), sum(map(len, self._requests.values()))
        return (
            f"{len(posts):,} posts, {without:,} of them without an answer or 503, {rows:,} rows, "
            f"{requests:,} requests, {self.in_the_calm:,} of them in the calm, {again:,} conversions sent again, "
            f"{self.changes:,} changes of holders, fullest minute {self.fullest} of {self._limit}, "
            f"{self.fullest_over_a_change} over a change"
        )


def _merged(disasters: Sequence[Disaster]) -> list[tuple[int, int]]:
    """From when until when there were disasters, in order and without an overlap."""
    merged: list[tuple[int, int]] = []
    for began, until in sorted((one.at, one.until) for one in disasters):
        if merged and began <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(until, merged[-1][1])
        else:
            merged.append((began, until))
    return merged


def _is_within(storms: Sequence[tuple[int, int]], begins: Sequence[int], at: int) -> bool:
    place = bisect_right(begins, at) - 1
    return place >= 0 and at <= storms[place][1]
