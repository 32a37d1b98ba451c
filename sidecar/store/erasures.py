"""What every store does with the rows that an erasure found: ends them, redacts them now, or lets them wait.

A row that may be at Microsoft keeps its bytes until it is settled, since they may have to go again. A store offers its
rows as `ErasureRows`; all of it is synchronous, inside one transaction of the committer.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from sidecar.core.erasure import Erasure, Found, RowsOf, RowToErase, must_wait
from sidecar.core.instant import UnixMillis


class NotedRow(NamedTuple):
    """What an erasure notes of one of its rows."""

    seq: int
    waits: bool
    must_settle: bool
    """It is a retract, which goes out first: it is never ended unsent."""


class ErasureRows(Protocol):
    """The rows of a store within one transaction, as far as erasures need them."""

    def adjustments_of(self, seqs: Sequence[int]) -> list[int]:
        """The adjustments of these conversions."""

    def retracts_of(self, job: Erasure) -> set[int]:
        """The rows that the erasure noted as retracts, and that wait to be settled."""

    def end_unsent(self, seqs: Sequence[int], now: UnixMillis) -> Mapping[int, RowsOf]:
        """End the conversions among these rows that were never sent and that no request carries; those that ended.

        Adjustments go out: money was paid back, and Microsoft has to know.
        """

    def rows(self, seqs: Iterable[int]) -> Sequence[RowToErase]:
        """Those of these rows that are stored."""

    def redact(self, seqs: Sequence[int], now: UnixMillis) -> None:
        """Remove everything that identifies the person from these settled rows, and from their requests and traces."""

    def note(self, job: Erasure, rows: Sequence[NotedRow]) -> None:
        """Store what the erasure has to come back to."""

    def add_up(self, job: Erasure, *, conversions: int, skipped: int, retracted: int) -> None:
        """Add to what the erasure has removed."""


def redact(
    rows: ErasureRows, job: Erasure, found: Found, retracts: Collection[int], now: UnixMillis
) -> Mapping[RowsOf, int]:
    """Redact the rows that may be, end what was never sent, note what has to be settled first; how many ended.

    `retracts` are rows that carry a retract of some of them: they go out, and are redacted then.
    """
    carrying = rows.retracts_of(job) | set(retracts)
    every = list(dict.fromkeys((*found.seqs, *rows.adjustments_of(found.seqs))))
    ended = rows.end_unsent([seq for seq in every if seq not in carrying], now)
    known = {row.seq: row for row in rows.rows({*every, *retracts})}
    uploaded_since = known.keys() - carrying - set(found.delivered) if job.retract else frozenset()
    waiting = {seq for seq, row in known.items() if must_wait(row, uploaded_since)}
    free = [seq for seq in every if seq in known and seq not in waiting]
    rows.redact(free, now)
    rows.note(job, [NotedRow(seq, seq in waiting, seq in carrying) for seq in {*every, *retracts}])
    rows.add_up(
        job,
        conversions=sum(known[seq].is_conversion for seq in free),
        skipped=len(ended),
        retracted=sum(seq in carrying and known[seq].is_delivered_adjustment for seq in free),
    )
    return Counter(ended.values())
