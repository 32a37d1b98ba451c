"""What each store offers to the rules that all stores share: its rows, within one transaction."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from sidecar.core.adjustment import Earlier, Original
from sidecar.core.erasure import Erasure, RowsOf, RowToErase
from sidecar.core.instant import UnixMillis, UnixSeconds
from sidecar.core.keys import Key
from sidecar.core.record import Record
from sidecar.core.repeats import KeyedAdjustment
from sidecar.core.states_and_reasons import Reason, State

# --- Adjustments -----------------------------------------------------------------------------------------------------


class NewAdjustment(NamedTuple):
    """An adjustment as its row begins; each field is the column of that name, but account and event name its lane."""

    account: str
    event: str
    key_hash: int | None
    key_digest: str | None
    content: str
    order_id: str | None
    time: UnixSeconds
    time_given: int
    value: str | None
    currency: str | None
    msclkid: str | None
    email_sha256: str | None
    phone_sha256: str | None
    request_id: str
    received_at: UnixMillis
    due_at: UnixMillis
    type: str
    original: int
    adjusted_at: UnixSeconds


class WaitingAdjustment(NamedTuple):
    """An adjustment that waits for its conversion; `time` is the conversion's."""

    seq: int
    original: int
    adjusted_at: UnixSeconds
    time: UnixSeconds


class AdjustmentRows(Protocol):
    """The rows of a store within one transaction, as far as adjustments need them."""

    def record(self, seq: int) -> Record | None:
        """One row."""

    def of_order(self, order_id: str, event: str | None) -> list[int]:
        """The conversions of an order; of that event, where it is named."""

    def under_key(self, key: Key) -> Sequence[KeyedAdjustment]:
        """The adjustments that have this key, oldest first."""

    def original(self, seq: int) -> Original | None:
        """How far a conversion has come; None where it is not stored here."""

    def earlier(self, original: int) -> list[Earlier]:
        """Every adjustment of a conversion, in the order of their receipt."""

    def waiting(self, originals: Iterable[int]) -> Sequence[WaitingAdjustment]:
        """Those that wait for one of these conversions. Takes nothing from `originals` where none waits at all."""

    def add(self, new: NewAdjustment) -> int:
        """Store one that waits for its conversion; its number."""

    def send(self, seq: int, original: int, due_at: UnixMillis, adjusted_at: UnixSeconds, now: UnixMillis) -> None:
        """Make it due; it takes over how its conversion was sent, where that is stored here."""

    def restate(self, original: int, seq: int) -> None:
        """Give the conversion the value and currency of the adjustment `seq`."""

    def retract(self, original: int, now: UnixMillis) -> None:
        """Cancel the conversion, unless it was delivered or canceled: neither a replay nor a late click sends it."""

    def end(self, seqs: Sequence[int], state: State, reason: Reason, now: UnixMillis) -> None:
        """End those of these adjustments that are pending."""

    def revive(self, conversions: Sequence[int]) -> None:
        """Make the last adjustment of each wait again, if it ended because the conversion had not been sent.

        Not one that was received before the conversion was last replaced.
        """


# --- Erasures --------------------------------------------------------------------------------------------------------


class NotedRow(NamedTuple):
    """What an erasure notes of one of its rows."""

    seq: int
    waits: bool
    must_settle: bool
    """It is a retract, which goes out first: it is never ended unsent."""


class ErasureRows(Protocol):
    """The rows of a store within one transaction, as far as erasures need them."""

    def adjustments_of(self, seqs: Sequence[int]) -> list[int]:
        """The adjustments of these conversions."""

    def retracts_of(self, job: Erasure) -> set[int]:
        """The rows that the erasure noted as retracts, and that wait to be settled."""

    def end_unsent(self, seqs: Sequence[int], now: UnixMillis) -> Mapping[int, RowsOf]:
        """End the conversions among these rows that were never sent and that no request carries; those that ended.

        Adjustments go out: money was paid back, and Microsoft has to know.
        """

    def rows(self, seqs: Iterable[int]) -> Sequence[RowToErase]:
        """Those of these rows that are stored."""

    def redact(self, seqs: Sequence[int], now: UnixMillis) -> None:
        """Remove everything that identifies the person from these settled rows, and from their requests and traces."""

    def note(self, job: Erasure, rows: Sequence[NotedRow]) -> None:
        """Store what the erasure has to come back to."""

    def add_up(self, job: Erasure, *, conversions: int, skipped: int, retracted: int) -> None:
        """Add to what the erasure has removed."""
