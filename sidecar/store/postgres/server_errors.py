"""PostgreSQL's errors: whether the server is to blame, what each says of it, and what an operator does about it."""

import psycopg
from psycopg import errors

from sidecar.core.server_url import hide_passwords, without_password
from sidecar.ports.errors import OutboxRefused, StorageUnavailable

_ITEM_ERRORS = (psycopg.IntegrityError, psycopg.DataError, psycopg.ProgrammingError, psycopg.NotSupportedError)
"""What the server says of what it was given, not of its own state …"""

_SERVER_ERRORS = (errors.InsufficientPrivilege, errors.UndefinedTable, errors.InvalidCatalogName)
"""… but for these: somebody has changed the database."""

_FIXES = (
    (
        ("28P01", "28000", "password", "pg_hba.conf", "role ", "authentication"),
        "check the user and the password in storage.url, or in the password file, which only its owner may read "
        "(chmod 600), and the line of the server's pg_hba.conf for this machine",
    ),
    (
        ("3D000", "57P04", "does not exist", "no such database"),
        "create the database (CREATE DATABASE … ENCODING 'UTF8'), or name another one in storage.url",
    ),
    (
        ("53300", "too many clients", "too many connections", "connection slots", "no more connections"),
        "raise max_connections of the server, or put pgbouncer before it: each replica takes a few connections",
    ),
    (
        ("53100", "No space left"),
        "make room on the server's disk: the sidecar goes on by itself",
    ),
    (
        ("57P03", "starting up", "shutting down", "recovery mode", "not yet accepting"),
        "wait until the server is ready; its log says how far it is",
    ),
    (
        ("25006", "read-only", "hot standby"),
        "name the primary in storage.url, or all hosts with commas between them: the sidecar finds the primary itself",
    ),
    (
        ("42501", "permission denied"),
        "give the user the right to it: the database's owner has all that is needed (docs/postgresql.md)",
    ),
    (
        ("SSL", "certificate"),
        "check sslmode and sslrootcert in storage.url: with sslmode=verify-full the certificate must name the host",
    ),
    (
        ("57014", "55P03", "40P01"),
        "look at what else is at work on the server (pg_stat_activity), and at its disk and CPU",
    ),
)
"""Codes of the server and words of the messages, which have no code before there is a connection; what helps."""

_UNREACHABLE = (
    "check that the server runs, that storage.url has the right host and port, and that no firewall stands between"
)


def is_of_server(error: Exception) -> bool:
    """Whether the server, or the way to it, is to blame; else what it was given is."""
    return isinstance(error, psycopg.Error) and (
        isinstance(error, _SERVER_ERRORS) or not isinstance(error, _ITEM_ERRORS)
    )


def unavailable(error: Exception, url: str) -> StorageUnavailable:
    """What the callers of a running sidecar get."""
    if isinstance(error, errors.DiskFull):
        return StorageUnavailable("disk_nearly_full", f"PostgreSQL has no room: {_explained(error, url)}")
    return StorageUnavailable("storage_unreachable", f"PostgreSQL cannot be used now: {_explained(error, url)}")


def refused(error: Exception, url: str) -> OutboxRefused:
    """An error at the start, for an operator."""
    return OutboxRefused(f"the outbox {without_password(url)} cannot be opened: {_explained(error, url)}")


def _explained(error: Exception, url: str) -> str:
    """The server's own words in one line, and what to do."""
    if isinstance(error, OutboxRefused):
        return str(error)
    words = getattr(getattr(error, "diag", None), "message_primary", None) or str(error)
    line = " ".join(words.split()).removesuffix(".")
    return f"{hide_passwords(line, url) or type(error).__name__}; {_fix(error)}"


def _fix(error: Exception) -> str:
    code, text = getattr(error, "sqlstate", None), str(error)
    for marks, fix in _FIXES:
        if code in marks or (code is None and any(mark in text for mark in marks)):
            return fix
    return _UNREACHABLE if code is None else "the server's log has more"
