"""Adjustments of earlier conversions, and what becomes of them, by the state of the conversion.

Decides over plain values; reading what a caller wrote is `adjustment_intake`'s, finding the conversion the store's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sidecar.core.conversion import AdjustmentType, plain_decimal
from sidecar.core.entry import too_old
from sidecar.core.instant import EPOCH, UnixMillis, UnixSeconds, millis
from sidecar.core.intake.problem import Problem
from sidecar.core.keys import Key, KeySource, digest_of, foreign_original
from sidecar.core.states_and_reasons import Reason, State


@dataclass(frozen=True, slots=True)
class ByOrder:
    """The conversion of this order id; of that event, where it is named."""

    order_id: str
    event: str | None


@dataclass(frozen=True, slots=True)
class ById:
    """The conversion with this number; of that event, where it is named."""

    seq: int
    event: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """A conversion that was uploaded elsewhere, by what it was uploaded with."""

    account: str
    event: str
    time: UnixSeconds
    msclkid: str | None
    email_sha256: str | None
    phone_sha256: str | None
    currency: str | None
    """The event's, for want of knowing the conversion's own."""

    @property
    def original(self) -> int:
        """The negative number that stands for it."""
        identifiers = (self.msclkid, self.email_sha256, self.phone_sha256)
        return foreign_original(self.account, self.event, self.time, *identifiers)


Target = ByOrder | ById | Foreign


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """One validated adjustment."""

    type: AdjustmentType
    target: Target
    value: Decimal | None
    """The new total; None for a retract."""
    currency: str | None
    time: UnixSeconds
    time_given: bool
    idempotency_key: str | None = None

    def key(self) -> Key | None:
        """What the Idempotency-Key header makes of it; a namespace of its own."""
        return None if self.idempotency_key is None else Key.of(KeySource.ADJUSTMENT, self.idempotency_key)

    def content(self, original: int, currency: str | None) -> str:
        """A digest of what it changes of `original`, with the resulting currency."""
        value = "" if self.value is None else plain_decimal(self.value)
        time = str(self.time) if self.time_given else ""
        return digest_of(str(original), self.type.value, value, currency or "", time)


TOO_OLD = Problem("", "too_old", "is about a conversion of more than 90 days ago, which Microsoft no longer changes")
BEFORE_ORIGINAL = Problem("time", "before_original", "must not lie before the time of the conversion itself")
NO_CURRENCY = Problem("currency", "currency_required", "is required: the conversion has no currency of its own")


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """The state of the adjusted conversion."""

    state: State
    reason: str | None
    time: UnixSeconds
    sent_time: UnixSeconds | None
    """The second it was sent with, where it was."""
    settled_at: UnixMillis | None
    currency: str | None
    possibly_sent: bool
    """Whether it is on its way, or an earlier request that carried it may have been applied."""
    is_erased: bool = False
    """Whether nothing is left by which it could be known."""
    replaced_at: UnixMillis = EPOCH
    """When it took the place of another content, whose adjustments do not apply to it; EPOCH where it did not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """Another adjustment of the same conversion, in the order of their receipt."""

    seq: int
    type: AdjustmentType
    state: State
    possibly_sent: bool
    was_claimed: bool
    """Whether a request with it ever left, or was about to."""
    adjusted_at: UnixSeconds
    received_at: UnixMillis = EPOCH
    content: str = ""
    """See `Adjustment.content`; empty where it was erased."""
    reason: str | None = None

    @property
    def waits(self) -> bool:
        """It is pending, and for certain not at Microsoft."""
        return self.state is State.PENDING and not self.possibly_sent

    @property
    def retracts(self) -> bool:
        """Whether it retracted the conversion, or will: one that was refused or skipped does not."""
        return self.type is AdjustmentType.RETRACT and self.state in (State.PENDING, State.DELIVERED, State.CANCELED)


@dataclass(frozen=True, slots=True)
class Apply:
    """Nothing of the conversion is at Microsoft: it is changed, or ended, right here, also where it had ended already.

    `superseded` wait no more.
    """

    superseded: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class WaitForOriginal:
    """Until the conversion, or an earlier adjustment of it, has been answered."""

    superseded: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class SendAdjustment:
    """It goes out at `due_at` as an adjustment of that time."""

    due_at: UnixMillis
    adjusted_at: UnixSeconds
    superseded: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class NotSent:
    """There is nothing at Microsoft to adjust, and there will not be."""


@dataclass(frozen=True, slots=True)
class Retracted:
    """The conversion is, or is about to be, taken back; `seq` is the retract that did it, where there is one."""

    seq: int | None


@dataclass(frozen=True, slots=True)
class Unfit:
    """It cannot be done with this conversion."""

    problem: Problem


Placement = Apply | WaitForOriginal | SendAdjustment | NotSent
Decision = Placement | Retracted | Unfit


def decide(
    original: Original, earlier: Sequence[Earlier], wanted: Adjustment, now: UnixMillis, adjustment_delay_millis: int
) -> Decision:
    """The decision on a new adjustment: section 5 of the contract, cell by cell."""
    problem = _unfit(original, wanted, now)
    if problem is not None:
        return Unfit(problem)
    standing = [one.seq for one in earlier if one.retracts and one.received_at >= original.replaced_at]
    if standing or (original.state is State.CANCELED and original.reason == Reason.RETRACTED):
        return Retracted(standing[-1] if standing else None)
    return place(original, earlier, wanted.time, now, adjustment_delay_millis)


def place(
    original: Original, earlier: Sequence[Earlier], time: UnixSeconds, now: UnixMillis, adjustment_delay_millis: int
) -> Placement:
    """What an adjustment of that time is to do now, new or released from waiting; `earlier` are all others.

    At most one of a conversion is on its way, so their order at Microsoft is certain; one that is not takes over from
    those that wait.
    """
    superseded = tuple(one.seq for one in earlier if one.waits)
    if original.state is State.CANCELED or (original.is_erased and original.state is not State.DELIVERED):
        return NotSent()
    if original.state is not State.DELIVERED and not original.possibly_sent:
        return Apply(superseded)
    if original.state is State.PENDING or any(one.state is State.PENDING and one.possibly_sent for one in earlier):
        return WaitForOriginal(superseded)
    return _send(original, earlier, time, now, adjustment_delay_millis, superseded)


def _send(
    original: Original,
    earlier: Sequence[Earlier],
    time: UnixSeconds,
    now: UnixMillis,
    adjustment_delay_millis: int,
    superseded: tuple[int, ...],
) -> SendAdjustment:
    """Never before the conversion, always after all adjustments that Microsoft may have; not sent before its time.

    A conversion that was settled in the future was settled while the clock was ahead.
    """
    after = [one.adjusted_at + 1 for one in earlier if one.was_claimed]
    adjusted_at = UnixSeconds(max(time, original.sent_time or original.time, *after))
    settled = UnixMillis(min(now, original.settled_at or millis(original.time)) + adjustment_delay_millis)
    return SendAdjustment(UnixMillis(max(now, settled, millis(adjusted_at))), adjusted_at, superseded)


def _unfit(original: Original, wanted: Adjustment, now: UnixMillis) -> Problem | None:
    if too_old(original.time, now):
        return TOO_OLD
    if wanted.time_given and wanted.time < original.time:
        return BEFORE_ORIGINAL
    if wanted.type is AdjustmentType.RESTATE and not (wanted.currency or original.currency):
        return NO_CURRENCY
    return None
