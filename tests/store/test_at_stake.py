"""What waits and what it is worth, and why rows are tried again: counted up to a bound, in open batches too."""

from decimal import Decimal

from conversion_kit import conversion, orders
from instant_kit import MINUTE, NOW, later
from outbox_kit import POISONED, claimed, put, seqs_of

from sidecar.core.adjustment import Adjustment, ById
from sidecar.core.conversion import AdjustmentType
from sidecar.core.entry import Fault, Lane, Requeue
from sidecar.core.instant import UnixSeconds, seconds
from sidecar.core.waiting_summary import Waiting
from sidecar.ports.delivery import Note
from sidecar.ports.intake import Adjusting
from sidecar.ports.outbox import Outbox
from sidecar.ports.queries import Retried

STAKE_ROWS = 1_000
"""At most as many rows are counted, over all lanes of a question."""

FAULT = Fault("InternalError", 0, "Try again.")


async def lanes(outbox: Outbox, account: str = "main") -> list[Lane]:
    return [lane for lane in await outbox.lanes() if lane.account == account]


async def test_values_add_up_by_currency_to_the_last_digit(outbox: Outbox) -> None:
    oldest = UnixSeconds(seconds(NOW) - 86_400)
    await put(
        outbox,
        conversion("A", value="999999999999.999", currency="EUR", time=oldest),
        conversion("B", value="0.001", currency="EUR"),
        conversion("C", value="5", currency="JPY", event="lead"),
        conversion("D", value="7", account="other"),
    )
    waiting = await outbox.at_stake(await lanes(outbox))
    assert waiting == Waiting(3, False, oldest, 0, {"EUR": Decimal("1000000000000.000"), "JPY": Decimal(5)})


async def test_rows_of_an_open_batch_wait_too(outbox: Outbox) -> None:
    await put(outbox, *orders(3, value="2"))
    batch = await claimed(outbox, limit=2)
    assert (await outbox.at_stake(await lanes(outbox))).values == {"USD": Decimal(6)}
    assert await outbox.settle(batch, {}, Note("taken"), NOW)
    assert (await outbox.at_stake(await lanes(outbox))).values == {"USD": Decimal(2)}
    assert (await outbox.at_stake(await lanes(outbox, "other"))).rows == 0


async def test_adjustments_are_counted_apart_and_are_worth_nothing(outbox: Outbox) -> None:
    (seq,) = await seqs_of(outbox, conversion())
    assert await outbox.settle(await claimed(outbox), {}, Note("taken"), NOW)
    retract = Adjustment(
        type=AdjustmentType.RETRACT,
        target=ById(seq, None),
        value=None,
        currency=None,
        time=seconds(NOW),
        time_given=False,
    )
    await outbox.adjust([Adjusting(retract, NOW, "request-2")])
    waiting = await outbox.at_stake(await lanes(outbox))
    assert (waiting.rows, waiting.adjustments, waiting.values) == (1, 1, {})


async def test_counting_is_given_up_over_all_lanes_together(outbox: Outbox) -> None:
    await put(outbox, *orders(STAKE_ROWS // 2, value="1"))
    await put(outbox, *orders(STAKE_ROWS, STAKE_ROWS, value="1", event="lead"))
    waiting = await outbox.at_stake(await lanes(outbox))
    assert (waiting.rows, waiting.more, waiting.values) == (STAKE_ROWS, True, {"USD": Decimal(STAKE_ROWS)})


async def test_rows_that_are_tried_again_name_each_reason_once(outbox: Outbox) -> None:
    await put(outbox, *orders(3))
    batch = await claimed(outbox)
    again = {entry.seq: Requeue(later(MINUTE), None, FAULT, retries=1) for entry in batch.entries}
    assert await outbox.settle(batch, again, Note("taken"), NOW)
    await put(outbox, *orders(2, 10))
    assert await outbox.retried(await lanes(outbox), NOW) == [Retried("main", FAULT, None)]
    assert await outbox.retried(await lanes(outbox, "other"), NOW) == []


async def test_row_that_was_refused_alone_three_times_is_one_of_them(outbox: Outbox) -> None:
    await put(outbox, conversion())
    batch = await claimed(outbox)
    for refusals in (1, 2, 3):
        assert await outbox.postpone(batch, later(refusals * MINUTE), POISONED, maybe_sent=False, isolated=True)
        found = await outbox.retried(await lanes(outbox), later(refusals * MINUTE - 1))
        if refusals < 3:
            assert found == []
            batch = await outbox.claim_resend("main", later(refusals * MINUTE), later(10 * MINUTE))
    assert found == [Retried("main", Fault("OfflineConversionError"), None, is_refused=True)]
    assert await outbox.retried(await lanes(outbox), later(3 * MINUTE)) == [], "it is due"
