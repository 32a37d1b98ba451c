"""The schema of a file: whose it is, how new it is, and the steps that bring it up to date."""

import sqlite3
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from sidecar.ports.errors import OutboxRefused
from sidecar.store.sqlite.sqlite_errors import code_of

APPLICATION_ID = 0x6D736164
"""Marks the file as ours for `file` and for us."""

SCHEMA: Traversable = resources.files("sidecar.store.sqlite") / "schema"
"""The steps of the schema, in the order of their names; one that was released never changes."""


def refuse_foreign(db: sqlite3.Connection, path: Path) -> None:
    """OutboxRefused for a database that some other program made."""
    application_id = db.execute("PRAGMA application_id").fetchone()[0]
    is_empty = db.execute("SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)").fetchone()[0]
    if application_id != APPLICATION_ID and not is_empty:
        raise OutboxRefused(f"{path} is a database of another program; name another file in storage.url")


def refuse_newer(db: sqlite3.Connection, path: Path) -> None:
    version, known = schema_version(db), len(_steps())
    if version > known:
        raise OutboxRefused(
            f"the outbox {path} was written by a newer version of the sidecar (schema {version}, this one knows "
            f"{known}); run that version, or name another file in storage.url"
        )


def migrate(db: sqlite3.Connection) -> None:
    """Bring the schema up to date, one committed step at a time.

    A new index over millions of rows is sorted in temporary files, for a small container has no memory for it; in
    memory all the same where there is no folder for them.
    """
    version, steps = schema_version(db), _steps()
    for number, script in enumerate(steps[version:], start=version + 1):
        step = f"{script}\nPRAGMA application_id = {APPLICATION_ID};\nPRAGMA user_version = {number};"
        try:
            _carry_out(db, step, "FILE")
        except sqlite3.OperationalError as error:
            if code_of(error) & 0xFF != sqlite3.SQLITE_CANTOPEN:
                raise
            _carry_out(db, step, "MEMORY")


def _carry_out(db: sqlite3.Connection, step: str, temp_store: str) -> None:
    """One step of the schema in one transaction; as it was when it failed."""
    db.execute(f"PRAGMA temp_store = {temp_store}")
    try:
        db.executescript(f"BEGIN IMMEDIATE;\n{step}\nCOMMIT;")
    except sqlite3.Error:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    finally:
        db.execute("PRAGMA temp_store = MEMORY")


def schema_version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _steps() -> list[str]:
    files = sorted((file for file in SCHEMA.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return [file.read_text() for file in files]
