"""What conversions can be matched by, goal by goal; a trouble where it is too little."""

from collections.abc import Callable, Mapping
from typing import Any

from sidecar.core.instant import UnixMillis
from sidecar.core.match_share import Share
from sidecar.telemetry.recorder import harmless
from sidecar.telemetry.service import ServiceEvents

TROUBLE = "low_match_rate"


class MatchEvents(ServiceEvents):
    """What happens to the share of conversions that can be matched. Costs an addition a request."""

    def __init__(self, clock: Callable[[], UnixMillis], **settings: Any) -> None:
        super().__init__(clock, **settings)
        self._shares: dict[str, Share] = {}

    @harmless
    def match_seen(self, goal: str, came: Mapping[tuple[str, ...], int]) -> None:
        """Conversions of `goal` came in with one request: so many with these identifiers, or with none.

        Judged once for all of them: their order within a request says nothing.
        """
        share = self._shares.get(goal, Share())
        for matched_by, n in came.items():
            share = share.plus(matched_by, n)
        self._shares[goal] = share
        if () in came:
            self.metrics.match.labels("none").inc(came[()])
        stands = self.board.stands(TROUBLE, subject=goal) is not None
        if share.is_low(stands=stands) is stands:
            return
        if stands:
            self.trouble_cleared(TROUBLE, subject=goal)
        else:
            self.trouble_raised(TROUBLE, subject=goal, detail=share.told)
