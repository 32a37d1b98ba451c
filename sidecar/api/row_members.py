"""The members of a row's JSON, declared once; openapi.yaml is compared with them."""

from collections.abc import Sequence

from msgspec import UNSET, Raw, Struct, UnsetType

from sidecar.core.conversion import AdjustmentType, Kind
from sidecar.core.intake.problem import Warning_
from sidecar.core.states_and_reasons import State


class Row(Struct):
    """A row as it is answered, its members in their order; what is UNSET is left out.

    A struct, since a dict of these members takes twice as long to make. Callers set what only some answers have.
    """

    index: int | UnsetType
    """The place in a bulk request, and what a single one would be answered."""
    status: int | UnsetType
    id: str
    kind: Kind
    state: State
    reason: str | None
    account: str
    event: str
    goal: str | None
    order_id: str | None
    time: str
    value: float | None
    currency: str | None
    msclkid: str | None
    visitor_id: str | None
    matched_by: Sequence[str]
    attempt: int
    received_at: str
    due_at: str | None
    sent_at: str | None
    settled_at: str | None
    batch_id: int | None
    error: str | None
    error_code: int | None
    tracking_id: str | None
    message: str | None
    fix: str | None
    meta: Raw | None
    type: AdjustmentType | UnsetType | None = UNSET
    conversion_id: str | UnsetType | None = UNSET
    adjustments: Sequence["Row"] | UnsetType = UNSET
    warnings: Sequence[Warning_] | UnsetType = UNSET


def number(exact: str) -> float:
    """Return a JSON number that reads digit for digit as the plain decimal `exact`.

    A value has at most 15 digits (12 before the point, 3 after), which a double keeps exactly.
    """
    return float(exact) if "." in exact else int(exact)
