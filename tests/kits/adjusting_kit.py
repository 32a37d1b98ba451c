"""The short way to an adjustment in the outbox."""

from decimal import Decimal
from typing import Any

from instant_kit import NOW

from sidecar.core.adjustment import Adjustment, ByOrder
from sidecar.core.conversion import AdjustmentType
from sidecar.core.instant import UnixMillis, seconds
from sidecar.core.record import Record
from sidecar.ports.intake import Adjusting, AdjustResult, Stored
from sidecar.ports.outbox import Outbox


def wish(value: str | None = None, target: Any = None, at: UnixMillis = NOW, **given: Any) -> Adjusting:
    """A restate to `value`, else a retract, of ORDER-1 unless `target` is another."""
    type_ = AdjustmentType.RETRACT if value is None else AdjustmentType.RESTATE
    time = given.pop("time", None)
    adjustment = Adjustment(
        type=type_,
        target=target or ByOrder("ORDER-1", None),
        value=None if value is None else Decimal(value),
        currency=given.pop("currency", None),
        time=seconds(at) if time is None else time,
        time_given=time is not None,
        idempotency_key=given.pop("key", None),
    )
    return Adjusting(adjustment, at, "request-2")


async def adjust(outbox: Outbox, value: str | None = None, at: UnixMillis = NOW, **given: Any) -> AdjustResult:
    (result,) = await outbox.adjust([wish(value, at=at, **given)])
    return result


async def adjusted(outbox: Outbox, value: str | None = None, at: UnixMillis = NOW, **given: Any) -> Record:
    """The row of an adjustment that was stored."""
    result = await adjust(outbox, value, at, **given)
    assert isinstance(result, Stored), result
    return result.record
