"""Retracts a person's uploaded conversions, before an erasure redacts them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sidecar.core.adjustment import Adjustment, ById
from sidecar.core.conversion import AdjustmentType, Kind
from sidecar.core.instant import UnixMillis, seconds
from sidecar.core.states_and_reasons import State
from sidecar.ports.intake import Adjusting, Intake, Replayed, Stored

REQUEST_ID = "erasure"


@dataclass(frozen=True, slots=True)
class Retractor:
    """Retracts uploaded conversions; `due` is called with the number of new rows of each account."""

    intake: Intake
    now: Callable[[], UnixMillis]
    due: Callable[[Mapping[str, int]], None]

    async def retract_uploaded(self, seqs: Sequence[int]) -> Sequence[int]:
        """Queue a retract of each conversion that Microsoft still counts, except for those too old or retracted.

        Returns the numbers of the rows that carry them, each with its own copy of what identifies the original. Calling
        it again gives the same rows. Durable when it returns.
        """
        now = self.now()
        results = await self.intake.adjust([Adjusting(_retract(seq, now), now, REQUEST_ID) for seq in seqs])
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
