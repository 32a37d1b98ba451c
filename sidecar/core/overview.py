"""The overview: how things are in one sentence for people, and the figures behind it. Values in, values out.

The store counts, `troubles` has the causes and remedies, and the API makes JSON of what is decided here.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from enum import StrEnum

from sidecar.core.conversion import Kind
from sidecar.core.entry import Lane
from sidecar.core.instant import DAY_SECONDS, UnixMillis
from sidecar.core.states_and_reasons import Reason, State
from sidecar.core.tally import Figures, Sum, total
from sidecar.core.waiting_parts import WaitingPart, own_parts, parts_of, together, waiting_by_lane
from sidecar.core.waiting_summary import Waiting, amount, day

LATE_SECONDS = 10
"""A row that is due for less long is on its usual way."""

ALARM_SECONDS = 14 * DAY_SECONDS
"""What passes by itself, or was wanted, says when the first row would be lost only when that is near."""

ERROR, WARNING, ADVICE = "error", "warning", "advice"
_LOUDEST = (ERROR, WARNING, ADVICE)


class Standing(StrEnum):
    """How a goal or an account does, the worst first; the words of an ad platform's diagnostics."""

    NEEDS_ATTENTION = "needs_attention"  # someone has to act
    HELD = "held"  # its rows wait for what passes by itself, or was wanted
    RECORDING = "recording"  # conversions were delivered, and nothing is wrong
    NO_RECENT_CONVERSIONS = "no_recent_conversions"


