"""A look at an outbox on a server without opening it for work: whose it is, how large, its secrets."""

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg

from sidecar.core.server_url import hide_passwords, without_password
from sidecar.ports.errors import OutboxRefused
from sidecar.store.postgres.connection import PostgresConnection
from sidecar.store.sql import move_marks
from sidecar.store.store import OutboxGlance

CONNECT_SECONDS = 5

SCHEMA = 1
"""The number of the only schema that there is."""

_HAS_TABLES = "SELECT to_regclass('entries') IS NOT NULL"


def glance(url: str, environment: str) -> OutboxGlance:
    """Look at the outbox, whose tables may not exist yet; OutboxRefused when a start would refuse it."""
    with _looking(url) as db:
        if not _value(db, _HAS_TABLES):
            return OutboxGlance()
        move_marks.refuse_moved(PostgresConnection(db), without_password(url))
        stored = _value(db, "SELECT value FROM facts WHERE name = 'environment'") or environment
        if stored != environment:
            raise OutboxRefused(
                f"the outbox {without_password(url)} holds conversions for microsoft.environment '{stored}', but the "
                f"configuration says '{environment}'; set it back, or name another database in storage.url"
            )
        size = _value(db, "SELECT pg_database_size(current_database())")
        sealed = dict(db.execute("SELECT name, value FROM secrets").fetchall())
        return OutboxGlance(SCHEMA, stored, size, sealed)


def secret(url: str, name: str) -> str | None:
    """The stored secret, as it lies there; None where there is none. OutboxRefused when it cannot be read."""
    with _looking(url) as db:
        if not _value(db, _HAS_TABLES):
            return None
        found: str | None = _value(db, "SELECT value FROM secrets WHERE name = %s", name)
        return found


def _value(db: psycopg.Connection[tuple[Any, ...]], statement: str, *values: str) -> Any:
    row = db.execute(statement.encode(), values, prepare=False).fetchone()
    return row and row[0]


@contextlib.contextmanager
def _looking(url: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A connection that changes nothing; every error of the server becomes OutboxRefused."""
    try:
        with psycopg.connect(url, connect_timeout=CONNECT_SECONDS) as db:
            db.read_only = True
            yield db
    except psycopg.Error as error:
        words = " ".join(hide_passwords(str(error), url).split())
        raise OutboxRefused(
            f"the outbox {without_password(url)} cannot be read: {words}; check storage.url, and that the server runs"
        ) from error
