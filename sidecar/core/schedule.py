"""What the courier of an account does next: a batch again, a new one, or sleep. Decided from plain values.

Instants are seconds of a monotonic clock: a wall clock that is moved stretches no wait.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sidecar.core.adaptive_rate import Window
from sidecar.core.conversion import Kind
from sidecar.core.entry import Entry, Lane
from sidecar.core.in_flight import InFlight, Turn
from sidecar.core.instant import UnixMillis

IDLE_SECONDS = 1.0
"""The longest sleep; an arrival or an answer ends it at once."""


@dataclass(frozen=True, slots=True)
class DeliveryRules:
    """The part of `delivery:` that a courier obeys."""

    batch_size: int
    linger_millis: int
    max_in_flight: int
    lease_millis: int
    """How long a claim is valid: longer than any request may take."""


@dataclass(frozen=True, slots=True)
class GoalQueue:
    """The waiting rows of one goal and kind: their lanes, and how many may go together now."""

    goal: str
    kind: Kind
    lanes: tuple[Lane, ...]
    rows: int
    """0 while the goal is closed, 1 to probe it, else a full batch."""

    @property
    def turn(self) -> Turn:
        """What it takes turns as: conversions and adjustments of a goal are different calls."""
        return self.goal, self.kind


@dataclass(frozen=True, slots=True)
class Resend:
    """Send the open batch again that has been due longest."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """Send a new batch of this goal, if enough of its rows are due."""

    goal: GoalQueue


@dataclass(frozen=True, slots=True)
class Sleep:
    """Do nothing until then, or until that many rows arrived; anything else that happens ends it too."""

    until: float
    rows: int = 1


Move = Resend | Fresh | Sleep


@dataclass(frozen=True, slots=True)
class Unripe:
    """A goal whose rows may not go yet: when they may, and how many there are."""

    until: float
    rows: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """The state of an account when its courier looks around."""

    is_open: bool
    """Whether the account may send at all."""
    in_flight: InFlight
    window: Window
    goals: Sequence[GoalQueue] = ()
    """Every goal that has lanes, closed ones too."""
    turns: Mapping[Turn, int] = field(default_factory=dict)
    """When each had its last turn."""
    has_resend: bool = False
    resent_last: bool = False
    batch_size: int = 1
    unripe: Mapping[Turn, Unripe] = field(default_factory=dict)
    """Goals whose rows were read, and may not go yet."""

    def postponed(self, goal: GoalQueue, until: float, rows: int) -> "Schedule":
        """The same, once the goal's `rows` turned out not to be ripe before `until`."""
        return replace(self, unripe={**self.unripe, goal.turn: Unripe(until, rows)})


def next_move(schedule: Schedule, now: float) -> Move:
    """What goes next. Batches that go again and new ones alternate; goals take turns."""
    if not has_room(schedule, now):
        return Sleep(now + IDLE_SECONDS, schedule.batch_size)  # what arrives makes no room
    goal = next(ready_goals(schedule, now), None)
    may_resend = schedule.has_resend and schedule.in_flight.takes_resend(schedule.window, now)
    if may_resend and (goal is None or not schedule.resent_last):
        return Resend()
    return _until_ripe(schedule, now) if goal is None else Fresh(goal)


def has_room(schedule: Schedule, now: float) -> bool:
    """Whether the account may send, and another request may leave."""
    return schedule.is_open and schedule.in_flight.has_room(schedule.window, now)


def may_resend(schedule: Schedule, now: float) -> bool:
    """Whether a batch may go again, if there is one."""
    return has_room(schedule, now) and schedule.in_flight.takes_resend(schedule.window, now)


def ready_goals(schedule: Schedule, now: float) -> Iterator[GoalQueue]:
    """The goals that may send, those first that have waited longest for their turn."""
    is_only = len(schedule.goals) == 1
    for goal in sorted(schedule.goals, key=lambda goal: schedule.turns.get(goal.turn, 0)):
        takes = schedule.in_flight.takes(goal.turn, schedule.window, now, is_only=is_only)
        if takes and goal.rows and goal.turn not in schedule.unripe:
            yield goal


def _until_ripe(schedule: Schedule, now: float) -> Sleep:
    """Until the first goal is ripe, or until a batch can be full."""
    fullest = max((one.rows for one in schedule.unripe.values()), default=0)
    until = min((one.until for one in schedule.unripe.values()), default=now + IDLE_SECONDS)
    return Sleep(min(until, now + IDLE_SECONDS), max(1, schedule.batch_size - fullest) if fullest else 1)


def ripe_at(entries: Sequence[Entry], rows: int, linger_millis: int, now: UnixMillis) -> UnixMillis:
    """When these due entries may go, by the wall clock: at once where they fill a batch of `rows`.

    Fewer go when the oldest has waited `linger_millis`; where there are none, the queue is read again later.
    """
    if not entries:
        return UnixMillis(now + int(IDLE_SECONDS * 1000))
    if len(entries) >= rows:
        return UnixMillis(0)
    # An entry is due before it was received where the clock stepped back between.
    return UnixMillis(min(min(entry.received_at, entry.due_at) for entry in entries) + linger_millis)
