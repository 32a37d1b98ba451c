"""What the files hold of secrets: nothing that was stored before it was sealed."""

import sqlite3
from pathlib import Path

import pytest
from conversion_kit import conversion
from instant_kit import NOW, later
from outbox_kit import put
from store_kit import SqliteHouse

from sidecar.ports.errors import LostKey
from sidecar.store.tokens import SealedTokens
from sidecar.store.vault import Vault

LONG = "plain:test-refresh-" + "0123456789" * 900
"""Longer than a page: part of it lies on pages of its own."""


def readable(folder: Path) -> list[str]:
    """The files that hold any stretch of the plain value."""
    return [
        path.name
        for path in sorted(folder.iterdir())
        if path.is_file() and (b"0123456789" * 3 in (found := path.read_bytes()) or b"test-refresh" in found)
    ]


async def test_moment_of_the_last_change_is_stored(house: SqliteHouse) -> None:
    await house.open(NOW)
    await house.secrets.put("refresh_token", "test-sealed")
    await house.close()
    await house.open(later(5))
    await house.secrets.put("refresh_token", "test-sealed-again")
    assert [row["updated_at"] for row in await house.rows("secrets")] == [later(5)]


@pytest.mark.parametrize("plain", [LONG, "plain:test-refresh-0123456789"])
async def test_nothing_of_a_plain_value_is_left_once_it_is_sealed(house: SqliteHouse, plain: str) -> None:
    """Neither in the file nor in its log, while the sidecar goes on."""
    outbox = await house.open()
    secrets = house.secrets
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
    assert (await outbox.counts()).pending == 3


async def test_a_log_that_a_dead_process_left_behind_is_emptied_with_the_first_sealed_value(
    house: SqliteHouse,
) -> None:
    """As when it died between sealing and emptying the log."""
    outbox = await house.open()
    await house.secrets.put("refresh_token", LONG)
    row = ("refresh_token", "aes256gcm-scrypt:test-sealed", NOW)
    await outbox.committer.write(
        lambda db: db.execute("INSERT OR REPLACE INTO secrets (name, value, updated_at) VALUES (?, ?, ?)", row) and None
    )
    await house.crash()
    outbox = await house.open()
    await house.secrets.put("refresh_token", "aes256gcm-scrypt:test-sealed-again")
    assert readable(house.path.parent) == []


async def test_a_reader_in_the_way_delays_the_emptying_until_the_next_value(house: SqliteHouse) -> None:
    await house.open()
    secrets = house.secrets
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
    outbox = await house.open()
    secrets = house.secrets
    for value in (b"plain:\xff\xfe", b"aes256gcm-scrypt:\x00", 5):
        await outbox.committer.write(
            lambda db, value=value: (
                db.execute("INSERT OR REPLACE INTO secrets VALUES ('refresh_token', ?, 0)", (value,)) and None
            )
        )
        with pytest.raises(LostKey):
            await SealedTokens(secrets, Vault("test-passphrase-of-the-vault")).load()
