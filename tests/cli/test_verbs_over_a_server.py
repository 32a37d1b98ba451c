"""Verbs whose configuration names a database on a server: what they show of it, and what they leave to it."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import postgres_kit
import pytest
from cli_kit import process, sidecar
from store_kit import running_store

from sidecar.cli.target import find
from sidecar.config.loader import parse
from sidecar.service.settings import Settings
from sidecar.service.shared_key import shared_key
from sidecar.store.vault import Vault

NOWHERE = "postgresql://me:test-secret@127.0.0.1:1/shop"

needs_server = pytest.mark.skipif(postgres_kit.binaries() is None, reason="no PostgreSQL server is installed")


def config(folder: Path, url: str, server: str = "port: 9001", storage: str = "") -> str:
    text = f"server: {{{server}}}\nstorage: {{url: '{url}'{storage}}}\nmicrosoft: {{environment: emulator}}\n"
    (folder / "config.yaml").write_text(text)
    return text


@pytest.fixture
def database() -> Iterator[str]:
    url = postgres_kit.empty_database()
    yield url.replace("sidecar@", "sidecar:test-secret@")
    postgres_kit.drop(url)


def test_check_accepts_a_server_and_shows_it_without_its_password(tmp_path: Path) -> None:
    config(tmp_path, NOWHERE)
    shown = sidecar("check", "--config", str(tmp_path / "config.yaml"))
    assert shown.exit_code == 0, shown.output
    assert "url: postgresql://me:***@127.0.0.1:1/shop" in shown.output
    assert "test-secret" not in shown.output


def test_password_of_the_url_is_masked_wherever_it_occurs(tmp_path: Path) -> None:
    parsed = parse(config(tmp_path, NOWHERE), {})
    assert "test-secret" in Settings(parsed).secrets()
    assert "test-secret" not in repr(parsed)


def test_backup_leaves_the_copy_to_the_server(tmp_path: Path) -> None:
    config(tmp_path, NOWHERE)
    told = sidecar("backup", "--config", str(tmp_path / "config.yaml"), str(tmp_path / "copy.db"))
    assert told.exit_code == 1
    assert "pg_dump --format=custom" in told.output
    assert "test-secret" not in told.output


def test_doctor_without_a_sidecar_reports_a_server_that_does_not_answer(tmp_path: Path) -> None:
    config(tmp_path, NOWHERE)
    told = sidecar("doctor", "--config", str(tmp_path / "config.yaml"), url="")
    assert told.exit_code == 2
    assert "postgresql://me:***@127.0.0.1:1/shop cannot be opened" in " ".join(told.output.split())
    assert "its disk is watched there" in told.output
    assert "test-secret" not in told.output


@needs_server
def test_doctor_without_a_sidecar_looks_at_the_outbox_on_a_server(tmp_path: Path, database: str) -> None:
    config(tmp_path, database)
    before = " ".join(sidecar("doctor", "--config", str(tmp_path / "config.yaml"), url="").output.split())
    assert "does not exist yet" in before
    assert "The sidecar does not run" in before

    async def begin() -> None:
        async with running_store(database) as store:
            await store.secrets.put("refresh_token", "plain:{}")
            await store.leases.beat(["default"])

    asyncio.run(begin())
    told = " ".join(sidecar("doctor", "--config", str(tmp_path / "config.yaml"), url="").output.split())
    assert "can be written (" in told
    assert re.search(r"schema \d+, environment emulator", told)
    assert "1 replica runs with this outbox, but none answers at this address" in told
    assert "test-secret" not in told


@needs_server
def test_key_that_the_first_start_made_is_found_in_the_database(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    passphrase = "test-passphrase-of-32-characters-1"
    config(tmp_path, database, "port: 9001, host: 0.0.0.0", f", encryption_key: {passphrase}")
    assert find(None, "", {}).api_key == ""

    async def begin() -> list[tuple[str, bool]]:
        async with running_store(database) as store:
            return [await shared_key(store.secrets, Vault(passphrase)) for _ in range(2)]

    (made, is_new), again = asyncio.run(begin())
    assert is_new
    assert again == (made, False)
    assert find(None, "", {}).api_key == made
    config(tmp_path, database, "port: 9001, host: 0.0.0.0", ", encryption_key: test-another-passphrase-1")
    assert find(None, "", {}).api_key == ""
    config(tmp_path, database, "port: 9001", f", encryption_key: {passphrase}")
    assert find(None, "", {}).api_key == "", "on loopback no call needs a key"


@needs_server
@pytest.mark.parametrize("left", ["plain:", "plain:short", "plain:two words that are long"])
def test_stored_text_that_is_no_key_lets_no_sidecar_start(tmp_path: Path, database: str, left: str) -> None:
    async def begin() -> None:
        async with running_store(database) as store:
            await store.secrets.put("api_key", left)

    asyncio.run(begin())
    config(tmp_path, database, "port: 0, host: 0.0.0.0")
    with process("run", "--config", str(tmp_path / "config.yaml"), folder=tmp_path) as started:
        _, error = started.communicate(timeout=60)
    assert started.returncode == 1
    assert "name keys of your own in server.api_keys" in error
