"""When the outbox takes nothing more: too many rows wait, or it is stopping."""

import pytest
from conversion_kit import conversion, orders
from instant_kit import NOW
from outbox_kit import TAKEN, claimed, put
from store_kit import House

from sidecar.ports.errors import StorageUnavailable
from sidecar.ports.outbox import Outbox
from sidecar.ports.queries import Counts


async def test_outbox_with_too_many_waiting_rows_takes_no_more(house: House) -> None:
    """`max_pending`: beyond it intake answers 503."""
    outbox = await house.open(max_pending=5)
    await put(outbox, *orders(4))
    with pytest.raises(StorageUnavailable) as refused:
        await put(outbox, *orders(2, start=4))
    assert refused.value.code == "outbox_growing"
    assert await outbox.counts() == Counts(pending=4)
    await outbox.settle(await claimed(outbox, limit=1), {}, TAKEN, NOW)
    await put(outbox, *orders(2, start=4))
    assert await outbox.counts() == Counts(pending=5, delivered=1)


async def test_probe_writes(house: House) -> None:
    """`GET /readyz`: it can write to the outbox."""
    await (await house.open()).probe()
    assert ("probe", "written") in {(fact["name"], fact["value"]) for fact in await house.rows("facts")}


async def test_closed_outbox_refuses_instead_of_keeping_anybody_waiting(house: House) -> None:
    outbox: Outbox = await house.open()
    await house.close()
    for call in (put(outbox, conversion()), outbox.probe(), outbox.expire(NOW, 10)):
        with pytest.raises(StorageUnavailable) as refused:
            await call
        assert refused.value.code == "stopping"
