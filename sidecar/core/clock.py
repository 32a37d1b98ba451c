"""Which time it is, on a machine whose clock may jump: readings of two clocks in, one time out.

A clock is set right by a step as often as it is set wrong by one. So a jump is not followed before something speaks for
it: Microsoft's own time, as its answers tell it, or, where a jump is one that clocks make, that nothing contradicts it
for a minute. Until then time goes on evenly: what waits goes out neither early nor late, nothing is too old at once.

Where several replicas share a database, its clock is the one that all of them follow, and none asks its own machine.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from sidecar.core.instant import DAY_SECONDS, UnixMillis

FOLLOWED_MILLIS = 1_000
"""So far the wall clock is followed at once: it is slewed, and drifts."""

PATIENCE_SECONDS = 60.0
"""How long a jump must last without a contradiction before it is followed."""

LIKELY_AHEAD_MILLIS = 7 * DAY_SECONDS * 1000
LIKELY_BACK_MILLIS = 1 * DAY_SECONDS * 1000
"""Jumps that clocks make: after a machine was paused, or when somebody sets one right. Larger ones need Microsoft."""

LED_MILLIS = 100
"""A difference from the database's clock up to this may be the way of its answer."""

HARMLESS_MILLIS = 240_000
"""A jump that makes no time that comes in look more than five minutes ahead, which intake would refuse."""

EARLIEST = UnixMillis(1_704_067_200_000)
"""2024-01-01: a clock that shows less was never set."""


@dataclass(slots=True)
class SteadyClock:
    """A wall clock that does not jump, from one that does and a `monotonic` one in seconds that never goes back.

    `on_jump` is called at each jump, so that Microsoft is asked; `on_step` gets the milliseconds by which the time that
    `now` gives is set, whenever it is.
    """

    wall: Callable[[], UnixMillis]
    monotonic: Callable[[], float]
    on_step: Callable[[int], None] = lambda millis: None
    on_jump: Callable[[], None] = lambda: None
    _offset: int = field(init=False)
    """What is added to the monotonic milliseconds."""
    _jump: int = 0
    """How far away the wall clock was when it was last seen to jump; 0 when it is not away."""
    _jumped_at: float = 0.0
    """When that was; monotonic."""
    _contradicted: bool = False
    """Whether Microsoft contradicted the wall clock since."""
    _is_led: bool = False
    """Whether a database's clock is followed instead of the machine's."""

    def __post_init__(self) -> None:
        self._offset = self.wall() - round(self.monotonic() * 1000)

    def now(self) -> UnixMillis:
        """The time, in Unix milliseconds."""
        steady, away = self._read()
        if self._is_led or (not away and not self._jump):
            return steady
        if abs(away) <= FOLLOWED_MILLIS or steady < EARLIEST <= steady + away:
            self._follow(away)
            return UnixMillis(steady + away)
        if abs(away - self._jump) > FOLLOWED_MILLIS:
            self._jump, self._jumped_at, self._contradicted = away, self.monotonic(), False
            self.on_jump()
        return steady

    @property
    def away(self) -> int:
        """By how many milliseconds the wall clock is ahead of `now`, or, below zero, behind it; 0 when it is not."""
        self.now()
        return self._jump and self._read()[1]

    def look(self) -> None:
        """To be called every few seconds: follow a jump that clocks make once nothing spoke against it for long."""
        away = self.away
        waited = self.monotonic() - self._jumped_at >= PATIENCE_SECONDS
        if away and waited and not self._contradicted and _is_likely(away):
            self._follow(away)

    def heard(self, at: UnixMillis) -> None:
        """Microsoft says that it is `at` now."""
        if not (away := self.away):
            return
        steady = self.now()
        if abs(steady + away - at) < abs(steady - at):
            self._follow(away)
        else:
            self._contradicted = True

    def lead(self, at: UnixMillis) -> None:
        """It is `at` by the clock of a database that others share: that one is followed from now on."""
        self._is_led = True
        if abs(away := at - self._read()[0]) > LED_MILLIS:
            self._follow(away)

    @property
    def unsettled(self) -> str | None:
        """Why the time is unknown, so that none can be judged; None when it can."""
        now = self.now()
        if now < EARLIEST:
            return "this machine's clock shows a time before 2024"
        if not self._jump:
            return None
        away = self._read()[1]
        if _is_likely(away) and abs(away) > HARMLESS_MILLIS and not self._contradicted:
            return (
                f"this machine's clock was set {jump_words(away)}, and for a minute it is not known which time is right"
            )
        return None

    def _follow(self, away: int) -> None:
        self._offset += away
        self._jump, self._contradicted = 0, False
        if abs(away) > FOLLOWED_MILLIS:
            self.on_step(away)

    def _read(self) -> tuple[UnixMillis, int]:
        """The time that went on evenly, and how far ahead of it the wall clock is."""
        steady = UnixMillis(round(self.monotonic() * 1000) + self._offset)
        return steady, self.wall() - steady


def _is_likely(away: int) -> bool:
    return -LIKELY_BACK_MILLIS <= away <= LIKELY_AHEAD_MILLIS


def jump_words(away: int) -> str:
    """`3.5 h ahead`, `30 s back`: how far a clock was set, milliseconds."""
    seconds = abs(away) / 1000
    for unit, size in (("days", DAY_SECONDS), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit} {'ahead' if away > 0 else 'back'}"
    return f"{seconds:.0f} s {'ahead' if away > 0 else 'back'}"
