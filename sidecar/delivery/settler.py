"""From an answer to what is written down: per row when Microsoft read the batch, for the whole of it when it did not.

The rules are `core.entry`'s and `core.pace`'s; this is the edge that carries them out and tells telemetry.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, ParamSpec, Self, TypeVar, assert_never

from sidecar.core.answer import Answer, Lost, RefusedBatch, Taken, Verdict, with_clean_words
from sidecar.core.batch import is_troubled
from sidecar.core.entry import (
    POISON_AFTER,
    Dead,
    Delivered,
    Entry,
    Outcome,
    Reason,
    Requeue,
    Retry,
    Settled,
    Step,
    after_refusal,
    next_step,
)
from sidecar.core.instant import UnixMillis
from sidecar.core.pace import THROTTLE_MILLIS
from sidecar.core.record import public_id
from sidecar.core.retry import backoff_millis
from sidecar.delivery.gates import PROBE_MILLIS, Gates
from sidecar.delivery.goal_feedback import GoalFeedback
from sidecar.ports.delivery import Claim, Note, refusal
from sidecar.ports.errors import StorageUnavailable
from sidecar.ports.outbox import Outbox
from sidecar.ports.platform import Platform
from sidecar.telemetry import DeadRow, Telemetry
from sidecar.troubles import BY_REASON, REFUSED

EXPIRED_TIMES = 3
"""Fresh tokens that were refused as expired, one after another, before a person is asked to look."""


DISK_SECONDS = 1.0
"""Until an answer that could not be written down is tried again."""

P = ParamSpec("P")
T = TypeVar("T")


class Sent(NamedTuple):
    """When a request left, by both clocks: the wall clock may be set while it is on its way."""

    at: UnixMillis
    left_at: float
    """Seconds of the event loop's own clock, which never goes back."""

    @classmethod
    def now(cls, at: UnixMillis) -> Self:
        """It leaves now."""
        return cls(at, _monotonic())


