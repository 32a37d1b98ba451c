"""Small sealed values beside the outbox: kept, replaced, there after a restart, and behind the same committer."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from outbox_building import NOW, SqliteHouse, conversion, later, put

from sidecar.core.instant import UnixMillis
from sidecar.ports import StorageUnavailable
from sidecar.store.sqlite.outbox import SqliteOutbox
from sidecar.store.sqlite.secrets import SqliteSecrets


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> UnixMillis:
        return self.at


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[SqliteHouse]:
    built = SqliteHouse(tmp_path)
    yield built
    await built.close()


def secrets_of(outbox: SqliteOutbox, now: Clock) -> SqliteSecrets:
    return SqliteSecrets(outbox.committer, outbox.reader, now)


async def test_unknown_name_has_no_value(house: SqliteHouse) -> None:
    assert await secrets_of(await house.open(), Clock()).get("refresh_token") is None


async def test_value_is_there_as_soon_as_it_was_put_and_the_last_one_counts(house: SqliteHouse) -> None:
    secrets = secrets_of(await house.open(), Clock())
    for number in range(3):
        await secrets.put("refresh_token", f"test-sealed-{number}")
        assert await secrets.get("refresh_token") == f"test-sealed-{number}"
    await secrets.put("api_key", "test-key")
    assert await secrets.get("refresh_token") == "test-sealed-2"
    assert await secrets.get("api_key") == "test-key"


async def test_values_are_there_after_a_crash(house: SqliteHouse) -> None:
    await secrets_of(await house.open(), Clock()).put("refresh_token", "test-sealed")
    await house.crash()
    assert await secrets_of(await house.open(), Clock()).get("refresh_token") == "test-sealed"


async def test_moment_of_the_last_change_is_kept(house: SqliteHouse) -> None:
    clock = Clock()
    secrets = secrets_of(await house.open(), clock)
    await secrets.put("refresh_token", "test-sealed")
    clock.at = later(5)
    await secrets.put("refresh_token", "test-sealed-again")
    await house.close()
    with sqlite3.connect(house.path) as db:
        assert db.execute("SELECT updated_at FROM secrets").fetchall() == [(later(5),)]


async def test_value_is_written_between_conversions_and_undoes_none(house: SqliteHouse) -> None:
    outbox = await house.open()
    secrets = secrets_of(outbox, Clock())
    await asyncio.gather(
        *(put(outbox, conversion(f"ORDER-{number}")) for number in range(50)),
        *(secrets.put(f"name-{number}", str(number)) for number in range(10)),
    )
    assert outbox.counts.pending == 50
    assert [await secrets.get(f"name-{number}") for number in range(10)] == [str(number) for number in range(10)]


async def test_value_that_cannot_be_written_is_said_to_be_so(house: SqliteHouse) -> None:
    outbox = await house.open()
    secrets = secrets_of(outbox, Clock())
    await house.close()
    with pytest.raises(StorageUnavailable):
        await secrets.put("refresh_token", "test-sealed")
