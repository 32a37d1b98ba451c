"""Reads an account's goals from Microsoft. What the list means is `judging`'s matter.

A reading that fails raises its trouble and stops nothing: the last list stays in use.
"""

from dataclasses import dataclass, replace

from sidecar.core.answer import Lost, RefusedBatch, Verdict
from sidecar.core.goals.goal import Catalogue, remembered
from sidecar.core.goals.refresh import next_reading, spread_reading
from sidecar.core.instant import UnixMillis
from sidecar.core.retry import EXPIRED_TIMES
from sidecar.core.states_and_reasons import Reason
from sidecar.delivery.gates import Gates
from sidecar.delivery.throttling import wait_as_asked
from sidecar.goals.judging import GoalJudge
from sidecar.goals.known import Failure, KnownGoals, ReadingState
from sidecar.ports.delivery import Delivery
from sidecar.ports.errors import NotConnected
from sidecar.ports.platform import GoalPlatform
from sidecar.ports.upkeep import Goals
from sidecar.telemetry import Telemetry

RETRY_MILLIS = 60_000
"""The wait after the first failed reading. It doubles up to `goals.refresh`."""

NOT_CHOSEN = "account_not_chosen"

_LEFT = Failure("unmapped", "the account left the configuration")


@dataclass(frozen=True, slots=True)
class GoalReader:
    """Reads goals and auto-tagging, stores them, and opens or closes gates by them."""

    known: KnownGoals
    judge: GoalJudge
    platform: GoalPlatform
    store: Goals
    delivery: Delivery
    gates: Gates
    telemetry: Telemetry

    def is_due(self, state: ReadingState) -> bool:
        """Return whether the account is to be read now. A clock that stepped back does not postpone a reading."""
        now = self.known.now()
        longest = max(self.known.rules().refresh_millis, RETRY_MILLIS)
        is_time = state.next_at <= now or state.next_at > now + longest
        return is_time or state.is_wanted or (state.waits_for_token and self.gates.connected)

    async def read(self, account: str) -> Catalogue | Failure:
        """Read the account now. Only one reading of an account runs at a time."""
        state = self.known.states[account]
        async with state.reading:
            state.is_wanted, state.is_together = False, state.is_wanted
            try:
                return await self._read(account, state)
            except NotConnected as error:
                state.waits_for_token = True
                state.next_at = self._now() + RETRY_MILLIS
                state.failure = Failure(error.code, str(error))
                return state.failure
            except Exception:
                state.next_at = self._now() + RETRY_MILLIS
                self.gates.reading_ended(account)
                raise

    async def _read(self, account: str, state: ReadingState) -> Catalogue | Failure:
        if (until := self.gates.throttled_until(account, self._now())) is not None:
            state.next_at = until
            return Failure("throttled", "Microsoft asked to wait")
        identity, started_at = self.platform.identity(account), self._now()
        if identity is None:
            return await self._without_ids(account, state) if account in self.known.accounts() else _LEFT
        answer = await self.platform.goals(account)
        state.waits_for_token = False
        if account not in self.known.accounts():
            return _LEFT
        if isinstance(answer, RefusedBatch | Lost):
            return self._failed(account, state, await self.failed_call(account, answer), identity)
        state.catalogue = remembered(state.catalogue, account, identity, answer, self._now())
        self._succeeded(account, state, started_at)
        if (tagging := await self._auto_tagging(account)) is not None:
            state.catalogue = replace(state.catalogue, auto_tagging=tagging)
        self.telemetry.service.goals_read(account, len(state.catalogue.goals))
        await self.judge.report(account)
        await self.store.save(state.catalogue)
        return state.catalogue

    async def _without_ids(self, account: str, state: ReadingState) -> Failure:
        """Close the account until its ids are configured; before a sign-in that alone is the trouble (NotConnected)."""
        await self.platform.permit(account)
        state.waits_for_token = False
        now = self._now()
        self.gates.close_account(account, Reason.ACCOUNT_PAUSED, now, now)
        return self._failed(account, state, Failure(NOT_CHOSEN, f"accounts.{account} has no ids yet"), None)

    def _succeeded(self, account: str, state: ReadingState, started_at: UnixMillis) -> None:
        """Judge by the new list before the account may send."""
        state.failures, state.failure = 0, None
        state.next_at = self._next_reading(account, state)
        for goal, mapped in self.judge.hold_goals(account).items():
            if mapped.holds is None:
                self.gates.seen_goal(account, goal, started_at)
        if self.known.catalogue(account) is not None:  # else it is another account by now, which is to be read yet
            self.gates.reading_ended(account)
        if self.gates.held(account, None) is Reason.THROTTLED or state.raised == NOT_CHOSEN:
            self.gates.open_account(account, started_at)
        self._clear_raised(account, state)

    def _next_reading(self, account: str, state: ReadingState) -> UnixMillis:
        refresh = self.known.rules().refresh_millis
        if state.is_together:
            return spread_reading(account, len(self.known.accounts()), self._now(), refresh)
        return next_reading(self._now(), refresh)

    async def _auto_tagging(self, account: str) -> bool | None:
        """Read whether auto-tagging is on; None if that is not to be found out, so that the last answer stays."""
        try:
            answer = await self.platform.auto_tagging(account)
        except NotConnected:
            return None
        if isinstance(answer, RefusedBatch | Lost):
            await self.failed_call(account, answer)
            return None
        return answer

    def _failed(self, account: str, state: ReadingState, failure: Failure, identity: str | None) -> Failure:
        """Report the failure once, plan the next try, and let the account send by the last list.

        `identity` is the account that was asked for, None where it has no ids: another one by now is to be read yet.
        """
        state.failures += 1
        state.failure = failure
        wait = min(self.known.rules().refresh_millis, RETRY_MILLIS * 2 ** min(state.failures - 1, 10))
        state.next_at = self._now() + wait
        if failure.trouble != state.raised:
            self._clear_raised(account, state)
        if failure.trouble != "token_refresh_failed" or state.failures >= EXPIRED_TIMES:
            state.raised = failure.trouble
            detail, tracking_id = f"reading its goals: {failure.detail}", failure.tracking_id
            detail = failure.detail if identity is None else detail
            self.telemetry.service.trouble_raised(
                failure.trouble, account=account, detail=detail, tracking_id=tracking_id
            )
        self.judge.hold_goals(account)
        if identity is not None and self.platform.identity(account) == identity:
            self.gates.reading_ended(account)
        return failure

    def _clear_raised(self, account: str, state: ReadingState) -> None:
        """Clear the trouble of the last failed reading, unless it keeps the account from uploading too."""
        if state.raised is not None and self.gates.closed_until(account, self._now()) <= self._now():
            self.telemetry.service.trouble_cleared(state.raised, account=account)
            state.raised = None

    async def failed_call(self, account: str, answer: RefusedBatch | Lost) -> Failure:
        """Return the failure of a call without a result. A throttle stops every account that shares the limit."""
        if isinstance(answer, Lost):
            return Failure(answer.trouble, answer.why, answer.tracking_id)
        if answer.verdict is Verdict.THROTTLED:
            parts = self.platform, self.gates, self.delivery, self.telemetry
            await wait_as_asked(account, answer, self._now(), *parts)
        fault = answer.faults[0]
        trouble = "request_malformed" if answer.verdict is Verdict.POISON else answer.trouble
        error = None if answer.maybe_applied else self.telemetry.cleaned(fault.error)
        message = self.telemetry.cleaned(fault.message or fault.error)
        detail = f"{message}; {answer.lead}" if answer.lead else message
        return Failure(trouble, detail, answer.tracking_id, error)

    def _now(self) -> UnixMillis:
        return self.known.now()