_WORST = tuple(Standing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Concern:
    """A trouble, in plain values."""

    code: str
    title: str
    message: str
    """What is wrong: its title with subject and detail, without a full stop."""
    cause: str
    fix: str
    since: UnixMillis
    account: str | None
    subject: str | None
    severity: str
    check: str
    about: str
    """What its subject is: `goal`, `event` or something else."""
    waits_for: str | None = None
    """For want of what rows wait: the end of a sentence."""
    lanes: Set[int] = frozenset()
    """The lanes whose rows wait for its end."""

    def is_about(self, account: str, event: str, goal: str) -> bool:
        """Whether it is the trouble of that goal or event."""
        subject = {"goal": goal, "event": event}.get(self.about)
        return self.account in (None, account) and subject is not None and self.subject == subject

    @property
    def is_wanted(self) -> bool:
        """Whether what it holds up goes on by itself, or when a person wants it to."""
        return self.severity == WARNING and self.waits_for is not None


@dataclass(frozen=True, slots=True)
class Ranked:
    """A concern with what waits for its end, in one sentence."""

    concern: Concern
    waiting: Waiting
    headline: str


@dataclass(frozen=True, slots=True)
class GoalLine:
    """One event of an account with its goal: how it does, and the last day's deliveries."""

    goal: str
    event: str
    standing: Standing
    headline: str | None
    fix: str | None
    delivered: Sum


@dataclass(frozen=True, slots=True)
class AccountLine:
    """One account: how it does, and its goals."""

    account: str
    standing: Standing
    headline: str
    fix: str | None
    goals: Sequence[GoalLine]


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
        return sorted(found, key=_badness)

    def _ranked(self, concern: Concern, lanes: Set[int]) -> Ranked:
        waiting = together([self._waiting[lane] for lane in sorted(concern.lanes & lanes & self._waiting.keys())])
        where = f" (account {concern.account})" if self._names_account(concern) else ""
        return Ranked(concern, waiting, _sentence(concern, waiting, where, self.now))

    def _names_account(self, concern: Concern) -> bool:
        account, words = concern.account, concern.waits_for or ""
        return account is not None and len(self.accounts) > 1 and account not in words

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
        return _recent(self.received(State.DELIVERED), self.received())

    # --- Accounts and goals ------------------------------------------------------------------------------------------

    def account_lines(self) -> list[AccountLine]:
        """Return every account with its goals; those in trouble first."""
        lines = [self._account_line(account) for account in self.accounts]
        return sorted(lines, key=lambda line: min(_WORST.index(line.standing), _WORST.index(Standing.RECORDING)))

    def _account_line(self, account: str) -> AccountLine:
        lanes = {lane.id for lane in self.figures.lanes if lane.account == account}
        goals = [self._goal_line(mapped) for mapped in self.events if mapped.account == account]
        ours = [one for one in self.concerns if one.account == account or one.lanes & lanes]
        loud = sorted((self._ranked(one, lanes) for one in ours if one.severity != ADVICE), key=_badness)
        standings = [goal.standing for goal in goals] or [Standing.NO_RECENT_CONVERSIONS]
        standings += [_standing_of(ranked.concern) for ranked in loud]
        worst = min(standings, key=_WORST.index)
        if loud:
            return AccountLine(account, worst, loud[0].headline, loud[0].concern.fix, goals)
        recent = _recent(self.received(State.DELIVERED, lanes), self.received(None, lanes))
        return AccountLine(account, worst, recent, None, goals)

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
        loud = sorted((self._ranked(one, lanes) for one in ours if one.severity != ADVICE), key=_badness)
        standing, headline, fix = _goal_standing(loud, dead, delivered, mapped.held, self._own(lanes))
        return GoalLine(mapped.goal, mapped.event, standing, headline, fix, delivered)


_OWN: Mapping[str, str] = {
    Reason.AWAITING_CLICK: "for a click of the visitor",
    Reason.CLICK_SETTLING: "until the click is an hour old",
    Reason.NOT_YET: "until their time has come",
    Reason.RETRYING: "to be tried again",
    Reason.AWAITING_ORIGINAL: "for their conversion to be settled",
}


def _goal_standing(
    loud: Sequence[Ranked], dead: Sum, delivered: Sum, held: Reason | None, own: WaitingPart | None
) -> tuple[Standing, str | None, str | None]:
    """How a goal does, with the sentence and the remedy that belong to it."""
    needy = [ranked for ranked in loud if not ranked.concern.is_wanted]
    if needy:
        return Standing.NEEDS_ATTENTION, needy[0].headline, needy[0].concern.fix
    if dead.rows:
        refused = f"{amount(_as_waiting(dead))} of the last 24 hours {'is' if dead.rows == 1 else 'are'} dead."
        return Standing.NEEDS_ATTENTION, refused, "Each dead conversion says why. Correct the cause, then replay them."
    if loud:
        return Standing.HELD, loud[0].headline, loud[0].concern.fix
    if held is not None:
        return Standing.HELD, f"{_HELD.get(held, held.replace('_', ' ')).capitalize()}.", None
    if delivered.rows:
        return Standing.RECORDING, None, None
    if own is not None:
        alone = own.waiting.rows == 1
        words = _OWN.get(own.reason or "", (own.reason or "").replace("_", " "))
        return Standing.HELD, f"{amount(own.waiting)} {'waits' if alone else 'wait'} {words}.", None
    return Standing.NO_RECENT_CONVERSIONS, None, None


_HELD = {
    Reason.ACCOUNT_PAUSED: "the account is paused",
    Reason.THROTTLED: "Microsoft asked to wait",
    Reason.GOAL_SETTLING: "the goal is too young for Microsoft; its conversions go out when it is ready",
    Reason.RETRYING: "the last request failed and is tried again",
}


def _standing_of(concern: Concern) -> Standing:
    return Standing.HELD if concern.is_wanted else Standing.NEEDS_ATTENTION


def _badness(ranked: Ranked) -> tuple[int, int, UnixMillis, str]:
    """Errors first; of equal ones what holds up most rows, then what began first."""
    concern = ranked.concern
    return _LOUDEST.index(concern.severity), -ranked.waiting.rows, concern.since, concern.code


def _sentence(concern: Concern, waiting: Waiting, where: str, now: UnixMillis) -> str:
    """What waits for its end, for want of what, and when the first of it would be lost; else what is wrong."""
    if not waiting.rows or concern.waits_for is None:
        return f"{concern.message}."
    alone = waiting.rows == 1 and not waiting.more
    lost = waiting.expires_at
    is_far = concern.is_wanted and lost is not None and lost - now / 1000 > ALARM_SECONDS
    until = "" if lost is None or is_far else f" {'It' if alone else 'The first'} would be lost on {day(lost)}."
    return f"{amount(waiting)} {'waits' if alone else 'wait'}: {concern.waits_for}{where}.{until}"


def _recent(delivered: Sum, received: Sum) -> str:
    """What the last day brought."""
    if delivered.rows:
        verb = "was" if delivered.rows == 1 else "were"
        each = "" if delivered.rows == 1 else "each "
        within = f", {each}within {_duration(delivered.slowest_millis)}" if delivered.slowest_millis else ""
        return f"{amount(_as_waiting(delivered))} {verb} delivered in the last 24 hours{within}."
    if received.rows:
        verb = "was" if received.rows == 1 else "were"
        return f"{amount(_as_waiting(received))} {verb} received in the last 24 hours."
    return "No conversion was received in the last 24 hours."


def _duration(millis: int) -> str:
    """In the largest unit that fits twice, rounded up."""
    for unit, size in (("days", DAY_SECONDS), ("hours", 3_600), ("minutes", 60)):
        if millis >= 2_000 * size:
            return f"{-(-millis // (1_000 * size))} {unit}"
    return f"{-(-millis // 1_000)} s"


def _as_waiting(rows: Sum) -> Waiting:
    return Waiting(rows.rows, False, None, 0, rows.values)


def _stored(figures: Figures, state: State, lanes: Set[int], worth: Set[int]) -> Sum:
    """Rows of some lanes in a state, with the values of those in the lanes that have a worth."""
    ours = [one for one in figures.stored if one.state is state and one.lane in lanes]
    return Sum(sum(one.rows for one in ours), total([one for one in ours if one.lane in worth]).values)
