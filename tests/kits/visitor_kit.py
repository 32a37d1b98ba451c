"""Visitors of the shop: their clicks and purchases come in, and what Microsoft got of them."""

import json
from typing import Any

from delivery_kit import MINUTE, SECOND, Rig

from sidecar.core.conversion import Click
from sidecar.core.instant import UnixSeconds
from sidecar.ports.intake import Captured


def click_id(number: int) -> str:
    return f"c11c{number:028x}"


async def capture(rig: Rig, number: int, ago: int, visitor_id: str = "v-1", account: str = "main") -> None:
    """A click of `ago` milliseconds ago comes in."""
    clicked_at = UnixSeconds((rig.clock() - ago) // SECOND)
    click = Click(account=account, visitor_id=visitor_id, msclkid=click_id(number), clicked_at=clicked_at)
    rig.parts.flusher.arrived(await rig.parts.store.clicks.capture([Captured(click, rig.clock())]))


async def visit(rig: Rig, ago: int = MINUTE, **given: Any) -> int:
    """A purchase of a visitor, `ago` milliseconds ago; its number."""
    time = UnixSeconds((rig.clock() - ago) // SECOND)
    (seq,) = await rig.post(**{"msclkid": None, "visitor_id": "v-1", "time": time, **given})
    return seq


async def clicks_sent(rig: Rig) -> list[str | None]:
    return [json.loads(item["raw"]).get("MicrosoftClickId") for item in await rig.ledger()]