@dataclass(slots=True)
class Settler:
    """Writes answers down; `now` and `chance` (uniform in [0, 1)) are the app's."""

    outbox: Outbox
    platform: Platform
    gates: Gates
    goals: GoalFeedback
    telemetry: Telemetry
    now: Callable[[], UnixMillis]
    chance: Callable[[], float]

    async def settle(self, claim: Claim, answer: Answer, sent: Sent) -> None:
        """Write down what became of `claim`, whose request left at `sent`."""
        seconds = _monotonic() - sent.left_at
        answer = with_clean_words(answer, self.telemetry.cleaned)
        match answer:
            case Taken():
                await self._taken(claim, answer, sent, seconds)
            case RefusedBatch():
                self.telemetry.service.reached(claim.account)
                self.telemetry.delivery.batch_refused(
                    claim.account,
                    claim.batch_id,
                    rows=len(claim.entries),
                    answer=answer,
                    seconds=seconds,
                    kind=claim.kind,
                )
                await self._refused(claim, answer, sent)
            case Lost():
                await self._lost(claim, answer, sent, seconds)
            case _:
                assert_never(answer)

    async def _retry_until_stored(self, write: Callable[P, Awaitable[T]], *given: P.args, **named: P.kwargs) -> T:
        """The result of `write`, tried again while the disk takes nothing: so Microsoft is not asked again.

        That cannot come too late: once a lease has passed, the outbox takes nothing of its claim any more.
        """
        while True:
            try:
                return await write(*given, **named)
            except StorageUnavailable as error:
                if error.code == "stopping":
                    raise
                self.telemetry.service.trouble_raised(error.code, detail=str(error))
                await asyncio.sleep(DISK_SECONDS)

    async def _postpone(
        self, claim: Claim, due_at: UnixMillis, note: Note, *, maybe_sent: bool, isolated: bool = False
    ) -> None:
        await self._retry_until_stored(
            self.outbox.postpone, claim, due_at, note, maybe_sent=maybe_sent, isolated=isolated
        )

    async def put_back(self, claim: Claim, why: str) -> None:
        """It did not leave after all: it may go again as soon as something may."""
        await self._retry_until_stored(
            self.outbox.postpone, claim, self.now(), Note("not sent", error=why, at=self.now()), maybe_sent=False
        )

    # --- Microsoft read the batch ------------------------------------------------------------------------------------

    async def _taken(self, claim: Claim, answer: Taken, sent: Sent, seconds: float) -> None:
        self._clean(claim.account, sent)
        if any(isinstance(outcome, Delivered) for outcome in answer.outcomes):
            self.gates.accounts[claim.account].history.accepted_at = self.now()
        steps = await self._write(claim, answer.outcomes, Note("taken", answer.tracking_id))
        if steps is not None:
            self._tell_settled(claim, steps, answer.tracking_id, seconds)

    async def _write(self, claim: Claim, outcomes: Sequence[Outcome | None], note: Note) -> Mapping[int, Step] | None:
        """Settle a batch row by row; one without an outcome is due again as if it had not been sent.

        What becomes of all that were not delivered, by seq; None when the claim has passed.
        """
        now = self.now()
        placed = list(zip(claim.entries, outcomes, strict=True))
        steps = {
            entry.seq: self._step(entry, outcome, now)
            for entry, outcome in placed
            if not isinstance(outcome, Delivered)
        }
        held = await self._retry_until_stored(self.outbox.settle, claim, steps, note, now)
        await self.goals.learn(claim.account, placed, note.tracking_id)
        if not held:
            return None
        self._tell_dead(claim, steps)
        self._tell_troubles(claim.account, outcomes, note.tracking_id)
        return steps

    def _step(self, entry: Entry, outcome: Outcome | None, now: UnixMillis) -> Step:
        if outcome is None:
            return Requeue(now, None, None, not entry.keeps_frozen, entry.retries, entry.refusals)
        return next_step(entry, outcome, now, self.chance())

    def _tell_settled(self, claim: Claim, steps: Mapping[int, Step], tracking_id: str | None, seconds: float) -> None:
        dead = sum(isinstance(step, Settled) for step in steps.values())
        self.telemetry.delivery.batch_settled(
            claim.account,
            claim.batch_id,
            rows=len(claim.entries),
            delivered=len(claim.entries) - len(steps),
            retried=len(steps) - dead,
            dead=dead,
            tracking_id=tracking_id,
            seconds=seconds,
            kind=claim.kind,
        )
        for goal, rows in Counter(entry.goal for entry in claim.entries if entry.seq not in steps).items():
            self.telemetry.delivery.settled(goal, "delivered", n=rows, kind=claim.kind)

    def _tell_troubles(self, account: str, outcomes: Iterable[Outcome | None], tracking_id: str | None) -> None:
        """One trouble for each error that was a reason to come again, or that is our own mistake."""
        found: dict[tuple[str, str], str | None] = {}
        for outcome in outcomes:
            match outcome:
                case Retry(fault=fault, trouble=trouble):
                    found[trouble, fault.error] = fault.message
                case Dead(fault=fault, ours=True):
                    found["request_malformed", fault.error] = fault.message
        for (trouble, error), message in found.items():
            self.telemetry.service.trouble_raised(
                trouble, account=account, subject=error, detail=message, tracking_id=tracking_id
            )

    def _tell_dead(self, claim: Claim, steps: Mapping[int, Step]) -> None:
        dead = [entry for entry in claim.entries if isinstance(steps.get(entry.seq), Settled)]
        if dead:
            rows = [_dead_row(claim.account, entry, steps[entry.seq]) for entry in dead]
            self.telemetry.delivery.rows_died(rows, claim.batch_id)

    # --- Microsoft refused the batch ---------------------------------------------------------------------------------

    async def _refused(self, claim: Claim, answer: RefusedBatch, sent: Sent) -> None:
        match answer.verdict:
            case Verdict.TOKEN if answer.trouble == "token_refresh_failed":
                await self._expired_again(claim, answer, sent)
            case Verdict.TOKEN | Verdict.ACCOUNT:
                await self._pause(claim, answer, sent)
            case Verdict.THROTTLED:
                await self._throttle(claim, answer, sent)
            case Verdict.SERVER:
                self._raise(claim.account, answer)
                await self._back_off(claim, self._note(answer), sent, answer.retry_after_seconds or 0)
            case Verdict.POISON:
                await self._isolate(claim, answer)
            case _:
                assert_never(answer.verdict)

    async def _expired_again(self, claim: Claim, answer: RefusedBatch, sent: Sent) -> None:
        """A fresh token has expired too: at first Microsoft's moment, and only the third time in a row a person's."""
        if self.gates.accounts[claim.account].history.faults < EXPIRED_TIMES - 1:
            await self._back_off(claim, self._note(answer), sent, maybe_sent=answer.maybe_applied)
        else:
            await self._pause(claim, answer, sent)

    async def _pause(self, claim: Claim, answer: RefusedBatch, sent: Sent) -> None:
        """Someone must act: the rows wait, and one batch tries again now and then."""
        now = self.now()
        self._raise(claim.account, answer)
        self.gates.accounts[claim.account].history.slow_down(sent.left_at, _monotonic())
        self.gates.close_account(claim.account, Reason.ACCOUNT_PAUSED, now, UnixMillis(now + PROBE_MILLIS))
        await self._retry_until_stored(
            self.outbox.postpone, claim, now, self._note(answer), maybe_sent=answer.maybe_applied
        )

    async def _throttle(self, claim: Claim, answer: RefusedBatch, sent: Sent) -> None:
        """Wait as told, for every account that shares the limit, and come back slower."""
        now = self.now()
        wait = THROTTLE_MILLIS if answer.retry_after_seconds is None else int(answer.retry_after_seconds * 1000)
        self._raise(claim.account, answer)
        self.telemetry.delivery.throttled(claim.account, wait / 1000)
        if self.gates.accounts[claim.account].history.slow_down(sent.left_at, _monotonic()):
            self.platform.throttled(claim.account)
        for account in self.platform.sharing(claim.account):
            self.gates.accounts[account].history.slow_down(_monotonic(), _monotonic())
            self.gates.close_account(account, Reason.THROTTLED, now, UnixMillis(now + wait))
        due_at = UnixMillis(now + wait)  # where a restart finds it, so that Microsoft's wait is kept
        await self._retry_until_stored(
            self.outbox.postpone, claim, due_at, self._note(answer), maybe_sent=answer.maybe_applied
        )

    async def _isolate(self, claim: Claim, answer: RefusedBatch) -> None:
        """Some row makes Microsoft refuse the whole: take out those it names, else halve until one stands alone."""
        self.gates.accounts[claim.account].history.faults = 0
        rows = len(claim.entries)
        if answer.rows:
            await self._write(claim, [answer.rows.get(place) for place in range(rows)], self._note(answer))
        elif answer.hold is not None:
            await self._write(claim, [answer.hold] * rows, self._note(answer))
        elif rows > 1:
            self.telemetry.delivery.batch_halved(claim.account, claim.batch_id, rows)
            await self._retry_until_stored(
                self.outbox.halve, claim, self._note(answer), self.now(), maybe_sent=answer.maybe_applied
            )
        else:
            await self._refused_alone(claim, answer)

    async def _refused_alone(self, claim: Claim, answer: RefusedBatch) -> None:
        now = self.now()
        entry = claim.entries[0]
        others_accepted = self.gates.accounts[claim.account].history.accepted_at >= claim.created_at
        troubled = is_troubled(claim.root_rows, claim.root_poisoned + (entry.refusals == 0))
        step = after_refusal(entry, answer.faults[0], now, self.chance(), others_accepted and not troubled)
        if troubled:
            self.telemetry.service.trouble_raised(
                "batch_refused", account=claim.account, detail=answer.faults[0].message
            )
            self.gates.close_account(claim.account, Reason.ACCOUNT_PAUSED, now, UnixMillis(now + PROBE_MILLIS))
        if isinstance(step, Requeue):
            self._tell_alone(claim.account, step, answer)
            await self._retry_until_stored(
                self.outbox.postpone,
                claim,
                step.due_at,
                self._note(answer),
                maybe_sent=answer.maybe_applied,
                isolated=True,
            )
        elif await self._retry_until_stored(self.outbox.settle, claim, {entry.seq: step}, self._note(answer), now):
            self._tell_dead(claim, {entry.seq: step})

    def _tell_alone(self, account: str, step: Requeue, answer: RefusedBatch) -> None:
        """A row that would be dead by now, if only another were taken, waits with growing pauses."""
        fault = answer.faults[0]
        if step.refusals >= POISON_AFTER:
            self.telemetry.service.trouble_raised(
                "poison", account=account, subject=fault.error, detail=fault.message, tracking_id=answer.tracking_id
            )

    # --- no answer ---------------------------------------------------------------------------------------------------

    async def _lost(self, claim: Claim, answer: Lost, sent: Sent, seconds: float) -> None:
        self.telemetry.delivery.batch_lost(
            claim.account,
            claim.batch_id,
            rows=len(claim.entries),
            why=answer.why,
            tracking_id=answer.tracking_id,
            seconds=seconds,
            sent=answer.sent,
            kind=claim.kind,
        )
        if self.gates.connected:
            self.telemetry.service.not_reached(claim.account, answer.trouble, answer.why)
        note = Note("lost" if answer.sent else "not sent", answer.tracking_id, answer.why, at=self.now())
        if answer.sent or self.gates.connected:
            await self._back_off(claim, note, sent, maybe_sent=answer.sent)
        else:
            await self._retry_until_stored(self.outbox.postpone, claim, self.now(), note, maybe_sent=False)

    async def _back_off(
        self, claim: Claim, note: Note, sent: Sent, least_seconds: float = 0, *, maybe_sent: bool = True
    ) -> None:
        """Wait longer with each fault of the account, and with each of the batch, which may be its goal's alone."""
        now = self.now()
        backoff = self.gates.accounts[claim.account].history.faulted(sent.left_at, _monotonic(), self.chance())
        pause = max(backoff, int(least_seconds * 1000))
        self.gates.close_account(claim.account, None, now, UnixMillis(now + pause))
        due_at = UnixMillis(now + backoff_millis(claim.token, self.chance()))
        await self._retry_until_stored(self.outbox.postpone, claim, due_at, note, maybe_sent=maybe_sent)

    # --- the account -------------------------------------------------------------------------------------------------

    def _clean(self, account: str, sent: Sent) -> None:
        """Microsoft read a batch: nothing is wrong with the account, unless that was found out while it was away."""
        health = self.gates.accounts[account].history
        health.faults = 0
        if self.gates.open_account(account, sent.at):
            health.window = health.window.clean()
            self.platform.clean_answer(account)
            self.telemetry.service.account_well(account)

    def _note(self, answer: RefusedBatch) -> Note:
        fault = answer.faults[0]
        said = fault.error, fault.error_code, fault.message
        return Note(refusal(answer.verdict), answer.tracking_id, *said, at=self.now())

    def _raise(self, account: str, answer: RefusedBatch) -> None:
        fault = answer.faults[0]
        words = fault.message or fault.error
        detail = f"{words}; {answer.lead}" if answer.lead else words
        self.telemetry.service.trouble_raised(
            answer.trouble, account=account, detail=detail, tracking_id=answer.tracking_id
        )


def _dead_row(account: str, entry: Entry, step: Step) -> DeadRow:
    reason, fault = step.reason or "", step.fault
    return DeadRow(
        conversion_id=public_id(entry.lane.kind, entry.seq),
        account=account,
        trouble=BY_REASON.get(reason, REFUSED[entry.lane.kind]).code,
        error=fault.error if fault else reason,
        message=fault.message if fault and reason != Reason.TOO_OLD else None,
        order_id=entry.order_id,
        goal=entry.goal,
        kind=entry.lane.kind,
    )


def _monotonic() -> float:
    return asyncio.get_running_loop().time()
