"""What stands in the way at each replica, for all of them: troubles, and why rows of its accounts wait.

Each replica publishes its own, beside its lease, and shows those of the others with its own. What a replica published
ends with its lease.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from sidecar.core.states_and_reasons import Reason
from sidecar.delivery.gates import Gates
from sidecar.ports.leases import Leases
from sidecar.telemetry import ActiveTrouble
from sidecar.telemetry.active_troubles import Board
from sidecar.troubles import CATALOGUE


@dataclass(slots=True)
class SharedStanding:
    """Publishes what `board` and `gates` show of this replica, and gives them what others published."""

    leases: Leases
    board: Board
    gates: Gates
    _announced: list[str] = field(default_factory=list)

    async def share(self) -> None:
        """Publish what is new here, and take over what others have published."""
        await self.leases.publish(self._mine())
        announced = sorted(await self.leases.published())
        if announced != self._announced:
            self._announced = announced
            self._take_over([json.loads(text) for text in announced])

    def _mine(self) -> str:
        """Without what changes at each sight: it would be written each time."""
        active = [asdict(one) | {"seen_at": one.since, "count": 1, "waiting": None} for one in self.board.active()]
        return json.dumps({"troubles": active, "reasons": list(self.gates.reasons())})

    def _take_over(self, others: Iterable[dict[str, Any]]) -> None:
        troubles: list[ActiveTrouble] = []
        reasons: dict[tuple[str, str | None], Reason] = {}
        for other in others:
            troubles += [ActiveTrouble(**one) for one in other.get("troubles", ()) if one["code"] in CATALOGUE]
            reasons |= {(account, goal): Reason(reason) for account, goal, reason in other.get("reasons", ())}
        self.gates.elsewhere = reasons
        self.board.hear(troubles)
