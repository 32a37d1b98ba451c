"""What stands in the way at each replica, for all of them: troubles, and why rows of its accounts wait.

Each replica publishes its own, beside its lease, and shows those of the others with them. Why rows wait ends with the
lease of who said it. Its troubles are shown a little longer: they are not over because a replica is gone.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from sidecar.core.states_and_reasons import Reason
from sidecar.delivery.gates import Gates
from sidecar.ports.leases import Leases
from sidecar.telemetry import ActiveTrouble
from sidecar.telemetry.active_troubles import Board
from sidecar.troubles import CATALOGUE

LINGER_SECONDS = 30.0
"""How long the troubles of a replica that is gone are shown: meanwhile the next holders of its accounts meet them."""


@dataclass(slots=True)
class SharedStanding:
    """Publishes what `board` and `gates` show of this replica, and gives them what others published."""

    leases: Leases
    board: Board
    gates: Gates
    elapsed: Callable[[], float]
    """Gives monotonic seconds."""
    _announced: dict[str, str] = field(default_factory=dict)
    """What each live replica published last, by its id."""
    _gone: dict[str, tuple[str, float]] = field(default_factory=dict)
    """The same of those that are gone, and until when it is shown."""

    async def share(self) -> None:
        """Publish what is new here, and take over what others have published."""
        await self.leases.publish(self._mine())
        announced = dict(await self.leases.published())
        gone = self._still_shown(announced)
        if announced != self._announced or gone != self._gone:
            self._announced, self._gone = announced, gone
            last = [{"troubles": json.loads(text).get("troubles", ())} for text, _ in gone.values()]
            self._take_over([*last, *map(json.loads, announced.values())])

    def _still_shown(self, announced: dict[str, str]) -> dict[str, tuple[str, float]]:
        now = self.elapsed()
        left = {who: (text, now + LINGER_SECONDS) for who, text in self._announced.items()}
        return {
            who: (text, until)
            for who, (text, until) in (left | self._gone).items()
            if who not in announced and until > now
        }

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
