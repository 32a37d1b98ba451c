"""When the outbox takes nothing more: too many rows wait, too little disk is left, or it is stopping."""

import pytest
from conversion_kit import conversion, orders
from instant_kit import MINUTE, NOW, later
from outbox_kit import TAKEN, claimed, put
from store_kit import House

from sidecar.ports.errors import StorageUnavailable
from sidecar.ports.intake import Conflict, Replayed
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


async def test_outbox_without_disk_takes_no_more_but_goes_on_delivering(house: House) -> None:
    outbox = await house.open()
    await put(outbox, *orders(3))
    await house.crash()
    outbox = await house.open(min_free_bytes=2**62)
    with pytest.raises(StorageUnavailable) as refused:
        await put(outbox, conversion("NEW"))
    assert refused.value.code == "disk_nearly_full"
    assert await outbox.settle(await claimed(outbox), {}, TAKEN, later(MINUTE))
    assert await outbox.counts() == Counts(delivered=3)


async def test_outbox_without_disk_still_knows_what_it_has(house: House) -> None:
    outbox = await house.open()
    await put(outbox, conversion())
    await house.crash()
    outbox = await house.open(min_free_bytes=2**62)
    (same,) = await put(outbox, conversion())
    (other,) = await put(outbox, conversion(value="1"))
    assert (type(same), type(other)) == (Replayed, Conflict)
    with pytest.raises(StorageUnavailable):
        await put(outbox, conversion(), conversion("ORDER-2"))


async def test_probe_writes_and_says_so_when_it_may_not(house: House) -> None:
    """`GET /readyz`: it can write to the outbox (`503` otherwise)."""
    await (await house.open()).probe()
    await house.close()
    outbox = await house.open(min_free_bytes=2**62)
    with pytest.raises(StorageUnavailable) as refused:
        await outbox.probe()
    assert refused.value.code == "disk_nearly_full"


async def test_closed_outbox_refuses_instead_of_keeping_anybody_waiting(house: House) -> None:
    outbox: Outbox = await house.open()
    await house.close()
    for call in (put(outbox, conversion()), outbox.probe(), outbox.expire(NOW, 10)):
        with pytest.raises(StorageUnavailable) as refused:
            await call
        assert refused.value.code == "stopping"
