"""A look at an outbox on a server without opening it for work: whose it is, how large, its secrets."""

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg

from sidecar.core.server_url import without_password
from sidecar.store.postgres import migrations, server_check
from sidecar.store.postgres.address import parameters
from sidecar.store.postgres.connection import PostgresConnection
from sidecar.store.postgres.server_errors import refused
from sidecar.store.sql import move_marks
from sidecar.store.store import OutboxGlance

_SIZE = "SELECT pg_database_size(current_database())"

_LIVE = "SELECT count(*) FROM replicas WHERE alive_until > extract(epoch FROM clock_timestamp()) * 1000"


def glance(url: str, environment: str) -> OutboxGlance:
    """Look at the outbox, whose tables may not exist yet; OutboxRefused when a start would refuse it."""
    shown = without_password(url)
    with _looking(url) as db:
        server_check.checked(db, shown)
        if not (schema := migrations.schema_version(db)):
            migrations.refuse_foreign(db, shown)
            return OutboxGlance()
        migrations.refuse_newer(db, shown)
        move_marks.refuse_moved(db, shown)
        migrations.refuse_other_environment(db, shown, environment)
        [size] = db.execute(_SIZE).fetchone() or (0,)
        sealed = dict(db.execute("SELECT name, value FROM secrets").fetchall())
        [replicas] = db.execute(_LIVE).fetchone() or (0,)
        return OutboxGlance(schema, environment, size, sealed, replicas)


def secret(url: str, name: str) -> str | None:
    """The stored secret, as it lies there; None where there is none. OutboxRefused when it cannot be read."""
    with _looking(url) as db:
        if not migrations.schema_version(db):
            return None
        found = db.execute("SELECT value FROM secrets WHERE name = ?", (name,)).fetchone()
        return str(found[0]) if found else None


@contextlib.contextmanager
def _looking(url: str) -> Iterator[PostgresConnection]:
    """A connection that changes nothing; every error of the server becomes OutboxRefused."""
    given: dict[str, Any] = parameters(url)
    try:
        with psycopg.connect(**given, autocommit=True, prepare_threshold=None) as db:
            yield PostgresConnection(db)
    except psycopg.Error as error:
        raise refused(error, url) from error
