"""Where the server is: the URL of the configuration as the parameters of a connection."""

import psycopg
from psycopg.conninfo import conninfo_to_dict

from sidecar.ports.errors import OutboxRefused

_DEFAULTS: dict[str, str | int] = {
    "application_name": "sidecar",
    "connect_timeout": 2,  # seconds for each host; a server that sleeps wakes up between two attempts
    # Answers: whether the other side is still there is asked after three seconds of silence.
    "keepalives_idle": 3,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    # Requests: milliseconds until one is given up that the other side's system has not confirmed.
    "tcp_user_timeout": 5000,
}
"""What the URL may say otherwise: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS"""


def parameters(url: str) -> dict[str, str | int]:
    """The parameters of a connection that may write. OutboxRefused for a URL that libpq cannot read."""
    try:
        given = conninfo_to_dict(url)
    except psycopg.Error as error:
        reason = str(error).split('"')[0].strip()  # what libpq quotes may be of the password
        raise OutboxRefused(
            f"storage.url cannot be read ({reason}): write it as postgresql://user@host:5432/database; in a password "
            "write %40 for @, %2F for / and %25 for %, or keep it in a file (docs/postgresql.md)"
        ) from None
    named: dict[str, str | int] = {name: value for name, value in given.items() if value is not None}
    if named.get("target_session_attrs") != "primary":
        named["target_session_attrs"] = "read-write"  # of several hosts, the one that takes writes
    return {**_DEFAULTS, **named, "client_encoding": "UTF8"}
