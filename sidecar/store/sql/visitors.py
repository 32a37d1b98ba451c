"""The number of a visitor's clicks and rows in this file: a hash with the file's own secret."""

from collections.abc import Callable

from sidecar.core.keys import visitor_hash
from sidecar.store.sql.connection import SqlConnection

# One look-up by primary key; asked once for each group of rows or clicks.
KEY = "SELECT value FROM facts WHERE name = 'visitor_key'"


def hasher(db: SqlConnection) -> Callable[[str, str], int]:
    """The hash of a visitor by account and visitor id, as this file has it."""
    key = bytes.fromhex(db.execute(KEY).fetchone()[0])
    return lambda account, visitor_id: visitor_hash(account, visitor_id, key)
