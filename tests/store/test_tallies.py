"""Rows are counted over time as they stand: by the hour of their receipt, later by the day, however they are moved."""

from decimal import Decimal

import pytest
from conversion_kit import conversion, orders
from instant_kit import DAY, HOUR, MINUTE, NOW, later
from msgspec.structs import replace
from outbox_kit import TAKEN, claimed, put
from store_kit import House

from sidecar.core.instant import UnixMillis, UnixSeconds, millis, seconds
from sidecar.core.states_and_reasons import State
from sidecar.core.tally import HOUR_SECONDS, Figures, LaneLook, period_start
from sidecar.ports.intake import Arrival

THIS_HOUR = period_start(seconds(NOW), HOUR_SECONDS)
LOOKED_ROWS = 1_000


@pytest.fixture
async def opened(house: House) -> House:
    await house.open()
    return house


async def counted(house: House, since: UnixSeconds = THIS_HOUR, step: int = HOUR_SECONDS) -> set[tuple[object, ...]]:
    """Period, state, currency, rows and value of what was received."""
    return {
        (one.at, one.state, one.currency, one.rows, one.value) for one in await house.tallies.by_period(since, step)
    }


async def figures(house: House, now: UnixMillis = NOW) -> Figures:
    return await house.tallies.figures(THIS_HOUR, now)


async def look(house: House, now: UnixMillis = NOW) -> LaneLook:
    """The look at the only lane in which anything waits."""
    [found] = (await figures(house, now)).looks.values()
    return found


async def received_at(house: House, at: UnixMillis, number: str) -> None:
    await house.outbox.put([Arrival(conversion(number, value="1"), at, "request-1")])


async def test_delivery_moves_rows_within_the_hour_of_their_receipt(opened: House) -> None:
    await put(opened.outbox, *orders(3, value="0.1"), conversion("Z", value="7", currency="EUR"))
    waiting = {(THIS_HOUR, State.PENDING, "USD", 3, Decimal("0.3")), (THIS_HOUR, State.PENDING, "EUR", 1, Decimal(7))}
    assert await counted(opened) == waiting
    assert await opened.outbox.settle(await claimed(opened.outbox), {}, TAKEN, later(30 * HOUR))
    assert await counted(opened) == {(at, State.DELIVERED, *rest) for at, _, *rest in waiting}


async def test_slowest_delivery_of_each_hour_is_known(opened: House) -> None:
    await put(opened.outbox, *orders(2))
    await received_at(opened, later(2 * MINUTE), "LATER")
    claims = [await claimed(opened.outbox, later(3 * MINUTE), limit) for limit in (2, 1)]
    for claim, at in zip(claims, (later(3 * MINUTE), later(4 * MINUTE)), strict=True):
        assert await opened.outbox.settle(claim, {}, TAKEN, at)
    [hour] = await opened.tallies.by_period(THIS_HOUR, HOUR_SECONDS)
    assert (hour.rows, hour.slowest_millis) == (3, 3 * MINUTE)


async def test_rows_without_a_value_are_counted_too(opened: House) -> None:
    await put(opened.outbox, replace(conversion("A"), value=None, currency=None))
    assert await counted(opened) == {(THIS_HOUR, State.PENDING, None, 1, Decimal(0))}


async def test_sums_are_exact_to_nine_trillion_and_close_beyond(opened: House) -> None:
    largest = Decimal("999999999999.999")
    await put(opened.outbox, *orders(9, value=str(largest)))
    [(*_, value)] = await counted(opened)
    assert value == 9 * largest
    for first in (100, 10_000):  # together beyond 63 bits of thousandths
        await put(opened.outbox, *orders(9_000, first, value=str(largest)))
    [(*_, rows, value)] = await counted(opened)
    assert rows == 18_009
    assert abs(value / largest - rows) < Decimal("0.001")


