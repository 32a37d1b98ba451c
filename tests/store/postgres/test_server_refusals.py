"""Servers and databases that a start refuses: each with the reason, what to do, and never the password."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import postgres_kit
import psycopg
import pytest
from instant_kit import NOW
from postgres_kit import run_as_server
from postgres_server_kit import PostgresServer, running_pair, running_server

from sidecar.emulator.tls import make_certificate
from sidecar.ports.errors import OutboxRefused
from sidecar.store.opening import open_store
from sidecar.store.postgres.server_check import Server, weakness
from sidecar.store.store import StoreLimits

PASSWORD = "test-outbox-secret/halves"


async def opened(url: str, environment: str = "emulator") -> None:
    """Open the outbox at `url` and close it again."""
    async with open_store(url, environment, lambda: NOW, StoreLimits()):
        pass


async def refusal(url: str, environment: str = "emulator") -> str:
    with pytest.raises(OutboxRefused) as refused:
        await opened(url, environment)
    return str(refused.value)


@pytest.fixture
def database() -> Iterator[str]:
    """The URL of an empty database on the run's server."""
    url = postgres_kit.empty_database()
    yield url
    postgres_kit.drop(url)


def carry_out(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as db:
        for statement in statements:
            db.execute(statement)  # type: ignore[call-overload]


# --- the database ----------------------------------------------------------------------------------------------------


async def test_database_with_tables_of_another_program_is_refused_and_left_as_it_was(database: str) -> None:
    carry_out(database, "CREATE TABLE invoices (id int)", "CREATE VIEW open_invoices AS SELECT * FROM invoices")
    assert "has tables of another program (invoices, open_invoices); create an empty one" in await refusal(database)
    with psycopg.connect(database) as db:
        assert db.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (1,)


async def test_views_of_an_extension_are_nobodys_data(database: str) -> None:
    carry_out(database, "CREATE EXTENSION pg_stat_statements")
    await opened(database)


async def test_outbox_of_a_newer_version_is_refused(database: str) -> None:
    await opened(database)
    carry_out(database, "UPDATE sidecar_schema SET version = 99")
    assert "was written by a newer version of the sidecar (schema 99, this one knows " in await refusal(database)


async def test_outbox_of_another_environment_is_refused(database: str) -> None:
    await opened(database)
    told = await refusal(database, "production")
    assert "holds conversions for microsoft.environment 'emulator', but the configuration says 'production'" in told


async def test_database_that_cannot_hold_every_character_is_refused(database: str) -> None:
    latin = f"{database.rpartition('/')[2]}_latin"
    carry_out(database, f"CREATE DATABASE {latin} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    told = await refusal(f"{database}_latin")
    assert "has the encoding LATIN1" in told
    assert "ENCODING 'UTF8'" in told
    postgres_kit.drop(f"{database}_latin")


async def test_database_without_a_schema_for_our_tables_is_refused(database: str) -> None:
    name = database.rpartition("/")[2]
    carry_out(database, f"ALTER DATABASE {name} SET search_path = 'nowhere'")
    assert "has no schema for our tables" in await refusal(database)


async def test_user_without_rights_learns_what_to_grant(database: str) -> None:
    user = f"u{database.rpartition('/')[2]}"
    carry_out(database, f"CREATE USER {user}")
    told = await refusal(database.replace("sidecar@", f"{user}@"))
    assert "permission denied for schema public; give the user the right to it" in told
    carry_out(database, f"DROP USER {user}")


async def test_missing_database_is_named_with_how_to_make_it(database: str) -> None:
    told = await refusal(f"{database}_missing")
    assert "_missing\" does not exist; create the database (CREATE DATABASE … ENCODING 'UTF8')" in told


# --- the server ------------------------------------------------------------------------------------------------------


async def test_server_that_is_not_there_is_refused_with_what_to_check() -> None:
    told = await refusal(f"postgresql://sidecar:{PASSWORD}@127.0.0.1:{postgres_kit.free_port()}/outbox")
    assert "check that the server runs" in told
    assert not leaked(told)


async def test_server_without_fsync_is_refused_until_it_has_it() -> None:
    with running_server() as server:
        server.run("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
        told = await refusal(server.url())
        assert "runs with fsync=off, so that a power cut may lose or damage everything: set fsync = on" in told
        server.run("ALTER SYSTEM SET fsync = on", "SELECT pg_reload_conf()")
        await opened(server.url())


async def test_read_only_database_and_standby_are_refused_and_the_primary_is_found_among_hosts(database: str) -> None:
    name = database.rpartition("/")[2]
    carry_out(database, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    assert "read-only; name the primary in storage.url, or all hosts" in await refusal(database)
    with running_pair() as pair:
        assert "read-only; name the primary in storage.url" in await refusal(pair.standby.url())
        await opened(f"postgresql://sidecar@{pair.standby.address},{pair.primary.address}/postgres")


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        (Server(120012, "12.12", "UTF8", "on", False, "off", "on"), "PostgreSQL 12.12, and 13 or newer is needed"),
        (Server(150000, "15.0", "UTF8", "on", True, "on", "on"), "is a standby: name the primary"),
        (Server(150000, "15.0", "UTF8", "on", False, "on", "on"), "is read-only (default_transaction_read_only)"),
    ],
)
def test_server_that_is_not_as_it_must_be_is_refused_with_the_reason(server: Server, reason: str) -> None:
    assert reason in (weakness(server) or "")
    assert weakness(server._replace(version=130000, is_standby=False, read_only="off")) is None


# --- passwords -------------------------------------------------------------------------------------------------------


def leaked(text: str) -> list[str]:
    """The parts of the password that a text shows."""
    return [part for part in PASSWORD.split("/") if part in text]


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://sidecar:{PASSWORD}@127.0.0.1/outbox",
        f"postgresql://sidecar:{PASSWORD.replace('/', '@')}@127.0.0.1:1/outbox",
        f"postgresql://sidecar:{PASSWORD.replace('/', '%zz')}@127.0.0.1/outbox",
        f"postgresql://127.0.0.1:1/outbox?user=sidecar&password={PASSWORD}",
        f"postgresql://sidecar:{PASSWORD.replace('/', ':')}@[127.0.0.1/outbox",
        f"postgresql://sidecar:{PASSWORD}@127.0.0.1:1/outbox?nonsense={PASSWORD}",
    ],
)
async def test_no_mistake_in_the_url_shows_a_part_of_the_password(url: str) -> None:
    assert not leaked(await refusal(url))


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[PostgresServer]:
    """A server that asks for passwords."""
    with running_server() as server:
        server.run(f"ALTER USER sidecar PASSWORD '{PASSWORD}'")
        access = server.data / "pg_hba.conf"
        access.write_text(access.read_text().replace("trust", "scram-sha-256"))
        run_as_server("pg_ctl", "reload", "-D", str(server.data), "-s")
        yield server


