"""Traces of items that were not stored: what they hold, what they never hold, and how they wait within bounds."""

import json
import tracemalloc
from collections.abc import Sequence
from typing import Any

import pytest

from sidecar.api.log_traces import with_traces
from sidecar.core.conversion import Kind
from sidecar.core.instant import UnixMillis
from sidecar.core.unstored import SHOWN_TRACES, Unstored, What, in_words, merged, order_digest, unstored
from sidecar.ports.errors import StorageUnavailable
from sidecar.ports.journal import JournalPage, JournalQuery
from sidecar.telemetry.trace_buffer import MAX_WAITING, SLICE, SLICES, TraceBuffer

NOW = UnixMillis(1_795_444_245_000)  # 2026-11-23T14:30:45Z
ITEM = {"order_id": "R-1", "event": "purchase", "account": "main"}


def trace(item: object = ITEM, codes: Sequence[str] = ("currency_required",), at: int = NOW) -> Unstored | None:
    return unstored(item, What.REFUSED, codes, UnixMillis(at), "request-1")


def trace_of(order_id: str = "R-1", at: int = NOW, **given: Any) -> Unstored:
    one = trace({**ITEM, "order_id": order_id, **given}, at=at)
    assert one is not None
    return one


def test_trace_has_order_event_account_codes_request_and_time() -> None:
    one = trace_of()
    assert one.order == order_digest("R-1")
    assert (one.event, one.account, one.codes, one.request_id) == (
        "purchase",
        "main",
        ("currency_required",),
        "request-1",
    )
    words = "purchase of account main was refused (currency_required) at 2026-11-23T14:30:45Z, request request-1"
    assert in_words(one) == words


def test_white_space_around_the_order_makes_no_other_one() -> None:
    assert trace_of(" R-1 ").order == trace_of().order


@pytest.mark.parametrize(
    "item",
    [
        None,
        5,
        "R-1",
        [],
        {},
        {"order_id": None},
        {"order_id": 5},
        {"order_id": ""},
        {"order_id": "x" * 201},
        {"order_id": "a\x00b"},
        {"order_id": "\ud800"},
        {"order_id": "  "},
        {"order_id": ["R-1"]},
    ],
    ids=repr,
)
def test_item_without_an_order_that_a_row_could_have_leaves_none(item: object) -> None:
    assert trace(item) is None


def test_nothing_that_identifies_a_person_is_in_a_trace() -> None:
    person = {
        "order_id": "anna@example.com",
        "msclkid": "f894f652ea334e739002f7167ab8f8e3",
        "visitor_id": "v-81f0",
        "user": {"email": "anna@example.com", "phone": "+491715551234"},
        "landing_url": "https://shop.example/?msclkid=f894f652ea334e739002f7167ab8f8e3",
        "event": "anna@example.com",
        "account": "+491715551234",
        "meta": {"name": "Anna"},
    }
    one = unstored(person, What.REFUSED, ("unknown_event",), NOW, "anna@example.com")
    assert one is not None and one.order == order_digest("anna@example.com")
    text = json.dumps(one)
    for secret in ("anna", "f894f652", "v-81f0", "49171", "shop.example", "Anna"):
        assert secret not in text


def test_each_code_is_listed_once_and_the_list_is_short() -> None:
    one = trace(codes=["unknown_field"] * 500 + [f"code_{number}" for number in range(500)])
    assert one is not None
    assert one.codes[:2] == ("unknown_field", "code_0")
    assert len(one.codes) == 8


def test_the_same_again_is_one_trace_that_counts() -> None:
    first, second = trace_of(), trace_of(at=NOW + 60_000)
    both = second.with_older(first)
    assert (both.times, both.first_at, both.time) == (2, NOW, NOW + 60_000)
    assert in_words(both).endswith("2 times since 2026-11-23T14:30:45Z")
    assert first.same != trace_of(event="lead").same


