"""Sends a claimed batch to Microsoft and gives the answer to the settler."""

from collections.abc import Callable
from dataclasses import dataclass

from sidecar import loops
from sidecar.core.answer import Answer, Lost, RefusedBatch, Verdict
from sidecar.core.in_flight import Sent
from sidecar.core.instant import UnixMillis
from sidecar.delivery.gates import Gates
from sidecar.delivery.settler import Settler
from sidecar.ports.delivery import Claim
from sidecar.ports.errors import NotConnected
from sidecar.ports.platform import Platform
from sidecar.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends for all accounts."""

    platform: Platform
    gates: Gates
    settler: Settler
    telemetry: Telemetry
    now: Callable[[], UnixMillis]

    async def send(self, claim: Claim) -> bool:
        """Send a batch and settle it; whether Microsoft answered about the rows or about us."""
        sent = Sent(self.now(), loops.monotonic())
        is_same = self.platform.knows(claim.account) and claim.sent_to == (self.platform.identity(claim.account) or "")
        if not is_same or not self.gates.may_send(claim.account, sent.at):
            await self.settler.put_back(claim, "closed while it was claimed")
            return False
        self.telemetry.delivery.batch_sent(claim)
        answer: Answer
        try:
            answer = await self.platform.upload(claim.account, claim.entries)
        except NotConnected as error:
            answer = Lost(str(error), sent=False)
        await self.settler.settle(claim, answer, sent)
        return _is_heard(answer)


def _is_heard(answer: Answer) -> bool:
    """Whether Microsoft read the request at all."""
    match answer:
        case Lost():
            return False
        case RefusedBatch(verdict=verdict):
            return verdict is not Verdict.SERVER
        case _:
            return True
