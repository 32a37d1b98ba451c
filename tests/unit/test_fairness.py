"""Which due entries share a batch: lanes in turn, and a tenth of it for those that Microsoft asked for again."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.entry import Entry, Lane
from sidecar.core.fairness import RETRIED_SHARE, Queue, fair_batch, shared_out
from sidecar.core.instant import UnixMillis, UnixSeconds

NOW = 1_795_000_000_000
SIZES = st.lists(st.integers(0, 40), max_size=5)


def lane(number: int, size: int, received_at: int = NOW) -> list[Entry]:
    """Entries of one lane, oldest first."""
    return [
        Entry(
            seq=number * 1_000 + place,
            lane=Lane(number, "main", f"event-{number}"),
            time=UnixSeconds(NOW // 1000),
            received_at=UnixMillis(received_at + place),
            due_at=UnixMillis(received_at + place),
        )
        for place in range(size)
    ]


def queues(lanes: Sequence[list[Entry]]) -> list[Queue]:
    return [lambda most, entries=entries: entries[:most] for entries in lanes]  # type: ignore[misc]


def lanes_of(entries: Sequence[Entry]) -> list[int]:
    return [entry.lane.id for entry in entries]


def test_no_lane_gives_nothing_and_no_place_takes_nothing() -> None:
    assert fair_batch([], [], 100) == []
    assert fair_batch(queues([lane(1, 3)]), [], 0) == []


def test_lanes_take_turns() -> None:
    assert lanes_of(shared_out(queues([lane(1, 9), lane(2, 9)]), 6)) == [1, 2, 1, 2, 1, 2]


def test_what_one_lane_leaves_free_another_fills() -> None:
    assert lanes_of(shared_out(queues([lane(1, 1), lane(2, 9)]), 6)) == [1, 2, 2, 2, 2, 2]


def test_lane_whose_first_entry_was_received_first_begins() -> None:
    assert lanes_of(shared_out(queues([lane(1, 1, NOW + 5), lane(2, 1)]), 1)) == [2]


def test_retried_entries_fill_a_tenth_of_a_full_batch() -> None:
    batch = fair_batch(queues([lane(1, 50)]), queues([lane(2, 50)]), 20)
    assert (len(batch), lanes_of(batch).count(2)) == (20, 2)


def test_retried_entries_fill_a_tenth_also_where_nothing_else_is_due() -> None:
    assert len(fair_batch(queues([lane(1, 0)]), queues([lane(2, 50)]), 20)) == 2


def test_one_retried_entry_takes_its_turn_where_a_batch_has_no_tenth_of_a_place() -> None:
    older, newer = queues([lane(2, 3)]), queues([lane(1, 9, NOW + 5)])
    assert lanes_of(fair_batch(newer, older, 4)) == [2, 1, 1, 1]
    assert lanes_of(fair_batch(older, newer, 2)) == [2, 2]


@given(SIZES, SIZES, st.integers(1, 60))
def test_batch_is_as_full_as_can_be_and_repeats_nothing(fresh: list[int], again: list[int], limit: int) -> None:
    first = [lane(number, size) for number, size in enumerate(fresh)]
    second = [lane(100 + number, size) for number, size in enumerate(again)]
    batch = fair_batch(queues(first), queues(second), limit)
    assert len({entry.seq for entry in batch}) == len(batch) <= limit
    retried = sum(entry.lane.id >= 100 for entry in batch)
    assert retried <= max(1, limit // RETRIED_SHARE)
    assert len(batch) == min(limit, sum(fresh) + min(sum(again), max(1, limit // RETRIED_SHARE)))


@given(st.lists(st.integers(0, 40), min_size=1, max_size=5), st.integers(1, 60))
def test_every_lane_gets_its_share(sizes: list[int], limit: int) -> None:
    batch = lanes_of(shared_out(queues([lane(number, size) for number, size in enumerate(sizes)]), limit))
    for number, size in enumerate(sizes):
        assert batch.count(number) >= min(size, limit // len(sizes))
