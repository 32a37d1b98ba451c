"""Lanes, counts and the newest row as of the last commit: what requests, claims and intake need, without a query."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sidecar.core.conversion import Kind
from sidecar.core.entry import Lane
from sidecar.ports.queries import Counts
from sidecar.store.sql import row_counts
from sidecar.store.sql.connection import Reader, SqlConnection
from sidecar.store.sql.dialects import sql

LANES = "SELECT id, account, event, kind FROM lanes ORDER BY id"

NEWEST_LANE = "SELECT max(id) FROM lanes"

LANE_COUNT = "SELECT count(*) FROM lanes"

STATE = sql(f"{row_counts.EACH}, ([newest entries])")
"""Columns of what each transaction may have changed; `Snapshot.committed` takes them."""

ALL_STATE = sql(f"SELECT {row_counts.EACH}, ([newest entries])")

OPEN_LANE = "INSERT INTO lanes (account, event, kind) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"


@dataclass(slots=True)
class Snapshot:
    """Reloaded on the writer's thread: this process owns the file, so that nothing changes but by its commits."""

    counts: Counts = field(default_factory=Counts)
    lanes: dict[int, Lane] = field(default_factory=dict)
    """By number, in the order of the table."""
    conversion_lanes: dict[tuple[str, str], int] = field(default_factory=dict)
    """The number of the lane for the conversions of each (account, event)."""
    by_account: dict[str, tuple[Lane, ...]] = field(default_factory=dict)
    """Those of each account."""
    last_seq: int = 0
    """The number of the newest row that ever was."""
    _has_new_lanes: bool = False
    """Whether a lane was opened in a transaction that may not be committed yet."""

    def load(self, db: SqlConnection) -> None:
        """Read everything."""
        self._has_new_lanes = True
        self.committed(db, db.execute(ALL_STATE).fetchone())

    def committed(self, db: SqlConnection, state: Sequence[Any]) -> None:
        """Take over the STATE that a transaction left; called after each commit, before any caller gets its answer."""
        *counts, last_seq = state
        self.counts, self.last_seq = Counts(*counts), last_seq or 0
        if self._has_new_lanes:
            self._load_lanes(db)

    def refresh(self, db: SqlConnection) -> None:
        """Read what other replicas may have changed; on another connection than the one that writes."""
        self.counts = row_counts.counts(db)
        (newest,) = db.execute(NEWEST_LANE).fetchone()
        if newest is not None and newest not in self.lanes:
            self._take_over_lanes(db)

    def recount(self, db: SqlConnection) -> None:
        """Read the lanes where some are missing: a lane may be committed later than one with a higher number."""
        (number,) = db.execute(LANE_COUNT).fetchone()
        if number != len(self.lanes):
            self._take_over_lanes(db)

    async def counts_now(self, reader: Reader) -> Counts:
        """The counts at this moment, of all who write."""
        return self.counts

    def numbers(self, db: SqlConnection, count: int) -> Sequence[int]:
        """The numbers of that many new rows; nothing else of the transaction has inserted a row before."""
        return range(self.last_seq + 1, self.last_seq + count + 1)

    def open_lanes(self, db: SqlConnection, lanes: Sequence[tuple[str, str, Kind]]) -> None:
        """Open these lanes where they are missing; part of the caller's transaction."""
        db.executemany(OPEN_LANE, [(account, event, kind.value) for account, event, kind in lanes])
        self._has_new_lanes = True

    def note_new_lane(self) -> None:
        """The transaction at work has opened a lane."""
        self._has_new_lanes = True

    def _load_lanes(self, db: SqlConnection) -> None:
        self._take_over_lanes(db)
        self._has_new_lanes = False

    def _take_over_lanes(self, db: SqlConnection) -> None:
        self.lanes = lanes_of(db)
        by_account: defaultdict[str, list[Lane]] = defaultdict(list)
        for lane in self.lanes.values():
            by_account[lane.account].append(lane)
        self.by_account = {account: tuple(own) for account, own in by_account.items()}
        self.conversion_lanes = {
            (lane.account, lane.event): lane.id for lane in self.lanes.values() if lane.kind is Kind.CONVERSION
        }


def lanes_of(db: SqlConnection) -> dict[int, Lane]:
    """Every lane by its number."""
    return {number: Lane(number, account, event, Kind(kind)) for number, account, event, kind in db.execute(LANES)}
