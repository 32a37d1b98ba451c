"""Pauses of accounts: one fact each, there after a crash, and gone once the account goes on."""

from instant_kit import NOW, later
from store_kit import House


async def test_no_account_is_paused_at_first(house: House) -> None:
    await house.open()
    assert await house.pauses.all() == {}


async def test_pause_survives_a_crash_with_the_moment_when_it_began(house: House) -> None:
    await house.open()
    await house.pauses.put("main", NOW)
    await house.pauses.put("other", later(5))
    await house.crash()
    await house.open()
    assert await house.pauses.all() == {"main": NOW, "other": later(5)}


async def test_second_pause_changes_nothing(house: House) -> None:
    await house.open()
    await house.pauses.put("main", NOW)
    await house.pauses.put("main", later(5))
    assert await house.pauses.all() == {"main": NOW}


async def test_account_that_goes_on_is_paused_no_more_and_others_are(house: House) -> None:
    await house.open()
    for account in ("main", "main:2", "other"):
        await house.pauses.put(account, NOW)
    await house.pauses.remove("main")
    await house.pauses.remove("never paused")
    assert await house.pauses.all() == {"main:2": NOW, "other": NOW}
