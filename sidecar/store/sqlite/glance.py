"""A look at an outbox without opening it for work: whose it is, how large, whether it could be written."""

import contextlib
import os
import sqlite3
from pathlib import Path

from sidecar.ports.errors import OutboxRefused
from sidecar.store.sql import move_marks
from sidecar.store.sqlite.connection import SqliteConnection
from sidecar.store.sqlite.migrations import refuse_foreign, refuse_newer, schema_version
from sidecar.store.sqlite.outbox_file import is_database, not_opened, quoted
from sidecar.store.sqlite.sqlite_errors import unusable
from sidecar.store.store import OutboxGlance

_LEFT_BESIDE = ("", "-wal", "-shm")
"""The endings of the files that the outbox consists of."""


def glance(path: Path, environment: str) -> OutboxGlance:
    """Look at the outbox `path`, which may not exist yet; OutboxRefused says why a start would refuse it."""
    try:
        _refuse_unwritable(path)
        if not path.exists() or not path.stat().st_size:
            return OutboxGlance()
        if not is_database(path):
            raise OutboxRefused(f"{path} is no SQLite database: name another file in storage.url")
        size = sum(file.stat().st_size for end in _LEFT_BESIDE if (file := Path(f"{path}{end}")).exists())
    except OSError as error:
        raise not_opened(path, error) from error
    try:
        with contextlib.closing(_connect(path)) as db:
            return _of(db, path, environment, size)
    except sqlite3.DatabaseError as error:
        raise unusable(path, error) from error


def _of(db: SqliteConnection, path: Path, environment: str, size: int) -> OutboxGlance:
    refuse_foreign(db, path)
    refuse_newer(db, path)
    schema = schema_version(db)
    if not schema:
        return OutboxGlance()
    move_marks.refuse_moved(db, str(path))
    [stored] = db.execute("SELECT value FROM facts WHERE name = 'environment'").fetchone() or (environment,)
    if stored != environment:
        raise OutboxRefused(
            f"the outbox {path} holds conversions for microsoft.environment '{stored}', but the configuration says "
            f"'{environment}'; set it back, or name another file in storage.url"
        )
    secrets = db.execute("SELECT name, CAST(value AS BLOB) FROM secrets")
    sealed = {name: bytes(value).decode("utf-8", "replace") for name, value in secrets}
    return OutboxGlance(schema, stored, size, sealed)


def _connect(path: Path) -> SqliteConnection:
    return sqlite3.connect(_address(path), uri=True, timeout=5, factory=SqliteConnection)


def _address(path: Path) -> str:
    """The address for a look. Without a log, the file says all, and SQLite must not make new files beside it."""
    log = Path(f"{path}-wal")
    has_log = log.exists() and log.stat().st_size > 0
    return f"file:{quoted(path)}?{'mode=ro' if has_log else 'immutable=1'}"


def _refuse_unwritable(path: Path) -> None:
    """Fail as a start would, where the file, or else the first folder that exists, is not for this user."""
    there = next(one for one in (path, *path.absolute().parents) if one.exists())
    wanted = os.R_OK | os.W_OK | (os.X_OK if there.is_dir() else 0)
    places = [there] if there.is_dir() else [there, there.parent]
    for place in places:
        if not os.access(place, wanted if place is there else os.W_OK | os.X_OK):
            raise OutboxRefused(
                f"the outbox {path} cannot be written: this user may not write {place}; give it the right, or name "
                "another file in storage.url"
            )