async def test_password_comes_from_the_url_or_from_a_file_and_a_wrong_one_is_explained(
    guarded: PostgresServer, tmp_path: Path
) -> None:
    told = await refusal(guarded.url().replace("sidecar@", "sidecar:test-wrong-one@"))
    assert 'password authentication failed for user "sidecar"; check the user and the password' in told
    assert "test-wrong-one" not in told
    await opened(guarded.url().replace("sidecar@", f"sidecar:{PASSWORD.replace('/', '%2F')}@"))
    file = tmp_path / "pgpass"
    file.write_text(f"127.0.0.1:{guarded.port}:*:sidecar:{PASSWORD}\n")
    file.chmod(0o600)
    await opened(guarded.url(query=f"?passfile={file}"))


async def test_server_without_a_free_connection_is_refused_with_what_to_raise() -> None:
    with running_server(max_connections=4, superuser_reserved_connections=0, max_wal_senders=0) as server:
        taken = [await asyncio.to_thread(psycopg.connect, server.url()) for _ in range(4)]
        assert "raise max_connections of the server, or put pgbouncer before it" in await refusal(server.url())
        for one in taken:
            one.close()


async def test_server_that_another_authority_or_name_vouches_for_is_refused(tmp_path: Path) -> None:
    ours, other = make_certificate(["127.0.0.1"]), make_certificate(["127.0.0.1"])
    for name, made in {"ours": ours, "other": other}.items():
        (tmp_path / name).write_text(made.ca_pem)
    with running_server() as server:
        for file, text in {"server.crt": ours.server_pem, "server.key": ours.key_pem}.items():
            path = server.data / file
            path.write_text(text)
            path.chmod(0o600)
            os.chown(path, server.data.stat().st_uid, -1)
        server.run("ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()")
        server.restart("fast")
        verified = "?sslmode=verify-full&sslrootcert="
        await opened(server.url(query=f"{verified}{tmp_path / 'ours'}"))
        told = await refusal(server.url(query=f"{verified}{tmp_path / 'other'}"))
        assert "certificate verify failed; check sslmode and sslrootcert in storage.url" in told
        by_name = server.url(query=f"{verified}{tmp_path / 'ours'}").replace("127.0.0.1", "localhost")
        assert "check sslmode and sslrootcert in storage.url" in await refusal(by_name)
