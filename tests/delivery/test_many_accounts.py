"""Many accounts of one process: those that have something to send do not wait for those that have nothing."""

from collections.abc import AsyncIterator

import pytest
from catalogue_kit import QUERY, all_read
from delivery_kit import HOUR, MICROSOFT, Clock, Rig, options
from place_kit import OutboxPlace

from sidecar.emulator import Emulator
from sidecar.goals.catalogue import LOOKS

ACCOUNTS = [f"shop{number}" for number in range(LOOKS + 10)]
LAST = ACCOUNTS[-1]
CONFIG = (
    MICROSOFT
    + "accounts:\n"
    + "".join(
        f'  {name}: {{{{customer_id: "{310_000_000 + number}", account_id: "{210_000_000 + number}"}}}}\n'
        for number, name in enumerate(ACCOUNTS)
    )
    + "events: {{purchase: {{goal: Sidecar Purchase, currency: USD, account: shop0}}}}\n"
)


@pytest.fixture
async def rig(outbox_place: OutboxPlace) -> AsyncIterator[Rig]:
    """A sidecar with more accounts than are looked at together, not started yet."""
    clock = Clock()
    async with Emulator(options(), clock) as emulator:
        built = await Rig.of(outbox_place, emulator, clock, text=CONFIG)
        yield built
        await built.close()


async def test_account_with_rows_is_read_and_served_while_all_others_wait_for_slow_readings(rig: Rig) -> None:
    slow = rig.hold(times=LOOKS, match={"operation": QUERY})
    await rig.start()
    await rig.until(lambda: slow.fired == LOOKS)
    waiting = next(name for name in reversed(ACCOUNTS) if not rig.parts.catalogue.known.states[name].reading.locked())
    await rig.post(2, account=waiting)
    await rig.until_pending(0)
    assert rig.count("state = 'delivered'") == 2
    assert slow.fired == LOOKS
    rig.clear_faults()
    await all_read(rig)


async def test_accounts_without_anything_due_have_no_courier_and_what_becomes_due_by_itself_is_found(rig: Rig) -> None:
    await rig.start()
    await all_read(rig)
    (seq,) = await rig.post(1, account=LAST)
    await rig.until_pending(0)
    await rig.adjust(seq)
    await rig.until(lambda: rig._couriers() == [])
    assert rig.count("state = 'pending'") == 1
    rig.clock.offset += 7 * HOUR
    await rig.until_pending(0)
    assert len(await rig.adjustments()) == 1
