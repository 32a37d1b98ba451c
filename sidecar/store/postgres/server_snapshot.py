"""The snapshot of a store that other replicas write to as well."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sidecar.ports.errors import StorageUnavailable
from sidecar.ports.queries import Counts
from sidecar.store.sql import row_counts
from sidecar.store.sql.connection import Reader, SqlConnection
from sidecar.store.sql.dialects import INTAKE_LOCK, sql
from sidecar.store.sql.snapshot import NEWEST_LANE, Snapshot

STATE = sql(f"SELECT {row_counts.EACH}, ([newest entries]), ({NEWEST_LANE})")
"""What every store keeps in mind, and the number of the lane that was opened last."""

# Who takes numbers shares a lock until the commit: who then holds it alone sees every row up to the newest number.
TAKE_NUMBERS = """
    WITH shared AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared(?, 0))
    SELECT nextval('entries_seq_seq') FROM shared, generate_series(1, ?)"""


@dataclass(slots=True)
class ServerSnapshot(Snapshot):
    """The same, with numbers from the server's sequence: those of a transaction that failed are never used."""

    def committed(self, db: SqlConnection, state: Sequence[Any]) -> None:
        *others, newest_lane = state
        if newest_lane is not None and newest_lane not in self.lanes:
            self.note_new_lane()
        Snapshot.committed(self, db, others)

    def load(self, db: SqlConnection) -> None:
        self.note_new_lane()
        self.committed(db, db.execute(STATE).fetchone())

    def numbers(self, db: SqlConnection, count: int) -> Sequence[int]:
        return [row[0] for row in db.execute(TAKE_NUMBERS, (INTAKE_LOCK, count))] if count else ()

    async def counts_now(self, reader: Reader) -> Counts:
        """What all replicas have counted; the last that is known while the server is away."""
        with contextlib.suppress(StorageUnavailable):
            self.counts = await reader.call(row_counts.counts)
        return self.counts
