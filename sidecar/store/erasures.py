"""What every store does with the rows that an erasure found: ends them, redacts them now, or lets them wait.

A row that may be at Microsoft keeps its bytes until it is settled, since they may have to go again. A store offers its
rows as `ErasureRows`; all of it is synchronous, inside one transaction of the committer.
"""

from collections import Counter
from collections.abc import Collection, Mapping

from sidecar.core.erasure import Erasure, Found, RowsOf, must_wait
from sidecar.core.instant import UnixMillis
from sidecar.store.row_primitives import ErasureRows, NotedRow


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
