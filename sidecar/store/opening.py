"""The door of the store: opening, copying and moving it, asking whether it is free. Only here databases are known."""

import importlib
import shlex
import uuid
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from pathlib import Path
from types import ModuleType

from sidecar.core.instant import UnixMillis
from sidecar.core.server_url import is_postgres, without_password
from sidecar.ports.errors import BackupFailed, OutboxRefused
from sidecar.store.moving.end import MoveEnd
from sidecar.store.moving.outbox_move import OutboxMove, Watch
from sidecar.store.moving.refusals import same_place, stopped
from sidecar.store.moving.report import MoveReport
from sidecar.store.sqlite import backup
from sidecar.store.sqlite import glance as glancing
from sidecar.store.sqlite.move_end import open_sqlite_end
from sidecar.store.sqlite.opening import open_sqlite
from sidecar.store.sqlite.outbox_file import has_owner as file_has_owner
from sidecar.store.sqlite.outbox_file import owned, same_file
from sidecar.store.store import BackupFacts, OutboxGlance, Store, StoreLimits
from sidecar.store.store_url import file_of, shown


def open_store(
    url: str, environment: str, now: Callable[[], UnixMillis], limits: StoreLimits
) -> AbstractAsyncContextManager[Store]:
    """The store that `url` names, for this process and this environment alone.

    OutboxRefused says why it cannot be opened and what to do. `Store.run` must be running while the store is used.
    """
    if is_postgres(url):
        opening: AbstractAsyncContextManager[Store] = _postgres("opening").open_postgres(url, environment, now, limits)
        return opening
    return open_sqlite(file_of(url), environment, now, limits)


def _postgres(name: str) -> ModuleType:
    """A module of PostgreSQL's half, whose driver is installed only by those who ask for it."""
    try:
        return importlib.import_module(f"sidecar.store.postgres.{name}")
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("psycopg"):
            raise
        raise OutboxRefused(
            "storage.url names a PostgreSQL database, and its driver is not installed: run "
            "pip install 'msads-sidecar[postgres]'"
        ) from error


def refuse_if_owned(url: str) -> None:
    """OutboxRefused when another process has the store, or when this one may not have it.

    A database on a server has no owner: as many replicas as wanted share it.
    """
    if is_postgres(url):
        return
    with owned(file_of(url)):
        pass


def back_up(url: str, target: Path) -> BackupFacts:
    """Copy the store to the new file `target` and check the copy; a running sidecar goes on meanwhile.

    BackupFailed or OutboxRefused when that is not possible; there is no `target` then.
    """
    if is_postgres(url):
        raise BackupFailed(
            "storage.url names a database on a server, whose own tools make its backups: "
            f"pg_dump --format=custom --file={shlex.quote(str(target))} {shlex.quote(without_password(url))}, with the "
            "password in ~/.pgpass or $PGPASSWORD; pg_restore brings it back"
        )
    return backup.back_up(file_of(url), target)


def move(
    source: str,
    target: str,
    now: Callable[[], UnixMillis],
    watch: Watch = lambda step, done, total: None,
) -> MoveReport:
    """Move everything from the store `source` to the empty store `target`, or go on where an earlier run stopped.

    MoveFailed or OutboxRefused say why not, and what to do.
    """
    if not (is_postgres(source) or is_postgres(target)) and same_file(file_of(source), file_of(target)):
        raise same_place(shown(source))
    with _move_end(source, must_exist=True) as ours, _move_end(target, must_exist=False) as theirs:
        try:
            return OutboxMove(ours, theirs, now, lambda: uuid.uuid4().hex, watch).run()
        except (*ours.errors, *theirs.errors) as error:
            raise stopped(error) from error


def _move_end(url: str, *, must_exist: bool) -> AbstractContextManager[MoveEnd]:
    if is_postgres(url):
        opened: AbstractContextManager[MoveEnd] = _postgres("move_end").open_postgres_end(url)
        return opened
    return open_sqlite_end(file_of(url), must_exist=must_exist)


def glance(url: str, environment: str) -> OutboxGlance:
    """Look at the store without opening it for work, also while a sidecar runs; nothing is changed.

    OutboxRefused when a start would refuse it. Call off the event loop.
    """
    if is_postgres(url):
        seen: OutboxGlance = _postgres("glance").glance(url, environment)
        return seen
    return glancing.glance(file_of(url), environment)


def has_owner(url: str) -> bool:
    """Whether another process has the store now; nothing is changed. A database on a server belongs to no process."""
    return not is_postgres(url) and file_has_owner(file_of(url))


def stored_secret(url: str, name: str) -> str | None:
    """A stored secret of that name in a database on a server, sealed as it lies there; nothing is changed.

    OutboxRefused when it cannot be read. Call off the event loop.
    """
    found: str | None = _postgres("glance").secret(url, name)
    return found
