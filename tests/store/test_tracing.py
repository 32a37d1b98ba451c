"""What is stored of one row for its receipt: bounded, and all of one instant."""

from conversion_kit import CLICK, conversion
from instant_kit import HOUR, MINUTE, NOW, later
from outbox_kit import REFUSED, TAKEN, claimed, put
from store_kit import House

from sidecar.core.conversion import Click
from sidecar.core.entry import Requeue, Settled
from sidecar.core.history import Attempted, Done, Replaced
from sidecar.core.instant import UnixSeconds, seconds
from sidecar.core.receipts.trace import Trace
from sidecar.core.states_and_reasons import Reason, State
from sidecar.ports.intake import Captured

CLICKS_BEFORE, CLICKS_AFTER, COUNTED_CLICKS = 50, 10, 1_000
"""At most as many clicks are shown before and after the conversion, and counted."""

HAPPENED = UnixSeconds(seconds(NOW) - 3_600)


def click(number: int, at: int) -> Captured:
    one = Click(account="main", visitor_id="v-1", msclkid=f"{number:032x}", clicked_at=UnixSeconds(at))
    return Captured(one, NOW)


async def traced(house: House, seq: int = 1) -> Trace:
    trace = await house.traces.of(seq)
    assert trace is not None
    return trace


async def test_trace_has_request_attempts_batches_and_what_was_done(house: House) -> None:
    outbox = await house.open()
    await put(outbox, conversion())
    first = await claimed(outbox)
    assert await outbox.settle(first, {1: Requeue(NOW, Reason.RETRYING, REFUSED)}, TAKEN, later(MINUTE))
    second = await claimed(outbox, later(MINUTE))
    assert await outbox.settle(second, {1: Settled(State.DEAD, REFUSED.error, REFUSED)}, TAKEN, later(2 * MINUTE))
    await outbox.replay(1, later(HOUR))
    third = await claimed(outbox, later(HOUR))
    assert await outbox.settle(third, {}, TAKEN, later(2 * HOUR))
    trace = await traced(house)
    await house.close()
    assert (trace.request_id, trace.named_msclkid) == ("request-1", CLICK)
    assert (trace.is_frozen, trace.is_erased) == (True, False)
    assert [type(past) for past in trace.past] == [Attempted, Attempted, Done]
    assert sorted(trace.batches) == [first.batch_id, second.batch_id, third.batch_id]
    assert trace.batches[third.batch_id].tracking_id == "tracking-1"
    assert (trace.record.state, trace.record.attempt) == (State.DELIVERED, 3)


async def test_trace_of_a_replaced_row_has_what_it_was(house: House) -> None:
    outbox = await house.open()
    await put(outbox, conversion())
    taken = await claimed(outbox)
    assert await outbox.settle(taken, {1: Settled(State.DEAD, REFUSED.error, REFUSED)}, TAKEN, later(MINUTE))
    await put(outbox, conversion(value="5"), at=later(HOUR))
    trace = await traced(house)
    await house.close()
    replaced = trace.past[-1]
    assert isinstance(replaced, Replaced)
    assert (replaced.received_at, replaced.request_id, replaced.value) == (NOW, "request-1", "99.99")
    assert not trace.is_frozen


async def test_clicks_are_the_newest_before_and_the_first_after_of_any_number(house: House) -> None:
    outbox = await house.open()
    await put(outbox, conversion(visitor_id="v-1", msclkid=None))
    await house.clicks.capture([click(n, HAPPENED - 400 + n) for n in range(800)])
    await house.clicks.capture([click(n, HAPPENED - 5_000 - n) for n in range(1_000, 1_500)])
    trace = await traced(house)
    await house.close()
    times = [one.clicked_at - HAPPENED for one in trace.clicks]
    assert times == [*range(0, -CLICKS_BEFORE, -1), *range(1, CLICKS_AFTER + 1)]
    assert (trace.known_clicks, trace.more_clicks) == (COUNTED_CLICKS, True)


async def test_own_click_is_among_the_clicks_wherever_it_lies_and_once(house: House) -> None:
    outbox = await house.open()
    await put(outbox, conversion(visitor_id="v-1", msclkid=f"{777:032x}"))
    await house.clicks.capture([click(n, HAPPENED + n) for n in range(1, 100)])
    await house.clicks.capture([click(777, HAPPENED + 50_000)])
    far = await traced(house)
    await house.clicks.capture([click(777, HAPPENED + 1)])
    near = await traced(house)
    await house.close()
    assert [one.clicked_at - HAPPENED for one in far.clicks] == [*range(1, CLICKS_AFTER + 1), 50_000]
    assert sum(one.msclkid == f"{777:032x}" for one in near.clicks) == 1


async def test_row_without_visitor_has_no_clicks_and_an_unknown_one_no_trace(house: House) -> None:
    outbox = await house.open()
    await put(outbox, conversion())
    trace = await traced(house)
    assert (trace.clicks, trace.known_clicks, trace.batches) == ((), 0, {})
    assert await house.traces.of(99) is None
    await house.close()
