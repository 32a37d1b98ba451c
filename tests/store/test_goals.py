"""The catalogues of goals: kept whole, one for each account, and there after a crash."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from store_kit import NOW, SqliteHouse, later

from sidecar.core.goals.goal import Catalogue, Goal, Revenue
from sidecar.ports.upkeep import Goals
from sidecar.store.sqlite.goals import SqliteGoals
from sidecar.store.sqlite.outbox import SqliteOutbox

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


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[SqliteHouse]:
    built = SqliteHouse(tmp_path)
    yield built
    await built.close()


def goals_of(outbox: SqliteOutbox) -> Goals:
    return SqliteGoals(outbox.committer, outbox.reader)


async def test_nothing_is_known_at_first(house: SqliteHouse) -> None:
    assert await goals_of(await house.open()).load() == []


async def test_catalogue_is_kept_whole_and_survives_a_crash(house: SqliteHouse) -> None:
    other = Catalogue(account="other", identity="1/3", read_at=later(5), gone=(replace(FULL, enhanced=None),))
    goals = goals_of(await house.open())
    await goals.save(CATALOGUE)
    await goals.save(other)
    assert sorted(await goals.load(), key=lambda one: one.account) == [CATALOGUE, other]
    await house.crash()
    assert sorted(await goals_of(await house.open()).load(), key=lambda one: one.account) == [CATALOGUE, other]


async def test_newer_catalogue_replaces_the_one_before_and_no_other(house: SqliteHouse) -> None:
    goals = goals_of(await house.open())
    newer = replace(CATALOGUE, read_at=later(9), auto_tagging=None, goals=(BARE,), gone=(FULL,))
    for catalogue in (CATALOGUE, replace(CATALOGUE, account="other"), newer):
        await goals.save(catalogue)
    assert sorted(await goals.load(), key=lambda one: one.account) == [newer, replace(CATALOGUE, account="other")]