def test_newest_of_an_order_are_shown_newest_first() -> None:
    many = [trace_of(event=f"event_{number}", at=NOW + number) for number in range(50)]
    shown = merged([*many, many[3]])
    assert [one.time for one in shown] == [NOW + number for number in range(49, 49 - SHOWN_TRACES, -1)]


def test_trace_of_an_adjustment_says_so() -> None:
    one = unstored(ITEM, What.REFUSED, ("no_such_conversion",), NOW, "r", Kind.ADJUSTMENT)
    assert one is not None
    assert in_words(one).startswith("an adjustment of purchase of account main was refused (no_such_conversion)")


# --- On the way to disk ----------------------------------------------------------------------------------------------


class Store:
    """What was written, as long as there is room."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.written: list[Unstored] = []

    async def append(self, traces: Sequence[Unstored]) -> None:
        if self.error is not None:
            raise self.error
        assert len(traces) <= SLICE
        self.written += traces

    async def of_order(self, order_id: str) -> Sequence[Unstored]:
        return ()

    async def prune(self, before: UnixMillis) -> int:
        return 0


async def test_flood_of_refused_items_waits_within_bounds_and_the_loss_is_counted() -> None:
    buffer, store = TraceBuffer(), Store()
    for number in range(100_000):
        buffer.put(trace_of(f"R-{number}"))
    assert await buffer.flush(store) == 100_000 - MAX_WAITING
    assert len(store.written) == SLICE * SLICES
    while await buffer.flush(store) or len(store.written) < MAX_WAITING:
        pass
    assert {one.order for one in store.written} == {order_digest(f"R-{number}") for number in range(MAX_WAITING)}


def test_waiting_traces_take_little_memory_for_any_input() -> None:
    worst = {"event": "e" * 64, "account": "a" * 64}
    tracemalloc.start()
    buffer = TraceBuffer()
    for number in range(2 * MAX_WAITING):
        buffer.put(trace_of(f"{number:>0200}", **worst))
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken < 4 * 2**20


async def test_item_that_is_sent_again_and_again_takes_one_place() -> None:
    buffer, store = TraceBuffer(), Store()
    for number in range(10_000):
        buffer.put(trace_of(at=NOW + number))
    assert await buffer.flush(store) == 0
    assert [(one.times, one.first_at, one.time) for one in store.written] == [(10_000, NOW, NOW + 9_999)]


async def test_traces_wait_while_storage_is_away_and_can_be_found_meanwhile() -> None:
    buffer, store = TraceBuffer(), Store(StorageUnavailable("disk_nearly_full", "full"))
    buffer.put(trace_of())
    assert await buffer.flush(store) == 0
    buffer.put(trace_of(at=NOW + 1))
    assert [one.times for one in buffer.of_order("R-1")] == [2]
    store.error = None
    assert await buffer.flush(store) == 0
    assert [one.times for one in store.written] == [2]
    assert buffer.of_order("R-1") == []


async def test_slice_that_cannot_be_written_is_given_up_and_counted() -> None:
    buffer, store = TraceBuffer(), Store(ValueError("odd"))
    buffer.put(trace_of())
    assert await buffer.flush(store) == 1
    store.error = None
    assert await buffer.flush(store) == 0 and store.written == []


async def test_trace_that_is_on_disk_while_it_is_written_is_found_once() -> None:
    buffer, found = TraceBuffer(), list[Sequence[Unstored]]()

    class Disk(Store):
        async def append(self, traces: Sequence[Unstored]) -> None:
            found.append(buffer.of_order("R-1", on_disk=traces))
            found.append(buffer.of_order("R-1"))

    buffer.put(trace_of())
    await buffer.flush(Disk())
    assert found == [[], [trace_of()]]


def test_page_of_a_stretch_of_time_has_the_traces_from_since_on_and_before_until() -> None:
    query = JournalQuery(order_id="R-1", since=NOW, until=UnixMillis(NOW + 2))
    traces = [trace_of(at=NOW + late, event=f"event {late}") for late in (-1, 0, 1, 2)]
    page = with_traces(JournalPage((), None), query, traces)
    assert [one.entry.time - NOW for one in page.items] == [1, 0]
