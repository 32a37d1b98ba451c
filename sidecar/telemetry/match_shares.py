"""What conversions can be matched by, goal by goal; a trouble where it is too little."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping

from sidecar.core.match_share import Share
from sidecar.telemetry.metrics import IntakeMetrics
from sidecar.telemetry.recorder import Recorder, harmless
from sidecar.telemetry.service import ServiceEvents

TROUBLE = "low_match_rate"

_NONE = Share()


class MatchShares:
    """The shares of conversions that can be matched. Costs an addition a request.

    They are those of all replicas: what the store had at the last look, and what this process has counted since.
    """

    def __init__(self, recorder: Recorder, metrics: IntakeMetrics, service: ServiceEvents) -> None:
        self.recorder = recorder
        self.is_ours: Callable[[], bool] = lambda: True
        """Whether this replica alone raises and clears the trouble now."""
        self.goals: Collection[str] | None = None
        """Those that the configuration names; None before it was said."""
        self._metrics = metrics
        self._service = service
        self._shares: dict[str, Share] = {}
        self._counted: Counter[tuple[str, tuple[str, ...]]] = Counter()
        """What is not stored yet, by goal and identifiers."""
        self._saving: Counter[tuple[str, tuple[str, ...]]] = Counter()
        """What is being stored."""

    @property
    def shares(self) -> Mapping[str, Share]:
        """By goal, what its last conversions carried."""
        return dict(self._shares)

    @property
    def changed(self) -> bool:
        """Whether anything was counted that is not stored yet."""
        return bool(self._counted)

    def begin_saving(self) -> Mapping[str, Share]:
        """Return by goal what was counted and not stored; `stored` or `not_stored` must follow."""
        self._saving, self._counted = self._counted, Counter()
        return _by_goal(self._saving)

    def stored(self, shares: Mapping[str, Share]) -> None:
        """What was being saved is among these, which are the sums of all replicas."""
        self._saving = Counter()
        self.restore(shares)

    def not_stored(self) -> None:
        """What was being saved is to be saved again."""
        self._counted, self._saving = self._saving + self._counted, Counter()

    def restore(self, shares: Mapping[str, Share]) -> None:
        """Take over what is stored, and raise the trouble of each share that is low."""
        self._shares = {goal: share for goal, share in shares.items() if self.goals is None or goal in self.goals}
        for (goal, matched_by), n in (self._saving + self._counted).items():
            self._shares[goal] = self._shares.get(goal, _NONE).plus(matched_by, n)
        self.judge()

    def retain(self, goals: Collection[str]) -> None:
        """Drop every goal that is not among `goals`, those that the configuration names."""
        self.goals = frozenset(goals)
        self._counted = Counter({key: n for key, n in self._counted.items() if key[0] in goals})
        self._shares = {goal: share for goal, share in self._shares.items() if goal in goals}

    @harmless
    def seen(self, goal: str, counts: Mapping[tuple[str, ...], int]) -> None:
        """Add the conversions of `goal` that one request brought: their number by identifiers, `()` for none.

        They are judged together: their order within a request means nothing.
        """
        share = self._shares.get(goal, _NONE)
        for matched_by, n in counts.items():
            share = share.plus(matched_by, n)
            self._counted[goal, matched_by] += n
        self._shares[goal] = share
        if () in counts:
            self._metrics.match.add(counts[()], "none")
        self._judge(goal, share)

    def judge(self) -> None:
        """Raise and clear the troubles; where another replica has them, this one has none."""
        if self.is_ours():
            for goal, share in self._shares.items():
                self._judge(goal, share)
            return
        for active in self._service.board.active(TROUBLE):
            self._service.board.remove(active)

    def _judge(self, goal: str, share: Share) -> None:
        was_low = self._service.board.find(TROUBLE, subject=goal) is not None
        if share.is_low(was_low=was_low) is was_low or not self.is_ours():
            return
        if was_low:
            self._service.trouble_cleared(TROUBLE, subject=goal)
        else:
            percent = share.percent.partition(" of ")[0]
            self._service.trouble_raised(TROUBLE, subject=goal, detail=f"{percent}: {share.in_words}")


def _by_goal(counted: Mapping[tuple[str, tuple[str, ...]], int]) -> Mapping[str, Share]:
    found: dict[str, Share] = {}
    for (goal, matched_by), n in counted.items():
        found[goal] = found.get(goal, _NONE).counting(matched_by, n)
    return found
