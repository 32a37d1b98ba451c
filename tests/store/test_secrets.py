"""Small sealed values beside the outbox: kept, replaced, there after a restart, and behind the same committer."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from store_kit import NOW, SqliteHouse, conversion, later, put

from sidecar.core.instant import UnixMillis
from sidecar.ports.errors import LostKey, StorageUnavailable
from sidecar.store.sqlite.outbox import SqliteOutbox
from sidecar.store.sqlite.secrets import SqliteSecrets
from sidecar.store.tokens import SealedTokens
from sidecar.store.vault import Vault


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


# --- From plain to sealed --------------------------------------------------------------------------------------------

LONG = "plain:test-refresh-" + "0123456789" * 900
"""Longer than a page: part of it lies on pages of its own."""


def readable(folder: Path) -> list[str]:
    """The files that hold any stretch of the plain value."""
    return [
        path.name
        for path in sorted(folder.iterdir())
        if path.is_file() and (b"0123456789" * 3 in (found := path.read_bytes()) or b"test-refresh" in found)
    ]


@pytest.mark.parametrize("plain", [LONG, "plain:test-refresh-0123456789"])
async def test_nothing_of_a_plain_value_is_left_once_it_is_sealed(house: SqliteHouse, plain: str) -> None:
    """Neither in the file nor in its log, while the sidecar goes on."""
    outbox = await house.open()
    secrets = secrets_of(outbox, Clock())
    await secrets.put("first", "test-other")
    for turn in range(3):
        await secrets.put("refresh_token", f"{plain}{turn}")
        await put(outbox, conversion(f"ORDER-{turn}"))
    await secrets.put("last", "test-other")
    assert readable(house.path.parent), "it was there"
    await secrets.put("refresh_token", "aes256gcm-scrypt:test-sealed")
    assert readable(house.path.parent) == []
    assert [await secrets.get(name) for name in ("first", "last")] == ["test-other"] * 2
    assert await secrets.get("refresh_token") == "aes256gcm-scrypt:test-sealed"
    assert outbox.counts.pending == 3


async def test_a_log_that_a_dead_process_left_behind_is_emptied_with_the_first_sealed_value(
    house: SqliteHouse,
) -> None:
    """As when it died between sealing and emptying the log."""
    outbox = await house.open()
    await secrets_of(outbox, Clock()).put("refresh_token", LONG)
    row = ("refresh_token", "aes256gcm-scrypt:test-sealed", NOW)
    await outbox.committer.write(
        lambda db: db.execute("INSERT OR REPLACE INTO secrets (name, value, updated_at) VALUES (?, ?, ?)", row) and None
    )
    await house.crash()
    outbox = await house.open()
    await secrets_of(outbox, Clock()).put("refresh_token", "aes256gcm-scrypt:test-sealed-again")
    assert readable(house.path.parent) == []


async def test_a_reader_in_the_way_delays_the_emptying_until_the_next_value(house: SqliteHouse) -> None:
    outbox = await house.open()
    secrets = secrets_of(outbox, Clock())
    await secrets.put("refresh_token", LONG)
    with sqlite3.connect(house.path, isolation_level=None) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM secrets").fetchone()
        await secrets.put("refresh_token", "aes256gcm-scrypt:test-sealed")
        assert await secrets.get("refresh_token") == "aes256gcm-scrypt:test-sealed"
        reader.execute("COMMIT")
    reader.close()
    await secrets.put("refresh_token", "aes256gcm-scrypt:test-sealed-again")
    assert readable(house.path.parent) == []


async def test_a_value_that_is_no_text_any_more_is_read_all_the_same(house: SqliteHouse) -> None:
    secrets = secrets_of(await house.open(), Clock())
    for value in (b"plain:\xff\xfe", b"aes256gcm-scrypt:\x00", 5):
        await secrets.committer.write(
            lambda db, value=value: (
                db.execute("INSERT OR REPLACE INTO secrets VALUES ('refresh_token', ?, 0)", (value,)) and None
            )
        )
        with pytest.raises(LostKey):
            await SealedTokens(secrets, Vault("test-passphrase-of-the-vault")).load()
