"""The history of a row: every attempt that did not deliver it, and what it was before it was replaced."""

import json
from typing import Any

from conversion_kit import conversion
from instant_kit import HOUR, MINUTE, NOW, later
from outbox_kit import REFUSED, TAKEN, claimed, put
from store_kit import House

from sidecar.core.entry import Requeue, Settled
from sidecar.core.states_and_reasons import Reason, State
from sidecar.ports.outbox import Outbox

ATTEMPT = {"tracking_id": "tracking-1", "error": REFUSED.error, "error_code": REFUSED.error_code}


async def refused(outbox: Outbox, step: Requeue | Settled) -> int:
    """One attempt of row 1 with that end; the batch it went in."""
    taken = await claimed(outbox)
    assert await outbox.settle(taken, {1: step}, TAKEN, later(MINUTE))
    return taken.batch_id


async def history(house: House) -> list[dict[str, Any]]:
    """That of row 1, as it is stored."""
    row = (await house.rows("entries"))[0]
    stored: list[dict[str, Any]] = json.loads(row["history"] or "[]")
    return stored


async def test_attempts_that_did_not_deliver_are_kept_in_order(house: House) -> None:
    outbox = await house.open()
    await put(outbox, conversion())
    first = await refused(outbox, Requeue(NOW, Reason.RETRYING, REFUSED))
    second = await refused(outbox, Settled(State.DEAD, REFUSED.error, REFUSED))
    await house.close()
    assert await history(house) == [
        {"attempt": 1, "batch_id": first, "at": later(MINUTE), **ATTEMPT},
        {"attempt": 2, "batch_id": second, "at": later(MINUTE), **ATTEMPT},
    ]


async def test_replay_and_discard_are_kept_with_what_the_row_was_before(house: House) -> None:
    outbox = await house.open()
    await put(outbox, conversion())
    await refused(outbox, Settled(State.DEAD, REFUSED.error, REFUSED))
    await outbox.replay(1, later(HOUR))
    await outbox.discard(1, later(2 * HOUR))
    await house.close()
    _, replayed, discarded = await history(house)
    assert replayed == {
        "replayed_at": later(HOUR),
        "state": "dead",
        "reason": REFUSED.error,
        "settled_at": later(MINUTE),
        "error": REFUSED.error,
        "error_code": REFUSED.error_code,
        "message": REFUSED.message,
    }
    assert (discarded["discarded_at"], discarded["state"], discarded["reason"]) == (later(2 * HOUR), "pending", None)


async def test_delivery_at_the_first_attempt_writes_no_history(house: House) -> None:
    outbox = await house.open()
    await put(outbox, conversion())
    await outbox.settle(await claimed(outbox), {}, TAKEN, NOW)
    await house.close()
    assert await history(house) == []


async def test_replaced_row_keeps_its_attempts_and_what_it_was(house: House) -> None:
    """A row that is `dead` or `skipped` is replaced: the same id, history kept."""
    outbox = await house.open()
    await put(outbox, conversion(value="12.50"))
    await refused(outbox, Settled(State.DEAD, REFUSED.error, REFUSED))
    await put(outbox, conversion(value="1"), at=later(HOUR))
    await house.close()
    attempt, replaced = await history(house)
    assert attempt["attempt"] == 1
    assert replaced == {
        "replaced_at": later(HOUR),
        "received_at": NOW,
        "request_id": "request-1",
        "state": "dead",
        "reason": REFUSED.error,
        "value": "12.5",
        "currency": "USD",
    }


async def test_history_of_a_row_that_is_retried_for_months_stays_short(house: House) -> None:
    outbox = await house.open()
    await put(outbox, conversion())
    for _ in range(60):
        await refused(outbox, Requeue(NOW, Reason.RETRYING, REFUSED))
    await house.close()
    kept = await history(house)
    assert [each["attempt"] for each in kept] == [*range(1, 50), 60]
    assert (kept[-1]["times"], kept[-1]["since"], kept[-1]["at"]) == (11, later(MINUTE), later(MINUTE))
