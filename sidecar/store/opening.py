"""The door of the store: opening it, copying it, asking whether it is free. Only this package knows the database."""

import importlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import ModuleType

from sidecar.core.instant import UnixMillis
from sidecar.ports.errors import OutboxRefused
from sidecar.store.sqlite import backup
from sidecar.store.sqlite import glance as glancing
from sidecar.store.sqlite.opening import open_sqlite
from sidecar.store.sqlite.outbox_file import has_owner as file_has_owner
from sidecar.store.sqlite.outbox_file import owned
from sidecar.store.store import BackupFacts, OutboxGlance, Store, StoreLimits
from sidecar.store.store_url import file_of, is_postgres


def open_store(
    url: str, environment: str, now: Callable[[], UnixMillis], limits: StoreLimits
) -> AbstractAsyncContextManager[Store]:
    """The store that `url` names, for this process and this environment alone.

    OutboxRefused says why it cannot be opened and what to do. `Store.run` must be running while the store is used.
    """
    if is_postgres(url):
        opening: AbstractAsyncContextManager[Store] = _postgres().open_postgres(url, environment, now, limits)
        return opening
    return open_sqlite(file_of(url), environment, now, limits)


def _postgres() -> ModuleType:
    """PostgreSQL's half, whose driver is installed only by those who ask for it."""
    try:
        return importlib.import_module("sidecar.store.postgres.opening")
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("psycopg"):
            raise
        raise OutboxRefused(
            "storage.url names a PostgreSQL database, and its driver is not installed: run "
            "pip install 'msads-sidecar[postgres]'"
        ) from error


def refuse_if_owned(url: str) -> None:
    """OutboxRefused when another process has the store, or when this one may not have it."""
    with owned(file_of(url)):
        pass


def back_up(url: str, target: Path) -> BackupFacts:
    """Copy the store to the new file `target` and check the copy; a running sidecar goes on meanwhile.

    BackupFailed or OutboxRefused when that is not possible; there is no `target` then.
    """
    return backup.back_up(file_of(url), target)


def glance(url: str, environment: str) -> OutboxGlance:
    """Look at the store without opening it for work, also while a sidecar runs; nothing is changed.

    OutboxRefused when a start would refuse it. Call off the event loop.
    """
    return glancing.glance(file_of(url), environment)


def has_owner(url: str) -> bool:
    """Whether another process has the store now; nothing is changed."""
    return file_has_owner(file_of(url))