async def test_hours_become_days_and_what_changes_later_still_counts(opened: House) -> None:
    day = UnixMillis(NOW // DAY * DAY)
    for number, at in enumerate((day, day + 5 * HOUR, day + 5 * HOUR + MINUTE, day + DAY)):
        await received_at(opened, UnixMillis(at), str(number))
    start = seconds(day)
    assert len(await counted(opened, start)) == 3
    before = await counted(opened, start, DAY // 1_000)
    while await opened.tallies.gather(UnixSeconds(start + DAY // 1_000)):
        pass
    assert await counted(opened, start, DAY // 1_000) == before
    assert {at for at, *_ in await counted(opened, start)} == {start, start + DAY // 1_000}
    assert await opened.outbox.settle(await claimed(opened.outbox, UnixMillis(day + 2 * DAY)), {}, TAKEN, later(DAY))
    delivered = {(at, State.DELIVERED, *rest) for at, _, *rest in before}
    assert await counted(opened, start, DAY // 1_000) == delivered
    while await opened.tallies.gather(UnixSeconds(start + DAY // 1_000)):
        pass
    assert await counted(opened, start, DAY // 1_000) == delivered


async def test_figures_outlast_a_crash(opened: House) -> None:
    await put(opened.outbox, *orders(3, value="2"))
    before = await counted(opened)
    await opened.crash()
    await opened.open()
    assert await counted(opened) == before != set()


async def test_table_forgets_what_was_pruned(opened: House) -> None:
    await put(opened.outbox, *orders(3))
    assert await opened.outbox.settle(await claimed(opened.outbox), {}, TAKEN, NOW)
    long_after = later(200 * DAY)
    assert await opened.outbox.prune(long_after, 0, 100) is not None
    while await opened.tallies.gather(seconds(long_after)):
        pass
    assert await opened.rows("tallies") == []


async def test_time_of_the_first_receipt_outlasts_its_row(opened: House) -> None:
    assert (await figures(opened)).first_received_at is None
    await put(opened.outbox, conversion("A"))
    assert (await figures(opened)).first_received_at == NOW
    assert await opened.outbox.settle(await claimed(opened.outbox), {}, TAKEN, NOW)
    assert await opened.outbox.prune(later(200 * DAY), 0, 100) is not None
    assert (await opened.outbox.counts()).delivered == 0
    assert (await figures(opened)).first_received_at == NOW


async def test_look_finds_reasons_and_leaves_out_what_is_due(opened: House) -> None:
    ahead = UnixSeconds(seconds(NOW) + 60)
    await put(opened.outbox, *orders(2), conversion("A", value="5", time=ahead), conversion("B", value="6", time=ahead))
    found = await look(opened)
    assert [(part.reason, part.rows, part.value) for part in found.parts] == [("not_yet", 2, Decimal(11))]
    assert found.due_rows is None
    assert (await look(opened, millis(UnixSeconds(ahead + 1)))).parts == ()


async def test_look_ends_where_too_many_rows_wait(opened: House) -> None:
    ahead = UnixSeconds(seconds(NOW) + 60)
    await put(opened.outbox, *orders(LOOKED_ROWS + 50, time=ahead), *orders(7, 5_000))
    found = await look(opened)
    assert [part.rows for part in found.parts] == [LOOKED_ROWS]
    assert found.due_rows == 7


async def test_first_expiry_of_few_rows_is_exact_beside_many_older_ones(opened: House) -> None:
    old, young = UnixSeconds(seconds(NOW) - 86_400), UnixSeconds(seconds(NOW) - 60)
    await put(opened.outbox, *orders(LOOKED_ROWS, time=old))
    await put(opened.outbox, conversion("Z", event="lead", time=young))
    found = await figures(opened)
    events = {lane.id: lane.event for lane in found.lanes}
    assert {events[lane]: one.first_time for lane, one in found.looks.items()} == {"purchase": old, "lead": young}


async def test_first_expiry_of_many_rows_is_never_said_too_late(opened: House) -> None:
    old, young = UnixSeconds(seconds(NOW) - 86_400), UnixSeconds(seconds(NOW) - 60)
    await put(opened.outbox, *orders(LOOKED_ROWS, time=old))
    await put(opened.outbox, *orders(300, 2_000, event="lead", time=young))
    assert max(one.first_time for one in (await figures(opened)).looks.values()) <= young
