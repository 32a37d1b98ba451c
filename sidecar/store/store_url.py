"""Where a store is: takes its URL apart, so that no other module does."""

import re
from pathlib import Path

from sidecar.core.server_url import database_name, is_postgres, without_password
from sidecar.ports.errors import OutboxRefused

_SQLITE = "sqlite:///"

DATA_FOLDER = Path("data")
"""Where files lie that go with a database on a server; relative to the working directory."""


def is_store(url: str) -> bool:
    """Whether it names a store at all."""
    return is_postgres(url) or (url.startswith(_SQLITE) and url != _SQLITE)


def file_of(url: str) -> Path:
    """The store's file, beside which others lie; relative to the working directory after three slashes.

    OutboxRefused for a URL that names no file.
    """
    if is_postgres(url) or not is_store(url):
        scheme = url.partition(":")[0]  # never more of it: a URL may hold a password
        raise OutboxRefused(
            f"storage.url begins with {scheme}:, and no store of this version is found that way; name a file as "
            "sqlite:///relative/file.db or sqlite:////absolute/file.db, or a database as "
            "postgresql://user@host/database"
        )
    return Path(url.removeprefix(_SQLITE))


def shown(url: str) -> str:
    """The store's place in words for people: its file, or its server's URL without a password."""
    return without_password(url) if is_postgres(url) else str(file_of(url))


def folder_of(url: str) -> Path | None:
    """The folder whose disk the store fills; None where that is a server's."""
    return None if is_postgres(url) else file_of(url).parent


def emulator_file_of(url: str) -> Path:
    """Where the emulator inside the sidecar keeps its state: beside the store's file, or in the data folder."""
    if not is_postgres(url):
        return file_of(url).with_suffix(".emulator.db")
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", database_name(url)).lstrip(".")
    return DATA_FOLDER / f"{name or 'outbox'}.emulator.db"


__all__ = ["DATA_FOLDER", "emulator_file_of", "file_of", "folder_of", "is_postgres", "is_store", "shown"]
