"""The door of the store: opening it, copying it, asking whether it is free. Only this package knows the database."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from sidecar.core.instant import UnixMillis
from sidecar.store.sqlite import backup
from sidecar.store.sqlite.opening import open_sqlite
from sidecar.store.sqlite.outbox_file import owned
from sidecar.store.store import BackupFacts, Store, StoreLimits


def open_store(
    path: Path, environment: str, now: Callable[[], UnixMillis], limits: StoreLimits
) -> AbstractAsyncContextManager[Store]:
    """The store in `path`, for this process and this environment alone.

    OutboxRefused says why it cannot be opened and what to do. `Store.run` must be running while the store is used.
    """
    return open_sqlite(path, environment, now, limits)


def refuse_if_owned(path: Path) -> None:
    """OutboxRefused when another process has the store in `path`, or when this one may not have it."""
    with owned(path):
        pass


def back_up(path: Path, target: Path) -> BackupFacts:
    """Copy the store in `path` to the new file `target` and check the copy; a running sidecar goes on meanwhile.

    BackupFailed or OutboxRefused when that is not possible; there is no `target` then.
    """
    return backup.back_up(path, target)
