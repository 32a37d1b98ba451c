"""What a server must be, so that nothing it acknowledged can be lost: asked at the start, and after each reconnect."""

from typing import NamedTuple

from sidecar.ports.errors import OutboxRefused
from sidecar.store.postgres.connection import PostgresConnection

OLDEST = 130000
"""PostgreSQL 13: https://www.postgresql.org/support/versioning/"""

_ASK = """
    SELECT current_setting('server_version_num')::int, current_setting('server_version'),
        current_setting('server_encoding'), current_setting('fsync'), pg_is_in_recovery(),
        current_setting('transaction_read_only'), current_setting('synchronous_commit')
"""


class Server(NamedTuple):
    version: int
    version_name: str
    encoding: str
    fsync: str
    is_standby: bool
    read_only: str
    synchronous_commit: str


def checked(db: PostgresConnection, shown: str) -> str:
    """The synchronous_commit that transactions need there; OutboxRefused for a server that may lose what it took."""
    server = Server(*(db.execute(_ASK).fetchone() or ()))
    if reason := weakness(server):
        raise OutboxRefused(f"the outbox {shown} cannot be used: {reason}")
    # A server that waits until its standby shows each change keeps to that; anything weaker than `on` is raised to it.
    return "remote_apply" if server.synchronous_commit == "remote_apply" else "on"


def weakness(server: Server) -> str | None:
    if server.version < OLDEST:
        return f"the server is PostgreSQL {server.version_name}, and 13 or newer is needed: upgrade it"
    if server.is_standby or server.read_only == "on":
        what = "a standby" if server.is_standby else "read-only (default_transaction_read_only)"
        return f"the server is {what}: name the primary in storage.url, or all hosts with commas between them"
    if server.fsync == "off":
        return (
            "the server runs with fsync=off, so that a power cut may lose or damage everything: set fsync = on in its "
            "postgresql.conf and reload it"
        )
    if server.encoding != "UTF8":
        return (
            f"the database has the encoding {server.encoding}, which cannot hold every character: make a new one with "
            "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0, and name it in storage.url"
        )
    return None
