"""The overview: how things are in one sentence for people, and the figures behind it. Values in, values out.

The store counts, `troubles` has the causes and remedies, and the API makes JSON of what is decided here.
"""

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field

from sidecar.core.concern import ADVICE, Concern, Ranked, badness, sentence
from sidecar.core.conversion import Kind
from sidecar.core.entry import Lane
from sidecar.core.instant import UnixMillis
from sidecar.core.standing import WORST_FIRST, AccountLine, GoalLine, Standing, goal_standing, last_day, standing_of
from sidecar.core.states_and_reasons import Reason, State
from sidecar.core.tally import Figures, Sum, total
from sidecar.core.waiting_parts import WaitingPart, own_parts, parts_of, together, waiting_by_lane
from sidecar.core.waiting_summary import Waiting

LATE_SECONDS = 10
"""A row that is due for less long is on its usual way."""


@dataclass(frozen=True, slots=True)
class MappedEvent:
    """An event of an account, the goal that it is mapped to, and what holds its rows now."""

    account: str
    event: str
    goal: str
    held: Reason | None = None


@dataclass(frozen=True, slots=True)
class View:
    """What the overview is made of. `events` are those of the configuration, `held` says what holds a lane's rows."""

    figures: Figures
    concerns: Sequence[Concern]
    events: Sequence[MappedEvent]
    accounts: Sequence[str]
    held: Callable[[Lane], Reason | None]
    now: UnixMillis
    _waiting: dict[int, Waiting] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Add up what waits in each lane, once."""
        self._waiting.update(waiting_by_lane(self.figures))

    # --- Figures -----------------------------------------------------------------------------------------------------

    def received(self, state: State | None = None, lanes: Set[int] | None = None) -> Sum:
        """Return the conversions of the period that are in this state now, or all of them; those of some lanes."""
        wanted = self._conversions() if lanes is None else self._conversions() & lanes
        return total([one for one in self.figures.received if one.lane in wanted and state in (None, one.state)])

    def dead(self) -> Sum:
        """Return every dead row that is stored, and what the conversions among them are worth."""
        return _stored(self.figures, State.DEAD, {lane.id for lane in self.figures.lanes}, self._conversions())

    @property
    def lag_seconds(self) -> float | None:
        """For how long the oldest due row has waited; None where nothing is late."""
        due_at = self.figures.oldest_due_at
        late = None if due_at is None else (self.now - due_at) / 1000
        return late if late is not None and late >= LATE_SECONDS else None

    def waiting(self) -> list[WaitingPart]:
        """Return what waits by reason, the most rows first; together it is all that waits."""
        found: dict[str | None, Waiting] = {}
        for lane in self.figures.lanes:
            if lane.id in self._waiting:
                for part in parts_of(lane, self._waiting[lane.id], self.figures.looks[lane.id], self.held(lane)):
                    known = found.get(part.reason)
                    found[part.reason] = part.waiting if known is None else together([known, part.waiting])
        parts = [WaitingPart(reason, waiting) for reason, waiting in found.items() if waiting.rows]
        return sorted(parts, key=lambda part: (-part.waiting.rows, part.reason or ""))

    def _conversions(self) -> Set[int]:
        return {lane.id for lane in self.figures.lanes if lane.kind is Kind.CONVERSION}

    # --- In words ----------------------------------------------------------------------------------------------------

    def ranked(self) -> list[Ranked]:
        """Return every concern with what it costs, the worst first."""
        found = [self._ranked(concern, concern.lanes) for concern in self.concerns]
        return sorted(found, key=badness)

    def _ranked(self, concern: Concern, lanes: Set[int]) -> Ranked:
        waiting = together([self._waiting[lane] for lane in sorted(concern.lanes & lanes & self._waiting.keys())])
        is_only_one = [concern.account] == list(self.accounts)
        return Ranked(concern, waiting, sentence(concern, waiting, self.now, names_account=not is_only_one))

    def headline(self, ranked: Sequence[Ranked]) -> str:
        """Return one sentence for people: the worst that is wrong, or how well it is."""
        if not ranked:
            return self.well()
        worst = ranked[0]
        if worst.concern.severity == ADVICE:
            return f"{self.recent()} Worth a look: {worst.headline}"
        return worst.headline

    def well(self) -> str:
        """Return how well it is."""
        return f"All is well. {self.recent()}"

    def recent(self) -> str:
        """Return what the last day brought."""
        if self.figures.first_received_at is None:
            return "Nothing was received yet."
        return last_day(self.received(State.DELIVERED), self.received())

    # --- Accounts and goals ------------------------------------------------------------------------------------------

    def account_lines(self) -> list[AccountLine]:
        """Return every account with its goals; those in trouble first."""
        lines = [self._account_line(account) for account in self.accounts]
        fine = WORST_FIRST.index(Standing.RECORDING)
        return sorted(lines, key=lambda line: min(WORST_FIRST.index(line.standing), fine))

    def _account_line(self, account: str) -> AccountLine:
        lanes = {lane.id for lane in self.figures.lanes if lane.account == account}
        goals = [self._goal_line(mapped) for mapped in self.events if mapped.account == account]
        ours = [one for one in self.concerns if one.account == account or one.lanes & lanes]
        loud = sorted((self._ranked(one, lanes) for one in ours if one.severity != ADVICE), key=badness)
        standings = [goal.standing for goal in goals] or [Standing.NO_RECENT_CONVERSIONS]
        standings += [standing_of(ranked.concern) for ranked in loud]
        worst = min(standings, key=WORST_FIRST.index)
        if loud:
            return AccountLine(account, worst, loud[0].headline, loud[0].concern.fix, goals)
        brought = last_day(self.received(State.DELIVERED, lanes), self.received(None, lanes))
        return AccountLine(account, worst, brought, None, goals)

    def _own(self, lanes: Set[int]) -> WaitingPart | None:
        """Return what most rows of these lanes wait for by themselves; None if none do."""
        parts = [
            part
            for lane in self.figures.lanes
            if lane.id in lanes and lane.id in self._waiting
            for part in own_parts(lane, self._waiting[lane.id], self.figures.looks[lane.id])
            if part.reason is not None
        ]
        return max(parts, key=lambda part: part.waiting.rows, default=None)

    def _goal_line(self, mapped: MappedEvent) -> GoalLine:
        lanes = {lane.id for lane in self.figures.lanes if (lane.account, lane.event) == (mapped.account, mapped.event)}
        delivered, dead = self.received(State.DELIVERED, lanes), self.received(State.DEAD, lanes)
        named = mapped.account, mapped.event, mapped.goal
        ours = [one for one in self.concerns if one.is_about(*named) or one.lanes & lanes]
        loud = sorted((self._ranked(one, lanes) for one in ours if one.severity != ADVICE), key=badness)
        standing, headline, fix = goal_standing(loud, dead, delivered, mapped.held, self._own(lanes))
        return GoalLine(mapped.goal, mapped.event, standing, headline, fix, delivered)


def _stored(figures: Figures, state: State, lanes: Set[int], worth: Set[int]) -> Sum:
    """Rows of some lanes in a state, with the values of those in the lanes that have a worth."""
    ours = [one for one in figures.stored if one.state is state and one.lane in lanes]
    return Sum(sum(one.rows for one in ours), total([one for one in ours if one.lane in worth]).values)
