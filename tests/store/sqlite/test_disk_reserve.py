"""When too little disk is left for the file: intake is refused, and what is stored goes on."""

import pytest
from conversion_kit import conversion, orders
from instant_kit import MINUTE, later
from outbox_kit import TAKEN, claimed, put
from store_kit import House

from sidecar.ports.errors import StorageUnavailable
from sidecar.ports.intake import Conflict, Replayed
from sidecar.ports.queries import Counts


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


async def test_probe_says_so_when_it_may_not_write(house: House) -> None:
    """`GET /readyz`: it can write to the outbox (`503` otherwise)."""
    outbox = await house.open(min_free_bytes=2**62)
    with pytest.raises(StorageUnavailable) as refused:
        await outbox.probe()
    assert refused.value.code == "disk_nearly_full"
