"""The snapshot of a store that other replicas write to as well."""

from collections.abc import Sequence

from sidecar.store.sql.connection import SqlConnection
from sidecar.store.sql.snapshot import Snapshot

TAKE_NUMBERS = "SELECT nextval('entries_seq_seq') FROM generate_series(1, ?)"


class ServerSnapshot(Snapshot):
    """The same, with numbers from the server's sequence: those of a transaction that failed are never used."""

    def numbers(self, db: SqlConnection, count: int) -> Sequence[int]:
        return [row[0] for row in db.execute(TAKE_NUMBERS, (count,))] if count else ()
