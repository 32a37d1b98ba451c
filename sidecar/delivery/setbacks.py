"""What a request that failed as a whole means for its account: wait, come back slower, or pause until someone acts."""

from collections.abc import Callable
from dataclasses import dataclass

from sidecar import loops
from sidecar.core.adaptive_rate import THROTTLE_MILLIS
from sidecar.core.answer import RefusedBatch
from sidecar.core.in_flight import Sent
from sidecar.core.instant import UnixMillis
from sidecar.core.retry import EXPIRED_TIMES, backoff_millis
from sidecar.core.states_and_reasons import Reason
from sidecar.delivery.gates import PROBE_MILLIS, Gates
from sidecar.delivery.settlement_writer import SettlementWriter
from sidecar.ports.delivery import Claim, Note
from sidecar.ports.platform import Platform
from sidecar.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class Setbacks:
    """Keeps the batch as it is, due again later; `chance` is uniform in [0, 1)."""

    writer: SettlementWriter
    platform: Platform
    gates: Gates
    telemetry: Telemetry
    now: Callable[[], UnixMillis]
    chance: Callable[[], float]

    async def expired(self, claim: Claim, answer: RefusedBatch, sent: Sent) -> None:
        """A fresh token has expired too: at first Microsoft's moment, and only the third time in a row a person's."""
        if self.gates.accounts[claim.account].history.faults < EXPIRED_TIMES - 1:
            await self.back_off(claim, Note.refused(answer, self.now()), sent, maybe_sent=answer.maybe_applied)
        else:
            await self.pause(claim, answer, sent)

    async def pause(self, claim: Claim, answer: RefusedBatch, sent: Sent) -> None:
        """Someone must act: the rows wait, and one batch tries again now and then."""
        now = self.now()
        self._raise(claim.account, answer)
        self.gates.accounts[claim.account].history.slow_down(sent.left_at, loops.monotonic())
        self.gates.close_account(claim.account, Reason.ACCOUNT_PAUSED, now, UnixMillis(now + PROBE_MILLIS))
        await self.writer.postpone(claim, now, Note.refused(answer, now), maybe_sent=answer.maybe_applied)

    async def throttle(self, claim: Claim, answer: RefusedBatch, sent: Sent) -> None:
        """Wait as Microsoft asks, for every account that shares the limit, and come back slower."""
        now, monotonic = self.now(), loops.monotonic()
        wait = THROTTLE_MILLIS if answer.retry_after_seconds is None else int(answer.retry_after_seconds * 1000)
        until = UnixMillis(now + wait)
        self._raise(claim.account, answer)
        self.telemetry.delivery.throttled(claim.account, wait / 1000)
        if self.gates.accounts[claim.account].history.slow_down(sent.left_at, monotonic):
            self.platform.throttled(claim.account)
        for account in self.platform.sharing(claim.account):
            self.gates.accounts[account].history.slow_down(monotonic, monotonic)
            self.gates.close_account(account, Reason.THROTTLED, now, until)
        # A restart reads from the batch until when Microsoft asked to wait.
        await self.writer.postpone(claim, until, Note.refused(answer, now), maybe_sent=answer.maybe_applied)

    async def fail(self, claim: Claim, answer: RefusedBatch, sent: Sent) -> None:
        """Microsoft's own trouble: the same bytes go again after a pause."""
        self._raise(claim.account, answer)
        await self.back_off(claim, Note.refused(answer, self.now()), sent, answer.retry_after_seconds or 0)

    async def back_off(
        self, claim: Claim, note: Note, sent: Sent, least_seconds: float = 0, *, maybe_sent: bool = True
    ) -> None:
        """Wait longer with each fault of the account, and with each of the batch, which may be its goal's alone."""
        now = self.now()
        backoff = self.gates.accounts[claim.account].history.faulted(sent.left_at, loops.monotonic(), self.chance())
        pause = max(backoff, int(least_seconds * 1000))
        self.gates.close_account(claim.account, None, now, UnixMillis(now + pause))
        due_at = UnixMillis(now + backoff_millis(claim.token, self.chance()))
        await self.writer.postpone(claim, due_at, note, maybe_sent=maybe_sent)

    def _raise(self, account: str, answer: RefusedBatch) -> None:
        fault = answer.faults[0]
        words = fault.message or fault.error
        detail = f"{words}; {answer.lead}" if answer.lead else words
        self.telemetry.service.trouble_raised(
            answer.trouble, account=account, detail=detail, tracking_id=answer.tracking_id
        )
