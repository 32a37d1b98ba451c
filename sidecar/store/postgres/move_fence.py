"""Keeps the tables of an outbox as they are once a move away has begun, also if a process still writes to them.

A replica that hung for longer than its lease counts as stopped, and may go on later. What it then took for stored would
not be in the new place: the server refuses it. Making a trigger waits for those that write at that moment.
"""

from collections.abc import Sequence

from sidecar.store.postgres.connection import PostgresConnection

_REFUSE = """
    CREATE OR REPLACE FUNCTION sidecar_moved() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'this outbox is being moved, or was moved, to another database: stop this sidecar'
            USING ERRCODE = 'object_not_in_prerequisite_state';  -- callers get 503, for it is not about their rows
    END $$"""

_FENCED = """
    SELECT tgrelid::regclass::text FROM pg_trigger
    WHERE tgname = 'sidecar_moved' AND tgrelid IN (
        SELECT oid FROM pg_class WHERE relnamespace = current_schema()::regnamespace)"""


def raise_fence(db: PostgresConnection, tables: Sequence[str]) -> None:
    """Let the server refuse every change of these tables; part of a transaction, and there is no fence yet."""
    db.execute(_REFUSE)
    for table in tables:
        db.execute(
            f"CREATE TRIGGER sidecar_moved BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION sidecar_moved()"
        )


def lower_fence(db: PostgresConnection) -> None:
    """Let the tables be written again; part of a transaction."""
    for table in _fenced(db):
        db.execute(f"DROP TRIGGER IF EXISTS sidecar_moved ON {table}")


def _fenced(db: PostgresConnection) -> list[str]:
    return [table for (table,) in db.execute(_FENCED).fetchall()]
