"""The catalogues of goals: kept whole, one for each account, and there after a crash."""

from dataclasses import replace

from instant_kit import NOW, later
from store_kit import House

from sidecar.core.goals.goal import Catalogue, Goal, Revenue

FULL = Goal(
    id="48210331",
    name="Übergröße 'deal'",
    type="OfflineConversion",
    status="Paused",
    count_type="Unique",
    window_seconds=86_400,
    category="Purchase",
    revenue=Revenue("VariableValue", "12.5", "EUR"),
    enhanced=True,
    externally_attributed=False,
    first_seen_at=NOW,
    is_new=True,
)
BARE = Goal(id="7", name="Visit", type="Url", first_seen_at=NOW)
CATALOGUE = Catalogue(account="main", identity="1/2", read_at=NOW, auto_tagging=False, goals=(FULL, BARE))


async def test_nothing_is_known_at_first(house: House) -> None:
    await house.open()
    assert await house.goals.load() == []


async def test_catalogue_is_kept_whole_and_survives_a_crash(house: House) -> None:
    other = Catalogue(account="other", identity="1/3", read_at=later(5), gone=(replace(FULL, enhanced=None),))
    await house.open()
    goals = house.goals
    await goals.save(CATALOGUE)
    await goals.save(other)
    assert sorted(await goals.load(), key=lambda one: one.account) == [CATALOGUE, other]
    await house.crash()
    await house.open()
    assert sorted(await house.goals.load(), key=lambda one: one.account) == [CATALOGUE, other]


async def test_newer_catalogue_replaces_the_one_before_and_no_other(house: House) -> None:
    await house.open()
    goals = house.goals
    newer = replace(CATALOGUE, read_at=later(9), auto_tagging=None, goals=(BARE,), gone=(FULL,))
    for catalogue in (CATALOGUE, replace(CATALOGUE, account="other"), newer):
        await goals.save(catalogue)
    assert sorted(await goals.load(), key=lambda one: one.account) == [newer, replace(CATALOGUE, account="other")]
