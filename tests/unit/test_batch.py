"""Goals, identities and seconds of a batch: two orders of one person in one second both count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sidecar.core.batch import (
    YOUNG_SECONDS,
    Candidate,
    UsedTimestamps,
    as_sent,
    identities,
    is_troubled,
    next_seconds,
    ranges,
    with_goals,
    with_seconds,
)
from sidecar.core.entry import Entry, Lane
from sidecar.core.instant import MAX_AGE_SECONDS, UnixMillis, UnixSeconds

NOW = UnixMillis(1_795_000_000_000)
SECOND = UnixSeconds(1_794_000_000)
CLICK = "f894f652ea334e739002f7167ab8f8e3"
GOALS = {"purchase": "Sidecar Purchase"}


def entry(seq: int = 1, time: int = SECOND, msclkid: str | None = CLICK, **fields: object) -> Entry:
    lane = Lane(1, "default", "purchase")
    return Entry(seq=seq, lane=lane, time=UnixSeconds(time), received_at=NOW, msclkid=msclkid, **fields)  # type: ignore[arg-type]


def place(
    entries: list[Entry], used: set[int] = frozenset(), now: UnixMillis = NOW, reach: int = 60
) -> list[int | None]:  # type: ignore[assignment]
    candidates = with_goals(entries, GOALS)
    taken = {candidates[0].identity: {UnixSeconds(second) for second in used}}
    placed, _ = with_seconds(candidates, taken, now, reach)
    return [as_sent(candidate).sent_time for candidate in placed]


def test_goal_comes_from_the_mapping_of_the_moment() -> None:
    assert with_goals([entry()], GOALS)[0].goal == "Sidecar Purchase"


def test_frozen_entry_keeps_the_goal_it_was_sent_with() -> None:
    frozen = entry(goal="Old name", sent_time=SECOND)
    assert with_goals([frozen], GOALS)[0].goal == "Old name"


def test_used_seconds_of_a_person_are_read_once_for_all_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend that sends ten thousand orders with one click id must not hold up the event loop."""
    taken = []
    monkeypatch.setattr(UsedTimestamps, "take", lambda _, second: taken.append(second))
    place([entry(seq, sent_time=SECOND + seq) for seq in range(100)], used=set(range(1_000)))
    assert len(taken) == 1_000 + 100


def test_second_order_of_a_person_in_one_second_is_moved_by_one() -> None:
    assert place([entry(1), entry(2), entry(3)]) == [SECOND, SECOND + 1, SECOND + 2]


def test_other_people_keep_their_second() -> None:
    assert place([entry(1), entry(2, msclkid="0" * 32)]) == [SECOND, SECOND]


def test_seconds_of_earlier_batches_are_not_used_again() -> None:
    assert place([entry()], used={SECOND, SECOND + 1}) == [SECOND + 2]


def test_no_row_is_moved_into_the_future() -> None:
    """The first second is used and there is no later one yet: an earlier one is taken."""
    now_second = NOW // 1000
    assert place([entry(time=now_second)], used={now_second}) == [now_second - 1]


def test_row_without_a_free_second_in_reach_comes_back() -> None:
    candidates = with_goals([entry()], GOALS)
    used = {candidates[0].identity: {UnixSeconds(SECOND + move) for move in range(-5, 6)}}
    placed, left = with_seconds(candidates, used, NOW, reach=5)
    assert (placed, left) == ([], candidates)


@pytest.mark.parametrize("before", [0, 1, 2, 5])
def test_no_row_is_moved_to_before_its_click(before: int) -> None:
    """Later seconds lie in the future: as many go before as lie between the click and the conversion."""
    now_second = NOW // 1000
    rows = [entry(seq, time=now_second, clicked_at=now_second - before) for seq in range(10)]
    assert sorted(place(rows)) == [now_second - back for back in range(before, -1, -1)]


@pytest.mark.parametrize("left", [0, 1, 60, 3_600, 86_000])
def test_no_row_is_moved_towards_the_limit_of_age(left: int) -> None:
    """130 orders of one person in one second, some seconds before they are too old."""
    time = NOW // 1000 - MAX_AGE_SECONDS + left
    seconds = place([entry(seq, time=time) for seq in range(130)], reach=3_600)
    assert seconds == list(range(time, time + 130))


