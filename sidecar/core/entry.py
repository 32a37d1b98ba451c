"""One row on its way: Microsoft's outcome, and what happens next and when.

Decides and writes nothing: delivery asks for a `Step`, and the store carries it out.
"""

from dataclasses import dataclass
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from sidecar.core.conversion import AdjustmentType, Kind
from sidecar.core.instant import EPOCH, MAX_AGE_SECONDS, UnixMillis, UnixSeconds, seconds
from sidecar.core.retry import row_delay_millis
from sidecar.core.states_and_reasons import Reason, State


@dataclass(frozen=True, slots=True)
class Lane:
    """One account, event and kind: what can be held up together, and must not hold up anything else."""

    id: int
    account: str
    event: str
    kind: Kind = Kind.CONVERSION


NO_LANE = Lane(0, "", "")


class Entry(Struct, frozen=True, array_like=True, gc=False):
    """A pending row as the flusher sees it; a `Struct`, since the way of a batch makes thousands of them.

    msgspec makes them straight from a list of JSON, and copies them, each in a third of what a named tuple takes. The
    claim freezes `goal`, `sent_time`, `clicked_at` and the click id.
    """

    seq: int
    time: UnixSeconds
    received_at: UnixMillis
    due_at: UnixMillis = EPOCH
    value: str | None = None
    """Exact decimal text, as it goes on the wire."""
    currency: str | None = None
    msclkid: str | None = None
    """What the caller gave; once the row is frozen, what it is sent with."""
    visitor_id: str | None = None
    email_sha256: str | None = None
    phone_sha256: str | None = None
    external_credit: str | None = None
    external_model: str | None = None
    order_id: str | None = None
    """For the log only."""
    attempt: int = 0
    """How often it was claimed."""
    refusals: int = 0
    """How often it was alone in a request that was refused as a whole; see `POISON_AFTER`."""
    retries: int = 0
    """How often Microsoft asked for this row again; sets the delay, never an end."""
    maybe_sent: bool = False
    """Whether some earlier request that carried it may have been applied: then what was sent must not change."""
    goal: str | None = None
    sent_time: UnixSeconds | None = None
    """The second it is sent with: `time`, or moved where another conversion of the person has that second."""
    clicked_at: UnixSeconds | None = None
    """When the click that was chosen for it happened, where that is known."""
    type: AdjustmentType | None = None
    """Of an adjustment; this and the next two are None for a conversion."""
    original: int | None = None
    """The number of the conversion that it adjusts; negative for one that was uploaded elsewhere."""
    adjusted_at: UnixSeconds | None = None
    """The time of the adjustment itself, as it is sent."""
    evaluated: UnixSeconds | None = None
    """When the click happened that attribution evaluated, chosen or not; None where there was none."""
    lane: Lane = NO_LANE
    """Set of every entry; the last member, since it is not in the JSON of which an entry is made."""

    def taken(self) -> "Entry":
        """The entry as its row is once it is claimed."""
        return replace(self, attempt=self.attempt + 1, evaluated=None)

    @property
    def conversion_seq(self) -> int:
        """The number of the conversion that it is or adjusts."""
        return self.seq if self.original is None else self.original

    @property
    def keeps_frozen(self) -> bool:
        """Whether what was frozen must not change, even if every request that carried it was definitely refused.

        An adjustment names its original exactly as that was sent, for good.
        """
        return self.maybe_sent or (self.original is not None and self.original > 0)


@dataclass(frozen=True, slots=True)
class Fault:
    """One error as Microsoft names it."""

    error: str
    """The symbol, such as `OfflineConversionNameInvalid`; made up from the HTTP status where there is none."""
    error_code: int | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """The row was not taken now and may be later. `known` is false for a code that the table of faults lacks.

    `trouble` is the code of the trouble to raise.
    """

    fault: Fault
    known: bool = True
    trouble: str = "row_retried"


@dataclass(frozen=True, slots=True)
class Hold:
    """The row's goal cannot accept it: `goal_not_found` or `goal_settling`. It costs the row nothing."""

    fault: Fault
    reason: Reason


@dataclass(frozen=True, slots=True)
class Dead:
    """Refused for good. `ours` is true where our own request or the configuration is to blame, not the row."""

    fault: Fault
    ours: bool = False


Outcome = Retry | Hold | Dead
"""What Microsoft answered for a row that it did not take."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The row ends here."""

    state: State
    reason: str | None = None
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Requeue:
    """The row is due again at `due_at`. `released` says that no request can have been applied: it may be re-frozen."""

    due_at: UnixMillis
    reason: Reason | None
    fault: Fault | None = None
    released: bool = True
    retries: int = 0
    refusals: int = 0


Step = Settled | Requeue

POISON_AFTER = 3
"""Refusals of an isolated row before it dies: once may be Microsoft's bad moment."""


@dataclass(frozen=True, slots=True)
class LongestWaits:
    """How long a row may wait for each reason, in milliseconds; what is due later was written with a wrong clock."""

    click_millis: int = 3_600_000
    """For a click of its visitor."""
    click_settle_millis: int = 3_600_000
    """For its click to be old enough."""
    adjustment_millis: int = 6 * 3_600_000
    """Of an adjustment, for Microsoft to have processed its conversion."""


def too_old(time: UnixSeconds, now: UnixMillis) -> bool:
    """Whether Microsoft would refuse a conversion of that time for its age."""
    return seconds(now) - time > MAX_AGE_SECONDS


def next_step(entry: Entry, outcome: Outcome, now: UnixMillis, chance: float) -> Step:
    """What becomes of `entry` after Microsoft's `outcome` at `now`; `chance` is uniform in [0, 1).

    Age ends a row, the number of attempts never does.
    """
    match outcome:
        case Dead(fault=fault):
            return Settled(State.DEAD, fault.error, fault)
        case Hold(fault=fault):
            return _unless_too_old(entry, now, _held(entry, fault, now, chance))
        case Retry(fault=fault):
            due_at = UnixMillis(now + row_delay_millis(entry.retries, chance))
            step = Requeue(due_at, Reason.RETRYING, fault, not entry.keeps_frozen, entry.retries + 1)
            return _unless_too_old(entry, now, step)
        case _:
            assert_never(outcome)


def _held(entry: Entry, fault: Fault, now: UnixMillis, chance: float) -> Requeue:
    """Due at once, since the goal's gate holds it; but a row bound to its goal is retried less and less often.

    The mapping may name another goal by now, and then no gate would hold the row back.
    """
    if not entry.keeps_frozen:
        return Requeue(now, None, fault, True, entry.retries)
    due_at = UnixMillis(now + row_delay_millis(entry.retries, chance))
    return Requeue(due_at, None, fault, False, entry.retries + 1)


def after_refusal(entry: Entry, fault: Fault, now: UnixMillis, chance: float, others_accepted: bool) -> Step:
    """What becomes of an isolated row whose request was refused as a whole.

    It dies after `POISON_AFTER` refusals if another row of its account was accepted meanwhile: else the row may not be
    the cause.
    """
    refusals = entry.refusals + 1
    if refusals >= POISON_AFTER and others_accepted:
        return Settled(State.DEAD, Reason.POISON, fault)
    due_at = UnixMillis(now + row_delay_millis(entry.refusals, chance))
    step = Requeue(due_at, Reason.RETRYING, fault, not entry.keeps_frozen, entry.retries, refusals)
    return _unless_too_old(entry, now, step)


def _unless_too_old(entry: Entry, now: UnixMillis, step: Requeue) -> Step:
    if too_old(entry.time, now):
        return Settled(State.DEAD, Reason.TOO_OLD, step.fault)
    return step
