"""One transaction of intake: conversions, clicks and adjustments of many callers, each with its result."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from sidecar.ports.intake import Adjusting, AdjustResult, Arrival, Captured, PutResult
from sidecar.store.adjustments import AdjustmentWriter
from sidecar.store.sql import clicks
from sidecar.store.sql.account_holds import names_of_group
from sidecar.store.sql.adjustment_rows import SqlAdjustmentRows
from sidecar.store.sql.clicks import NOBODY, Woken
from sidecar.store.sql.connection import SqlConnection
from sidecar.store.sql.intake import write_arrivals
from sidecar.store.sql.snapshot import Snapshot

Incoming = Arrival | Captured | Adjusting
Outcome = AdjustResult | Woken


@dataclass(frozen=True, slots=True)
class GroupWriter:
    """Writes groups of what comes in; `adjustment_delay_millis` is how long after its conversion an adjustment goes."""

    snapshot: Snapshot
    adjustment_delay_millis: int

    def write(self, db: SqlConnection, items: Sequence[Incoming]) -> list[Outcome]:
        """The result of each item, in order.

        Conversions first: clicks and adjustments of the same group then find those that they are about.
        """
        arrivals = [item for item in items if isinstance(item, Arrival)]
        if len(arrivals) == len(items):  # as nearly always
            return [*self._write_arrivals(db, arrivals)]
        db.hold(names_of_group(db, items, self.snapshot.lanes))
        captures = [item for item in items if isinstance(item, Captured)]
        stored = iter(self._write_arrivals(db, arrivals) if arrivals else ())
        woken = iter((clicks.write_captures(db, captures),) if captures else ())  # for the first of them, of them all
        results: list[Outcome] = []
        for item in items:
            match item:
                case Arrival():
                    results.append(next(stored))
                case Captured():
                    results.append(next(woken, NOBODY))
                case Adjusting():
                    results.append(self._adjust(db, item))
        return results

    def _write_arrivals(self, db: SqlConnection, arrivals: list[Arrival]) -> list[PutResult]:
        return write_arrivals(db, arrivals, self.snapshot.conversion_lanes, partial(self.snapshot.numbers, db))

    def _adjust(self, db: SqlConnection, item: Adjusting) -> AdjustResult:
        rows = SqlAdjustmentRows(db, tuple(self.snapshot.lanes.values()))
        result = AdjustmentWriter(rows, item, self.adjustment_delay_millis).write()
        if rows.opened_lane:
            self.snapshot.note_new_lane()
        return result
