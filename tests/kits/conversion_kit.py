"""Conversions, clicks and traces of refused items, as intake would give them."""

from decimal import Decimal
from typing import Any

from instant_kit import NOW

from sidecar.core.conversion import Click, Conversion
from sidecar.core.instant import UnixMillis, UnixSeconds, seconds
from sidecar.core.unstored import Unstored, What, unstored
from sidecar.ports.intake import Captured

CLICK = "f894f652ea334e739002f7167ab8f8e3"
LANES = (("main", "purchase"), ("main", "lead"), ("other", "purchase"))
GOALS = {"purchase": "Sidecar Purchase", "lead": "Sidecar Lead"}


def conversion(order_id: str | None = "ORDER-1", **given: Any) -> Conversion:
    """A conversion as intake would give it, an hour old; `value` and `currency` count as the caller's own."""
    value = Decimal(given.pop("value", "99.99"))
    event = given.pop("event", "purchase")
    fields: dict[str, Any] = {
        "account": "main",
        "goal": GOALS[event],
        "time": UnixSeconds(seconds(NOW) - 3_600),
        "time_given": True,
        "currency": "USD",
        "given_currency": "USD",
        "msclkid": CLICK,
        **given,
    }
    return Conversion(event=event, order_id=order_id, value=value, given_value=value, **fields)


def orders(count: int, start: int = 0, **given: Any) -> list[Conversion]:
    """`count` different orders."""
    return [conversion(f"ORDER-{number}", **given) for number in range(start, start + count)]


def captured(
    msclkid: str = CLICK, ago: int = 7_200, visitor_id: str = "v-1", account: str = "main", at: UnixMillis = NOW
) -> Captured:
    """A click of `ago` seconds ago."""
    clicked_at = UnixSeconds(seconds(NOW) - ago)
    return Captured(Click(account=account, visitor_id=visitor_id, msclkid=msclkid, clicked_at=clicked_at), at)


def trace(order_id: str = "R-1", at: UnixMillis = NOW, event: str = "purchase") -> Unstored:
    """The trace of a refused item."""
    made = unstored({"order_id": order_id, "event": event}, What.REFUSED, ("too_old", "odd"), at, "request-1")
    assert made is not None
    return made
