"""What conversions can be matched by, goal by goal; a trouble where it is too little."""

from collections.abc import Callable, Container, Mapping
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
        self.shares_changed = False
        """Whether any share moved since they were last kept."""

    @property
    def shares(self) -> Mapping[str, Share]:
        """By goal, what its last conversions carried."""
        return dict(self._shares)

    def remember_shares(self, shares: Mapping[str, Share]) -> None:
        """After a start: what was known before, and the trouble of what was low."""
        for goal, share in shares.items():
            self._shares[goal] = share
            if share.is_low(stands=False):
                self._raise(goal, share)

    def forget_shares_but(self, goals: Container[str]) -> None:
        """After a reload: what nothing names any more."""
        self._shares = {goal: share for goal, share in self._shares.items() if goal in goals}
        self.shares_changed = True

    @harmless
    def match_seen(self, goal: str, came: Mapping[tuple[str, ...], int]) -> None:
        """Conversions of `goal` came in with one request: so many with these identifiers, or with none.

        Judged once for all of them: their order within a request says nothing.
        """
        share = self._shares.get(goal, Share())
        for matched_by, n in came.items():
            share = share.plus(matched_by, n)
        self._shares[goal] = share
        self.shares_changed = True
        if () in came:
            self.metrics.match.labels("none").inc(came[()])
        stands = self.board.stands(TROUBLE, subject=goal) is not None
        if share.is_low(stands=stands) is stands:
            return
        if stands:
            self.trouble_cleared(TROUBLE, subject=goal)
        else:
            self._raise(goal, share)

    def _raise(self, goal: str, share: Share) -> None:
        percent = share.percent.partition(" of ")[0]
        self.trouble_raised(TROUBLE, subject=goal, detail=f"{percent}: {share.told}")