def test_order_of_a_day_before_the_limit_may_be_moved_by_no_second() -> None:
    time = NOW // 1000 - YOUNG_SECONDS
    used = set(range(time, time + 61))
    assert place([entry(time=time)], used=used) == []
    assert place([entry(time=time + 1)], used=used) == [time + 61]
    assert place([entry(time=time + 1)], used=used | {time + 61}) == []


def test_those_that_found_no_second_wait_for_the_next_ones_each_for_its_own() -> None:
    now_second = NOW // 1000
    left = with_goals([entry(seq, time=now_second) for seq in (1, 2, 3)], GOALS)
    used = {left[0].identity: {UnixSeconds(now_second), UnixSeconds(now_second + 2)}}
    found = [(each.seq, second - now_second) for each, second in next_seconds(left, used)]
    assert found == [(1, 1), (2, 3), (3, 4)]


def test_seconds_of_a_person_are_each_looked_up_in_one_range_only() -> None:
    """A thousand orders of one click, a day to both sides, would else be millions of looks."""
    times = (SECOND, SECOND + 1_000, SECOND + 50, SECOND + 120, SECOND)
    candidates = with_goals([entry(seq, time) for seq, time in enumerate(times)], GOALS)
    assert ranges(candidates, 60) == {
        candidates[0].identity: [(SECOND - 60, SECOND + 180), (SECOND + 940, SECOND + 1_060)]
    }


def test_frozen_second_is_kept_and_others_move_around_it() -> None:
    frozen = entry(1, sent_time=SECOND, goal="Sidecar Purchase")
    assert place([entry(2), frozen]) == [SECOND + 1, SECOND]


def test_click_id_identifies_the_person_and_hashes_only_without_it() -> None:
    def of(goal: str = "G", account: str = "main", **fields: object) -> int:
        (found,) = identities([replace(entry(**fields), lane=Lane(1, account, "purchase"))], [goal])
        return found

    assert of(email_sha256="a" * 64) == of(email_sha256="b" * 64)
    assert of(msclkid=None, email_sha256="a" * 64) != of(msclkid=None, email_sha256="b" * 64)
    assert of() != of("H")
    assert of() != of(account="twin")


def test_ranges_cover_every_time_of_an_identity() -> None:
    candidates = [Candidate(entry(1, SECOND), "G", 7), Candidate(entry(2, SECOND + 100), "G", 7)]
    assert ranges(candidates, 60) == {7: [(SECOND - 60, SECOND + 160)]}


def test_ranges_leave_out_what_has_its_second_already() -> None:
    frozen = Candidate(entry(1, SECOND, sent_time=UnixSeconds(SECOND)), "G", 7)
    assert ranges([frozen, Candidate(entry(2, SECOND + 500), "G", 8)], 60) == {8: [(SECOND + 440, SECOND + 560)]}


@given(st.lists(st.integers(0, 30), max_size=60), st.sets(st.integers(-10, 40), max_size=30))
def test_no_two_rows_of_a_person_share_a_second(moves: list[int], used: set[int]) -> None:
    entries = [entry(seq, SECOND + move) for seq, move in enumerate(moves)]
    if not entries:
        return
    seconds = place(entries, {SECOND + second for second in used}, reach=3600)
    assert len(seconds) == len(entries)
    assert len(set(seconds)) == len(seconds)
    assert not {SECOND + second for second in used} & set(seconds)


@given(st.lists(st.integers(0, 100), min_size=1), st.sets(st.integers(-50, 150)), st.integers(0, 60))
def test_free_second_is_free_near_and_past(times: list[int], used: set[int], reach: int) -> None:
    """Against a plain walk, through a sequence of rows of which each takes the second it found."""
    mine, taken = UsedTimestamps(map(UnixSeconds, used)), set(used)
    for time in times:
        walk = [*range(time, min(time + reach, 100) + 1), *range(time - 1, time - reach - 1, -1)]
        second = mine.free(UnixSeconds(time), UnixSeconds(100), reach)
        assert second == next((at for at in walk if at not in taken), None)
        if second is not None:
            mine.take(second)
            taken.add(second)


def test_batch_is_troubled_when_more_than_half_of_many_rows_are_refused() -> None:
    assert is_troubled(20, 11)
    assert not is_troubled(20, 10)
    assert not is_troubled(19, 19)
