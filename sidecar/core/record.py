"""A row as it is stored, with its public id; the API decides how it is shown."""

from msgspec import Struct

from sidecar.core.conversion import AdjustmentType, Kind, matched_by
from sidecar.core.instant import UnixMillis, UnixSeconds
from sidecar.core.states_and_reasons import State

_PREFIXES = {Kind.CONVERSION: "conv_", Kind.ADJUSTMENT: "adj_"}


class Record(Struct, frozen=True, gc=False):
    """Everything that is known of one row; a struct, since a page has a thousand of them.

    The API shows the fields in this order; `api.row_members` lists the exceptions.

    `claimed` says that it is in an open batch, `leased` that a request may be on its way: then `due_at` is the
    lease's end.
    """

    seq: int
    kind: Kind
    state: State
    reason: str | None
    account: str
    event: str
    goal: str | None
    order_id: str | None
    time: UnixSeconds
    value: str | None
    currency: str | None
    msclkid: str | None
    visitor_id: str | None
    email_sha256: str | None
    phone_sha256: str | None
    attempt: int
    received_at: UnixMillis
    due_at: UnixMillis | None
    claimed: bool
    sent_at: UnixMillis | None
    settled_at: UnixMillis | None
    batch_id: int | None
    error: str | None
    error_code: int | None
    tracking_id: str | None
    message: str | None
    meta: str | None
    leased: bool = False
    type: AdjustmentType | None = None
    original: int | None = None
    """Of an adjustment: the number of its conversion; negative for one that was uploaded elsewhere."""
    bound_to: str | None = None
    """The account at Microsoft that a waiting row keeps, since it, or the conversion that it adjusts, may be there."""

    @property
    def id(self) -> str:
        """Its public id."""
        return public_id(self.kind, self.seq)

    @property
    def conversion_seq(self) -> int:
        """The number of the conversion that it is or adjusts."""
        return self.seq if self.original is None else self.original

    @property
    def conversion_id(self) -> str | None:
        """The id of the conversion that it adjusts; None for a conversion, and where ours is not the original."""
        ours = self.original is not None and self.original > 0
        return public_id(Kind.CONVERSION, self.original or 0) if ours else None

    @property
    def matched_by(self) -> tuple[str, ...]:
        """Which identifiers it carries, the strongest first."""
        return matched_by(self)


def public_id(kind: Kind, seq: int) -> str:
    """`conv_17`: the kind of a row and its number."""
    return f"{_PREFIXES[kind]}{seq}"


def seq_of(kind: Kind, id_: str) -> int | None:
    """The number in a public id of that kind; None when it is no such id."""
    digits = id_.removeprefix(_PREFIXES[kind])
    if digits == id_ or not digits.isascii() or not digits.isdigit() or len(digits) > 18:
        return None
    return int(digits)
