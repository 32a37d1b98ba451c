"""What is known of each account while the process runs: its gates, its goals', its requests and its pace.

Nothing of it is on disk. The gates decide by it, the courier and the settler go by it; the pacer asks it for the rate.
"""

from collections import defaultdict
from dataclasses import dataclass, field, replace

from sidecar.core.adaptive_rate import RequestHistory
from sidecar.core.in_flight import InFlight, Turn
from sidecar.core.instant import UnixMillis
from sidecar.core.states_and_reasons import Reason


@dataclass(frozen=True, slots=True)
class Closure:
    """Why something is closed, since when, and when it is tried again."""

    reason: Reason | None
    since: UnixMillis
    until: UnixMillis

    def at(self, now: UnixMillis) -> "Closure":
        """The same, counted from `now` where the clock stepped back behind its beginning: it must not last longer."""
        if now >= self.since:
            return self
        return replace(self, since=now, until=UnixMillis(now + max(0, self.until - self.since)))

    def shifted(self, millis: int) -> "Closure":
        """The same by a clock that was moved by `millis`; what is tried at once still is."""
        until = UnixMillis(self.until + millis) if self.until else self.until
        return replace(self, since=UnixMillis(self.since + millis), until=until)

    def tried_at_once(self) -> "Closure":
        """The same, tried at once; only Microsoft's own "wait" stays."""
        return self if self.reason is Reason.THROTTLED else replace(self, until=UnixMillis(0))


@dataclass(frozen=True, slots=True)
class GoalHold:
    """Why the catalogue holds a goal's rows back. `trouble` is more exact than the reason that rows show."""

    reason: Reason
    trouble: str
    until: UnixMillis | None = None
    """When it ends by itself; None where only another reading ends it."""


@dataclass(slots=True)
class GoalState:
    """What holds back the rows of one goal: Microsoft's last answer to them, and the catalogue."""

    closure: Closure | None = None
    hold: GoalHold | None = None

    def is_held(self, now: UnixMillis) -> bool:
        """Whether the catalogue holds its rows now."""
        return self.hold is not None and (self.hold.until is None or now < self.hold.until)


@dataclass(slots=True)
class AccountState:
    """One account."""

    closure: Closure | None = None
    paused_since: UnixMillis | None = None
    """Since when an operator has paused it: no answer and no reload opens it."""
    awaits_reading: bool = False
    """Whether the first reading of its goals has not ended yet."""
    goals: defaultdict[str, GoalState] = field(default_factory=lambda: defaultdict(GoalState))
    history: RequestHistory = field(default_factory=RequestHistory)
    in_flight: InFlight = field(default_factory=InFlight)
    turns: dict[Turn, int] = field(default_factory=dict)
    """When each goal's rows of a kind last had their turn, in batches."""
    resent_last: bool = False
    """Whether the last batch was sent before: then a new one has its turn first."""

    def take_turn(self, turn: Turn) -> None:
        """It goes to the end of the line."""
        self.turns[turn] = max(self.turns.values(), default=0) + 1


class AccountStates(defaultdict[str, AccountState]):
    """The state of each account by its name; one that is asked for the first time is open and idle."""

    def __init__(self) -> None:
        super().__init__(AccountState)

    def history(self, account: str) -> RequestHistory:
        """How the account's requests fared, and at which rate they go."""
        return self[account].history
