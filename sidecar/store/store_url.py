"""Where a store is: takes its URL apart, so that no other module does."""

from pathlib import Path

from sidecar.ports.errors import OutboxRefused

_SQLITE = "sqlite:///"
_POSTGRES = ("postgresql://", "postgres://")


def is_postgres(url: str) -> bool:
    """Whether the store is a database of a PostgreSQL server, or of one that speaks its protocol."""
    return url.startswith(_POSTGRES)


def file_of(url: str) -> Path:
    """The store's file, beside which others lie; relative to the working directory after three slashes.

    OutboxRefused for a URL that names no store of this version.
    """
    if not url.startswith(_SQLITE) or url == _SQLITE:
        scheme = url.partition(":")[0]  # never more of it: a URL may hold a password
        raise OutboxRefused(
            f"storage.url begins with {scheme}:, and no store of this version is found that way; name a file as "
            "sqlite:///relative/file.db or sqlite:////absolute/file.db, or a database as "
            "postgresql://user@host/database"
        )
    return Path(url.removeprefix(_SQLITE))
