"""The schema of a database: whose it is, how new it is, and the steps that bring it up to date.

Replicas that start at once race for it: a lock of the transaction lets one carry out a step, and the others see it
done. No lock outlives its transaction, so that a pooler may lie between.
"""

from importlib import resources
from importlib.resources.abc import Traversable

from sidecar.ports.errors import OutboxRefused
from sidecar.store.postgres.connection import PostgresConnection
from sidecar.store.postgres.transactions import WITHOUT_LIMITS

SCHEMA: Traversable = resources.files("sidecar.store.postgres") / "schema"
"""The steps of the schema, in the order of their names; one that was released never changes."""

_LOCK = 0x6D736164
"""The number of the advisory lock, as SQLite's files have it for their application."""

# Read from the catalogue itself: to_regclass may still say no after the wait for the replica that made the table.
_HAS_VERSION = """
    SELECT EXISTS (
        SELECT FROM pg_class WHERE relname = 'sidecar_schema' AND relnamespace = current_schema()::regnamespace
    )
"""

_VERSION = "SELECT version FROM sidecar_schema"

# What an extension made, such as the views of pg_stat_statements, is no program's data.
_FOREIGN = """
    SELECT string_agg(name, ', ') FROM (
        SELECT relname AS name FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT EXISTS (
            SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e'
        )
        ORDER BY relname LIMIT 3
    ) AS found
"""


def schema_version(db: PostgresConnection) -> int:
    """How many steps were carried out; 0 for a database without tables of ours."""
    [exists] = db.execute(_HAS_VERSION).fetchone() or (False,)
    return _stored_version(db) if exists else 0


def refuse_foreign(db: PostgresConnection, shown: str) -> None:
    """OutboxRefused for a database without our mark that has tables of somebody else's."""
    [schema] = db.execute("SELECT current_schema()").fetchone() or (None,)
    if schema is None:
        raise OutboxRefused(
            f"the database {shown} has no schema for our tables: create the one that the user's search_path names"
        )
    [tables] = db.execute(_FOREIGN).fetchone() or (None,)
    if tables is not None:
        raise OutboxRefused(
            f"the database {shown} has tables of another program ({tables}); create an empty one, and name it in "
            "storage.url"
        )


def refuse_newer(db: PostgresConnection, shown: str) -> None:
    version, known = schema_version(db), len(_steps())
    if version > known:
        raise OutboxRefused(
            f"the outbox {shown} was written by a newer version of the sidecar (schema {version}, this one knows "
            f"{known}); run that version, or name another database in storage.url"
        )


def migrate(db: PostgresConnection, shown: str) -> None:
    """Bring the schema up to date, one committed step at a time; OutboxRefused for a database that is not ours."""
    refuse_newer(db, shown)
    steps = _steps()
    while schema_version(db) < len(steps):
        with db.transaction():
            db.raw.execute(WITHOUT_LIMITS.encode())  # a step over many rows, and those who wait for it
            db.execute("SELECT pg_advisory_xact_lock(?)", (_LOCK,))
            if (version := schema_version(db)) < len(steps):
                _carry_out(db, version, steps[version], shown)


def _carry_out(db: PostgresConnection, version: int, step: str, shown: str) -> None:
    if version == 0:
        refuse_foreign(db, shown)
        db.execute("CREATE TABLE sidecar_schema (version bigint NOT NULL)")
        db.execute("INSERT INTO sidecar_schema VALUES (0)")
    db.raw.execute(step.encode())
    db.execute("UPDATE sidecar_schema SET version = ?", (version + 1,))


def pin_environment(db: PostgresConnection, shown: str, environment: str) -> None:
    """Tie it to one environment: rows for the emulator must never reach real accounts, nor the reverse."""
    with db.transaction():
        db.execute("INSERT INTO facts VALUES ('environment', ?) ON CONFLICT DO NOTHING", (environment,))
        refuse_other_environment(db, shown, environment)


def refuse_other_environment(db: PostgresConnection, shown: str, environment: str) -> None:
    [stored] = db.execute("SELECT value FROM facts WHERE name = 'environment'").fetchone() or (environment,)
    if stored != environment:
        raise OutboxRefused(
            f"the outbox {shown} holds conversions for microsoft.environment '{stored}', but the configuration says "
            f"'{environment}'; set it back, or name another database in storage.url"
        )


def _stored_version(db: PostgresConnection) -> int:
    [version] = db.execute(_VERSION).fetchone() or (0,)
    return int(version)


def _steps() -> list[str]:
    files = sorted((file for file in SCHEMA.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return [file.read_text() for file in files]
