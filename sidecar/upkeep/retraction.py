"""Takes back at Microsoft what was uploaded of a person, before an erasure forgets how it was sent."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sidecar.core.adjustment import Adjustment, ById
from sidecar.core.conversion import AdjustmentType, Kind
from sidecar.core.entry import State
from sidecar.core.instant import UnixMillis, seconds
from sidecar.ports.intake import Adjusting, Replayed, Stored
from sidecar.ports.outbox import Outbox

REQUEST_ID = "erasure"


@dataclass(frozen=True, slots=True)
class Retractor:
    """Implements `ports.Retracts`; `due` is told how many rows of which account are there to be sent."""

    outbox: Outbox
    now: Callable[[], UnixMillis]
    due: Callable[[Mapping[str, int]], None]

    async def retract_uploaded(self, seqs: Sequence[int]) -> Sequence[int]:
        """A retract for each that Microsoft still counts: one that is too old, or taken back already, needs none."""
        now = self.now()
        results = await self.outbox.adjust([Adjusting(_retract(seq, now), now, REQUEST_ID) for seq in seqs])
        carrying = [result.record for result in results if isinstance(result, Stored | Replayed)]
        rows = [record for record in carrying if record.kind is Kind.ADJUSTMENT and record.state is State.PENDING]
        if rows:
            self.due(dict.fromkeys({record.account for record in rows}, 1))
        return [record.seq for record in rows]


def _retract(seq: int, now: UnixMillis) -> Adjustment:
    return Adjustment(
        type=AdjustmentType.RETRACT,
        target=ById(seq, None),
        value=None,
        currency=None,
        time=seconds(now),
        time_given=False,
    )
