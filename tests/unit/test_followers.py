"""Who watches the journal: a bounded queue each, what does not fit is counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.instant import UnixMillis
from sidecar.ports.journal import JournalEntry, JournalQuery, StoredEntry
from sidecar.telemetry import Followers, TooManyFollowers
from sidecar.telemetry.followers import matches

ALL = JournalQuery()


def fact(seq: int, level: str = "info") -> StoredEntry:
    return StoredEntry(seq, JournalEntry(time=UnixMillis(seq), level=level, name="started", message="x"))


async def test_what_does_not_fit_is_counted_and_reported_once() -> None:
    followers = Followers()
    with followers.follow(ALL, waiting=3) as follower:
        followers.offer([fact(seq) for seq in range(5)])
        assert await follower.next(1) == (tuple(fact(seq) for seq in range(3)), 2)
        followers.offer([fact(9)])
        assert await follower.next(1) == ((fact(9),), 0)


async def test_nothing_comes_when_the_time_is_over() -> None:
    with Followers().follow(ALL) as follower:
        assert await follower.next(0) == ((), 0)


async def test_what_the_filter_hides_fills_no_queue_and_counts_as_no_gap() -> None:
    followers = Followers()
    with followers.follow(JournalQuery(level="error"), waiting=1) as follower:
        followers.offer([fact(seq) for seq in range(100)])
        followers.offer([fact(100, "error")])
        assert await follower.next(1) == ((fact(100, "error"),), 0)


async def test_close_wakes_a_watcher_and_ends_later_ones_at_once() -> None:
    followers = Followers()
    with followers.follow(ALL) as follower:
        followers.close()
        assert await follower.next(60) == ((), 0)
        assert follower.closed
    with followers.follow(ALL) as late:
        assert late.closed


def test_places_are_limited_and_given_back() -> None:
    followers = Followers(limit=1)
    with followers.follow(ALL), pytest.raises(TooManyFollowers), followers.follow(ALL):
        raise AssertionError("there was no place")
    with followers.follow(ALL):
        pass


@given(st.lists(st.integers(0, 5)), st.integers(0, 4))
def test_nothing_is_lost_without_being_counted(sizes: list[int], waiting: int) -> None:
    followers = Followers()
    with followers.follow(ALL, waiting=waiting) as follower:
        for size in sizes:
            followers.offer([fact(seq) for seq in range(size)])
        assert len(follower._waiting) + follower._missed == sum(sizes)
        assert len(follower._waiting) <= waiting


def test_watcher_sees_facts_from_since_on_and_before_until() -> None:
    query = JournalQuery(since=UnixMillis(2), until=UnixMillis(4))
    assert [seq for seq in range(6) if matches(fact(seq).entry, query)] == [2, 3]
