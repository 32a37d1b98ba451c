"""A store with an eraser beside it, and a person who is in it."""

import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from conversion_kit import conversion
from instant_kit import DAY, MINUTE, NOW, later
from outbox_kit import TAKEN, claimed, seqs_of
from store_kit import House

from sidecar.core.conversion import Click
from sidecar.core.erasure import Erasure, ErasureRequest, Subject
from sidecar.core.instant import UnixSeconds, seconds
from sidecar.ports.erasure import Erasures
from sidecar.ports.intake import Captured
from sidecar.ports.outbox import Outbox
from sidecar.telemetry import Telemetry
from sidecar.upkeep.erasure import Eraser

EMAIL, PHONE, CLICK_ID = "e1" * 32, "f2" * 32, "0badcafe" * 4
PERSON: dict[str, Any] = {"email_sha256": EMAIL, "phone_sha256": PHONE, "visitor_id": "visitor-canary"}
BY = {
    Subject.EMAIL: EMAIL,
    Subject.PHONE: PHONE,
    Subject.VISITOR: "visitor-canary",
    Subject.ORDER: "ORDER-CANARY",
}
AFTER = later(DAY)
"""When the eraser runs."""


@dataclass
class Place:
    """An outbox with an eraser beside it."""

    house: House
    telemetry: Telemetry
    retracts: Any = None
    told: list[str] = field(default_factory=list)

    @property
    def outbox(self) -> Outbox:
        return self.house.outbox

    @property
    def erasures(self) -> Erasures:
        return self.house.erasures

    @property
    def eraser(self) -> Eraser:
        return Eraser(self.erasures, self.telemetry, lambda: AFTER, self.outbox, self.retracts, 0, 0)

    async def job(self, number: int = 1) -> Erasure:
        job = await self.erasures.get(number)
        assert job is not None
        return job

    async def erase(self, subject: Subject, *, retract: bool = False) -> Erasure:
        """Erase as far as it gets now."""
        job = await self.erasures.add(ErasureRequest(subject, BY[subject], retract), NOW)
        await self.eraser.round()
        return await self.job(job.id)

    async def rows(self) -> list[dict[str, Any]]:
        return await self.house.rows("entries")


@contextlib.asynccontextmanager
async def opened_place(house: House) -> AsyncIterator[Place]:
    """The place over an empty store; its loop must not have failed."""
    null = os.open(os.devnull, os.O_WRONLY)
    telemetry = Telemetry(lambda: AFTER, fd=null)
    built = Place(house, telemetry)
    await built.house.open()
    yield built
    failures = telemetry.board.active("loop_failed")
    assert failures == []
    await built.house.close()
    telemetry.close()
    os.close(null)


def person(order_id: str | None = "ORDER-CANARY", **given: Any) -> Any:
    return conversion(order_id, **{**PERSON, "meta": '{"note": "meta-canary"}', "msclkid": CLICK_ID, **given})


async def delivered(place: Place, *conversions: Any) -> list[int]:
    seqs = await seqs_of(place.outbox, *conversions)
    assert await place.outbox.settle(await claimed(place.outbox), {}, TAKEN, later(MINUTE))
    return seqs


def click(visitor_id: str, number: int, account: str = "main") -> Captured:
    happened = UnixSeconds(seconds(NOW) - 7_200 - number)
    return Captured(Click(account=account, visitor_id=visitor_id, msclkid=f"{number:032x}", clicked_at=happened), NOW)
