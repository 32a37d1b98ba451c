"""What conversions can be matched by, goal by goal; a trouble where it is too little."""

from collections.abc import Container, Mapping

from sidecar.core.match_share import Share
from sidecar.telemetry.metrics import IntakeMetrics
from sidecar.telemetry.recorder import Recorder, harmless
from sidecar.telemetry.service import ServiceEvents

TROUBLE = "low_match_rate"

_NONE = Share()


class MatchShares:
    """The shares of conversions that can be matched. Costs an addition a request."""

    def __init__(self, recorder: Recorder, metrics: IntakeMetrics, service: ServiceEvents) -> None:
        self.recorder = recorder
        self.changed = False
        """Whether any share changed since they were last saved."""
        self._metrics = metrics
        self._service = service
        self._shares: dict[str, Share] = {}

    @property
    def shares(self) -> Mapping[str, Share]:
        """By goal, what its last conversions carried."""
        return dict(self._shares)

    def restore(self, shares: Mapping[str, Share]) -> None:
        """Take over what was saved before the start, and raise the trouble of each share that is low."""
        for goal, share in shares.items():
            self._shares[goal] = share
            if share.is_low(was_low=False):
                self._raise(goal, share)

    def retain(self, goals: Container[str]) -> None:
        """Drop every goal that is not among `goals`, those that the configuration names."""
        self._shares = {goal: share for goal, share in self._shares.items() if goal in goals}
        self.changed = True

    @harmless
    def seen(self, goal: str, counts: Mapping[tuple[str, ...], int]) -> None:
        """Add the conversions of `goal` that one request brought: their number by identifiers, `()` for none.

        They are judged together: their order within a request means nothing.
        """
        share = self._shares.get(goal, _NONE)
        for matched_by, n in counts.items():
            share = share.plus(matched_by, n)
        self._shares[goal] = share
        self.changed = True
        if () in counts:
            self._metrics.match.add(counts[()], "none")
        was_low = self._service.board.find(TROUBLE, subject=goal) is not None
        if share.is_low(was_low=was_low) is was_low:
            return
        if was_low:
            self._service.trouble_cleared(TROUBLE, subject=goal)
        else:
            self._raise(goal, share)

    def _raise(self, goal: str, share: Share) -> None:
        percent = share.percent.partition(" of ")[0]
        self._service.trouble_raised(TROUBLE, subject=goal, detail=f"{percent}: {share.in_words}")
