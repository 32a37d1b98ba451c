"""Lanes, counts and the newest row as of the last commit: what requests, claims and intake need, without a query."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sidecar.core.conversion import Kind
from sidecar.core.entry import Lane
from sidecar.ports.queries import Counts
from sidecar.store.sqlite import row_counts

LANES = "SELECT id, account, event, kind FROM lanes ORDER BY id"

# The number of the newest row that ever was.
LAST_SEQ = "SELECT seq FROM sqlite_sequence WHERE name = 'entries'"

STATE = f"{row_counts.EACH}, ({LAST_SEQ})"
"""Columns of what each transaction may have changed; `Snapshot.committed` takes them."""

OPEN_LANE = "INSERT OR IGNORE INTO lanes (account, event, kind) VALUES (?, ?, ?)"


@dataclass(slots=True)
class Snapshot:
    """Reloaded on the writer's thread: this process owns the file, so that nothing changes but by its commits."""

    counts: Counts = field(default_factory=Counts)
    lanes: dict[int, Lane] = field(default_factory=dict)
    """By number, in the order of the table."""
    conversion_lanes: dict[tuple[str, str], int] = field(default_factory=dict)
    """The number of the lane for the conversions of each (account, event)."""
    last_seq: int = 0
    """The number of the newest row that ever was."""
    _has_new_lanes: bool = False
    """Whether a lane was opened in a transaction that may not be committed yet."""

    def load(self, db: sqlite3.Connection) -> None:
        """Read everything."""
        self._has_new_lanes = True
        self.committed(db, db.execute(f"SELECT {STATE}").fetchone())

    def committed(self, db: sqlite3.Connection, state: Sequence[Any]) -> None:
        """Take over the STATE that a transaction left; called after each commit, before any caller gets its answer."""
        *counts, last_seq = state
        self.counts, self.last_seq = Counts(*counts), last_seq or 0
        if self._has_new_lanes:
            self._load_lanes(db)

    def open_lanes(self, db: sqlite3.Connection, lanes: Sequence[tuple[str, str, Kind]]) -> None:
        """Open these lanes where they are missing; part of the caller's transaction."""
        db.executemany(OPEN_LANE, [(account, event, kind.value) for account, event, kind in lanes])
        self._has_new_lanes = True

    def note_new_lane(self) -> None:
        """The transaction at work has opened a lane."""
        self._has_new_lanes = True

    def _load_lanes(self, db: sqlite3.Connection) -> None:
        lanes = [Lane(number, account, event, Kind(kind)) for number, account, event, kind in db.execute(LANES)]
        self.lanes = {lane.id: lane for lane in lanes}
        self.conversion_lanes = {(lane.account, lane.event): lane.id for lane in lanes if lane.kind is Kind.CONVERSION}
        self._has_new_lanes = False
