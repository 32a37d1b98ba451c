"""The URL of a database on a server: its form, its passwords, and what is shown of it."""

import pytest

from sidecar.core.server_url import (
    database_name,
    hide_passwords,
    hosts_of,
    is_well_formed,
    options_of,
    passwords_in,
    without_password,
)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://db/x",
        "postgres://db",
        "postgresql://me:test-secret@db:5433/x",
        "postgresql://me@a,b:5433/x?target_session_attrs=read-write",
        "postgresql://[::1]:5433/x",
        "postgresql:///x?host=/var/run/postgresql",
    ],
)
def test_form_of_a_server_is_accepted(url: str) -> None:
    assert is_well_formed(url)


@pytest.mark.parametrize(
    "url",
    ["postgresql:/db/x", "postgresql://me:a/b@db/x", "postgresql://me:a@b@db/x", "postgresql://db/x#y", "mysql://db/x"],
)
def test_other_forms_are_not(url: str) -> None:
    assert not is_well_formed(url)


@pytest.mark.parametrize(
    ("url", "shown", "passwords"),
    [
        ("postgresql://db/x", "postgresql://db/x", []),
        ("postgresql://me@db/x", "postgresql://me@db/x", []),
        ("postgresql://me:@db/x", "postgresql://me:***@db/x", []),
        ("postgresql://me:test%401@db/x", "postgresql://me:***@db/x", ["test%401", "test@1"]),
        (
            "postgres://me@db/x?password=test-1&sslmode=require&sslpassword=test-2",
            "postgres://me@db/x?password=***&sslmode=require&sslpassword=***",
            ["test-1", "test-2"],
        ),
        ("sqlite:///a:b@c/x.db", "sqlite:///a:b@c/x.db", []),
    ],
)
def test_passwords_are_found_and_not_shown(url: str, shown: str, passwords: list[str]) -> None:
    assert without_password(url) == shown
    assert list(passwords_in(url)) == passwords


def test_error_of_the_driver_that_quotes_the_url_is_shown_without_its_password() -> None:
    url = "postgresql://me:test%401@[::1]x/db"
    error = f'unexpected character "x" in position 29 in URI (expected ":" or "/"): "{url}"'
    assert "test" not in hide_passwords(error, url)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://db/shop", "shop"),
        ("postgresql://db/a%20b", "a b"),
        ("postgresql://db?dbname=shop", "shop"),
        ("postgresql://db", ""),
        ("postgresql://db/?user=me", ""),
    ],
)
def test_name_of_the_database(url: str, name: str) -> None:
    assert database_name(url) == name


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://me:test-secret@db.example:5433/shop", ["db.example"]),
        ("postgresql://a.example,b.example:5433/shop?target_session_attrs=read-write", ["a.example", "b.example"]),
        ("postgresql://[::1]:5433,[fe80::2]/shop", ["::1", "fe80::2"]),
        ("postgresql:///shop?host=/run/postgresql", ["/run/postgresql"]),
        ("postgresql:///shop", []),
    ],
)
def test_hosts_are_found_without_their_ports(url: str, hosts: list[str]) -> None:
    assert hosts_of(url) == hosts


def test_options_are_those_behind_the_question_mark() -> None:
    assert options_of("postgresql://db/x?sslmode=verify-full&passfile=%2Frun%2Fpgpass") == {
        "sslmode": "verify-full",
        "passfile": "/run/pgpass",
    }


def test_password_that_was_not_encoded_is_hidden_in_each_part_of_an_error() -> None:
    url = "postgresql://me:test-half@other-half@db/x"
    assert "half" not in without_password(url)
    assert "half" not in hide_passwords('could not translate host name "other-half@db"', url)
