"""From an answer to what is written down: per row when Microsoft read the batch, for the whole of it when it did not.

`row_settlement` settles rows, `poison` isolates the one that spoils a batch, `setbacks` waits for the account.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from sidecar import loops
from sidecar.core.answer import Answer, Lost, RefusedBatch, Taken, Verdict, with_clean_words
from sidecar.core.in_flight import Sent
from sidecar.core.instant import UnixMillis
from sidecar.delivery.gates import Gates
from sidecar.delivery.poison import PoisonSearch
from sidecar.delivery.row_settlement import RowSettlement
from sidecar.delivery.setbacks import Setbacks
from sidecar.delivery.settlement_writer import SettlementWriter
from sidecar.ports.delivery import Claim, Note
from sidecar.ports.platform import Platform
from sidecar.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class Settler:
    """Decides by the kind of an answer what becomes of its batch."""

    writer: SettlementWriter
    rows: RowSettlement
    poison: PoisonSearch
    setbacks: Setbacks
    platform: Platform
    gates: Gates
    telemetry: Telemetry
    now: Callable[[], UnixMillis]

    async def settle(self, claim: Claim, answer: Answer, sent: Sent) -> None:
        """Write down what became of `claim`, whose request left at `sent`."""
        response_time = loops.monotonic() - sent.left_at
        answer = with_clean_words(answer, self.telemetry.cleaned)
        match answer:
            case Taken():
                await self._taken(claim, answer, sent, response_time)
            case RefusedBatch():
                await self._refused(claim, answer, sent, response_time)
            case Lost():
                await self._lost(claim, answer, sent, response_time)
            case _:
                assert_never(answer)

    async def put_back(self, claim: Claim, why: str) -> None:
        """It did not leave after all: it may go again as soon as anything may."""
        now = self.now()
        await self.writer.postpone(claim, now, Note("not sent", error=why, at=now), maybe_sent=False)

    async def _taken(self, claim: Claim, answer: Taken, sent: Sent, response_time: float) -> None:
        self._clean_answer(claim.account, sent)
        if answer.delivered:
            self.gates.accounts[claim.account].history.accepted_at = self.now()
        steps = await self.rows.settle(claim, answer.named, Note("taken", answer.tracking_id))
        if steps is not None:
            self.telemetry.delivery.batch_settled(claim, steps, answer.tracking_id, response_time)

    def _clean_answer(self, account: str, sent: Sent) -> None:
        """Nothing is wrong with the account, unless that was found out while the request was on its way."""
        history = self.gates.accounts[account].history
        history.faults = 0
        if self.gates.open_account(account, sent.at):
            history.window = history.window.clean()
            self.platform.clean_answer(account)
            self.telemetry.service.account_well(account)

    async def _refused(self, claim: Claim, answer: RefusedBatch, sent: Sent, response_time: float) -> None:
        self.telemetry.service.reached(claim.account)
        self.telemetry.delivery.batch_refused(claim, answer, response_time)
        match answer.verdict:
            case Verdict.TOKEN if answer.trouble == "token_refresh_failed":
                await self.setbacks.expired(claim, answer, sent)
            case Verdict.TOKEN | Verdict.ACCOUNT:
                await self.setbacks.pause(claim, answer, sent)
            case Verdict.THROTTLED:
                await self.setbacks.throttle(claim, answer, sent)
            case Verdict.SERVER:
                await self.setbacks.fail(claim, answer, sent)
            case Verdict.POISON:
                await self.poison.isolate(claim, answer)
            case _:
                assert_never(answer.verdict)

    async def _lost(self, claim: Claim, answer: Lost, sent: Sent, response_time: float) -> None:
        self.telemetry.delivery.batch_lost(claim, answer, response_time)
        if self.gates.connected:
            self.telemetry.service.not_reached(claim.account, answer.trouble, answer.why)
        note = Note("lost" if answer.sent else "not sent", answer.tracking_id, answer.why, at=self.now())
        if answer.sent or self.gates.connected:
            await self.setbacks.back_off(claim, note, sent, maybe_sent=answer.sent)
        else:
            await self.writer.postpone(claim, self.now(), note, maybe_sent=False)
