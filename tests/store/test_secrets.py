"""Small sealed values beside the outbox: stored, replaced, there after a restart, and behind the same committer."""

import asyncio

import pytest
from conversion_kit import conversion
from outbox_kit import put
from store_kit import House

from sidecar.ports.errors import StorageUnavailable


async def test_unknown_name_has_no_value(house: House) -> None:
    await house.open()
    assert await house.secrets.get("refresh_token") is None


async def test_value_is_there_as_soon_as_it_was_put_and_the_last_one_counts(house: House) -> None:
    await house.open()
    secrets = house.secrets
    for number in range(3):
        await secrets.put("refresh_token", f"test-sealed-{number}")
        assert await secrets.get("refresh_token") == f"test-sealed-{number}"
    await secrets.put("api_key", "test-key")
    assert await secrets.get("refresh_token") == "test-sealed-2"
    assert await secrets.get("api_key") == "test-key"


async def test_values_are_there_after_a_crash(house: House) -> None:
    await house.open()
    await house.secrets.put("refresh_token", "test-sealed")
    await house.crash()
    await house.open()
    assert await house.secrets.get("refresh_token") == "test-sealed"


async def test_value_is_written_between_conversions_and_undoes_none(house: House) -> None:
    outbox = await house.open()
    secrets = house.secrets
    await asyncio.gather(
        *(put(outbox, conversion(f"ORDER-{number}")) for number in range(50)),
        *(secrets.put(f"name-{number}", str(number)) for number in range(10)),
    )
    assert (await outbox.counts()).pending == 50
    assert [await secrets.get(f"name-{number}") for number in range(10)] == [str(number) for number in range(10)]


async def test_value_that_cannot_be_written_is_reported(house: House) -> None:
    await house.open()
    secrets = house.secrets
    await house.close()
    with pytest.raises(StorageUnavailable):
        await secrets.put("refresh_token", "test-sealed")
