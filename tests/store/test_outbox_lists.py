"""Lists: which rows a query finds, in pages that never skip or repeat one."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from adjusting_kit import adjusted
from conversion_kit import CLICK, conversion, orders
from instant_kit import DAY, HOUR, MINUTE, NOW, later
from msgspec import structs
from outbox_kit import REFUSED, TAKEN, put
from store_kit import House

from sidecar.core.adjustment import ByOrder
from sidecar.core.conversion import Kind
from sidecar.core.entry import Settled
from sidecar.core.states_and_reasons import State
from sidecar.ports.outbox import Outbox
from sidecar.ports.queries import Page, Query


def numbers(page: Page) -> list[int]:
    return [record.seq for record in page.records]


async def walked(outbox: Outbox, query: Query) -> list[int]:
    """The numbers on all pages of a query, following the cursor."""
    found, pages = [], 0
    page = await outbox.find(query)
    while True:
        assert len(page.records) <= query.limit
        found += numbers(page)
        pages += 1
        assert pages < 100
        if page.next_seq is None:
            return found
        page = await outbox.find(replace(query, before_seq=page.next_seq))


async def settled(outbox: Outbox, ends: Sequence[State]) -> None:
    """Rows 1, 2, 3 ... in these states."""
    await put(outbox, *orders(len(ends)))
    steps = {
        seq: Settled(state, "reason", REFUSED)
        for seq, state in enumerate(ends, start=1)
        if state not in (State.DELIVERED, State.PENDING)
    }
    pending = {seq for seq, state in enumerate(ends, start=1) if state is State.PENDING}
    entries = [entry for entry in await outbox.due(await outbox.lanes(), NOW, 1_000) if entry.seq not in pending]
    frozen = [structs.replace(entry, goal="Goal", sent_time=entry.time) for entry in entries]
    taken = await outbox.claim("main", frozen, list(range(len(frozen))), NOW, later(MINUTE))
    assert taken is not None
    await outbox.settle(taken, steps, TAKEN, later(MINUTE))


async def test_row_that_never_was_is_none(outbox: Outbox) -> None:
    assert await outbox.get(1) is None
    assert await outbox.get(2**62) is None
    assert await outbox.find(Query()) == Page((), None)


async def test_newest_rows_come_first_and_as_they_are_shown_one_by_one(outbox: Outbox) -> None:
    await put(outbox, *orders(3))
    page = await outbox.find(Query())
    assert page == Page(tuple([await outbox.get(seq) for seq in (3, 2, 1)]), None)


@pytest.mark.parametrize("limit", [1, 2, 3, 10, 11, 1_000])
async def test_pages_hold_each_row_once(outbox: Outbox, limit: int) -> None:
    await put(outbox, *orders(10))
    assert await walked(outbox, Query(limit=limit)) == list(range(10, 0, -1))


async def test_cursor_goes_on_where_the_page_ended_while_new_rows_come_in(outbox: Outbox) -> None:
    await put(outbox, *orders(5))
    page = await outbox.find(Query(limit=3))
    assert (numbers(page), page.next_seq) == ([5, 4, 3], 3)
    await put(outbox, *orders(5, start=5))
    assert numbers(await outbox.find(Query(limit=3, before_seq=page.next_seq))) == [2, 1]


async def test_cursor_at_the_very_beginning_finds_nothing(outbox: Outbox) -> None:
    await put(outbox, *orders(3))
    for before in (1, 0, -5):
        assert await outbox.find(Query(before_seq=before)) == Page((), None)


STATES = [State.DELIVERED, State.DEAD, State.PENDING, State.SKIPPED, State.CANCELED, State.DEAD, State.PENDING]


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("limit", [1, 100])
async def test_list_of_a_state_holds_the_rows_in_it(outbox: Outbox, state: State, limit: int) -> None:
    await settled(outbox, STATES)
    wanted = [seq for seq, each in enumerate(STATES, start=1) if each is state]
    assert await walked(outbox, Query(state=state, limit=limit)) == wanted[::-1]


FILTERS = {
    "account": (Query(account="other"), [4]),
    "event": (Query(event="lead"), [3]),
    "account and event": (Query(account="main", event="purchase"), [2, 1]),
    "account without such an event": (Query(account="other", event="lead"), []),
    "unknown account": (Query(account="unknown"), []),
    "since": (Query(since=later(HOUR)), [5, 4, 3]),
    "since and event": (Query(since=later(HOUR), event="purchase"), [5, 4]),
    "order": (Query(order_id="A"), [5, 4, 1]),
    "order and account": (Query(order_id="A", account="other"), [4]),
    "order and event": (Query(order_id="A", event="lead"), []),
    "order and since": (Query(order_id="A", since=later(HOUR)), [5, 4]),
    "order and state": (Query(order_id="A", state=State.DEAD), []),
    "order and its state": (Query(order_id="A", state=State.PENDING), [5, 4, 1]),
    "unknown order": (Query(order_id="nobody's"), []),
}


@pytest.mark.parametrize(("query", "wanted"), FILTERS.values(), ids=FILTERS)
@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_every_filter_narrows_the_list(outbox: Outbox, query: Query, wanted: list[int], limit: int) -> None:
    await outbox.open_lanes([("third", "purchase")])
    await put(outbox, conversion("A"), conversion("B"))
    await put(outbox, conversion("C", event="lead"), conversion("A", account="other"), at=later(HOUR))
    await put(outbox, conversion("A", account="third"), at=later(DAY))
    assert await walked(outbox, replace(query, limit=limit)) == wanted


FEW = {
    "account": (Query(state=State.DEAD, account="main"), [6, 2]),
    "other account": (Query(state=State.DEAD, account="other"), []),
    "event": (Query(state=State.DEAD, event="lead"), []),
    "since": (Query(state=State.DEAD, since=NOW), [6, 2]),
    "since later": (Query(state=State.DEAD, since=later(1)), []),
}


@pytest.mark.parametrize(("query", "wanted"), FEW.values(), ids=FEW)
async def test_filters_narrow_the_list_of_a_rare_state_too(outbox: Outbox, query: Query, wanted: list[int]) -> None:
    await settled(outbox, STATES)
    assert await walked(outbox, query) == wanted


@pytest.mark.parametrize("state", [None, State.PENDING, State.SKIPPED])
@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_list_since_a_time_has_rows_that_were_replaced_since_however_old_their_number(
    house: House, outbox: Outbox, monkeypatch: pytest.MonkeyPatch, limit: int, state: State | None
) -> None:
    """A walk ends where rows get older than wanted; what was replaced lies further down."""
    await settled(outbox, [State.DEAD, State.SKIPPED, State.DEAD, State.DEAD, *[State.SKIPPED] * 5])
    again = [conversion(f"ORDER-{number}", value="5") for number in (0, 1, 3)]
    await put(outbox, *again, at=later(HOUR))
    await put(outbox, conversion("NEW-1"), conversion("NEW-2", event="lead"), at=later(HOUR))
    house.use_small_slices(monkeypatch)
    wanted = {None: [11, 10, 4, 2, 1], State.PENDING: [11, 10, 4, 2, 1], State.SKIPPED: []}[state]
    assert await walked(outbox, Query(since=later(HOUR), state=state, limit=limit)) == wanted
    of_event = Query(since=later(HOUR), state=state, event="purchase", limit=limit)
    assert await walked(outbox, of_event) == [seq for seq in wanted if seq != 11]


async def test_page_may_end_short_while_there_is_more_to_look_through(outbox: Outbox) -> None:
    """It may be short, even empty, while `next_seq` tells that there is more."""
    await put(outbox, conversion("FIRST", event="lead"))
    for start in range(0, 21_000, 1_000):
        await put(outbox, *orders(1_000, start=start))
    page = await outbox.find(Query(event="lead", limit=10))
    assert page.records == ()
    assert page.next_seq is not None
    assert await walked(outbox, Query(event="lead", limit=10)) == [1]


OTHER_CLICK = "0BADCAFE" * 4

PEOPLE = {
    "visitor": (Query(visitor_id="v-1"), [3, 1]),
    "visitor and order": (Query(visitor_id="v-1", order_id="A"), [1]),
    "other visitor and order": (Query(visitor_id="v-2", order_id="A"), []),
    "click": (Query(msclkid=CLICK), [4, 1]),
    "click in other letters": (Query(msclkid=OTHER_CLICK.lower()), [2]),
    "click and order": (Query(msclkid=OTHER_CLICK.lower(), order_id="B"), [2]),
    "other click and order": (Query(msclkid=CLICK, order_id="B"), []),
}


@pytest.mark.parametrize(("query", "wanted"), PEOPLE.values(), ids=PEOPLE)
async def test_visitor_and_click_narrow_the_list(outbox: Outbox, query: Query, wanted: list[int]) -> None:
    await put(outbox, conversion("A", visitor_id="v-1"), conversion("B", msclkid=OTHER_CLICK))
    await put(outbox, conversion("C", visitor_id="v-1", msclkid=None), conversion("D", visitor_id="v-2"))
    assert await walked(outbox, query) == wanted


@pytest.mark.parametrize("query", [Query(), Query(state=State.DEAD), Query(order_id="ORDER-5")])
async def test_reason_narrows_ended_rows_and_leaves_waiting_ones_to_the_caller(outbox: Outbox, query: Query) -> None:
    await settled(outbox, STATES)
    pages = [await walked(outbox, replace(query, reason=reason)) for reason in ("reason", "another")]
    waiting = [7, 3] if query == Query() else []
    of_order = {"ORDER-5": [6], None: [6, 5, 4, 2] if query.state is None else [6, 2]}[query.order_id]
    assert pages == [sorted({*waiting, *of_order}, reverse=True), waiting]


@pytest.mark.parametrize(("ends", "pages"), [("PPDDDDDD", 1), ("PPPDDDDD", 4)])
async def test_few_waiting_rows_are_found_at_once_below_many_others(
    house: House, outbox: Outbox, monkeypatch: pytest.MonkeyPatch, ends: str, pages: int
) -> None:
    """More of them than a page may look through are walked to."""
    await settled(outbox, [State.PENDING if end == "P" else State.DELIVERED for end in ends])
    house.use_small_slices(monkeypatch)
    found, page = list[int](), Page((), 9)
    for _ in range(pages):
        assert page.next_seq is not None
        page = await outbox.find(Query(state=State.PENDING, before_seq=page.next_seq))
        found += numbers(page)
    assert (found, page.next_seq) == (list(range(ends.count("P"), 0, -1)), None)


ADJUSTMENTS = {
    "all": (Query(), [8, 7, 6, 5]),
    "order": (Query(order_id="A"), [6, 5]),
    "order and event": (Query(order_id="A", event="lead"), []),
    "unknown order": (Query(order_id="Z"), []),
    "event": (Query(event="lead"), [8]),
    "account": (Query(account="other"), [7]),
    "since": (Query(since=later(HOUR)), [8, 7, 6]),
    "canceled": (Query(state=State.CANCELED), [8, 7, 5]),
    "waiting": (Query(state=State.PENDING), [6]),
    "reason": (Query(reason="applied_before_upload"), [8, 7, 6, 5]),
}


@pytest.mark.parametrize("is_small", [True, False])
@pytest.mark.parametrize(("query", "wanted"), ADJUSTMENTS.values(), ids=ADJUSTMENTS)
@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_adjustments_are_listed_apart_from_conversions(
    house: House,
    outbox: Outbox,
    monkeypatch: pytest.MonkeyPatch,
    query: Query,
    wanted: list[int],
    limit: int,
    is_small: bool,
) -> None:
    await put(outbox, conversion("A"), conversion("B"), conversion("C", event="lead"))
    await put(outbox, conversion("D", account="other"))
    await adjusted(outbox, "5", target=ByOrder("A", None))
    (entry,) = [entry for entry in await outbox.due(await outbox.lanes(), NOW, 9) if entry.seq == 1]
    assert await outbox.claim(
        "main", [structs.replace(entry, goal="Goal", sent_time=entry.time)], [None], NOW, later(DAY)
    )
    await adjusted(outbox, "4", later(HOUR), target=ByOrder("A", None))
    await adjusted(outbox, "3", later(HOUR), target=ByOrder("D", None))
    await adjusted(outbox, "2", later(HOUR), target=ByOrder("C", None))
    if not is_small:
        house.use_small_slices(monkeypatch)
    assert await walked(outbox, replace(query, kind=Kind.ADJUSTMENT, limit=limit)) == wanted
    assert await walked(outbox, Query()) == [4, 3, 2, 1]
