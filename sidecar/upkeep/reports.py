"""Reads Microsoft's verdict: the by-goal report of each account, round after round, by the replica that holds it.

When a round is due follows from what is stored, so that restarts and other replicas neither skip nor repeat one.
A round that fails raises one trouble and stops nothing; what it read before that is stored.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sidecar import loops
from sidecar.core.answer import Lost, RefusedBatch, Verdict
from sidecar.core.goal_days import day_of, text_of_day
from sidecar.core.goals.goal import OFFLINE, Goal, find_goal
from sidecar.core.instant import EPOCH, UnixMillis
from sidecar.core.report import GoalReport, KnownDays, ReportCall, calls, lines_of, wanted_days
from sidecar.delivery.gates import Gates
from sidecar.delivery.throttling import wait_as_asked
from sidecar.ports.delivery import Delivery
from sidecar.ports.errors import NotConnected
from sidecar.ports.reports import ReportPlatform, Saved, StoredVerdicts
from sidecar.telemetry import Telemetry

UNREADABLE = "report_unreadable"

LOOK_MILLIS = 60_000
"""How often it is looked which account is due, and how long the next look at one waits that cannot be read now."""

IDLE_MILLIS = 15 * LOOK_MILLIS
"""The same for an account to which nothing was delivered yet."""

GOALS_MILLIS = 5_000
"""The same at a start, while the account's goals are being read for the first time."""

RETRY_MILLIS = 5 * LOOK_MILLIS
"""The wait after the first failed round. It doubles up to `reports.refresh`."""

JITTER = 0.1
"""By how much of `reports.refresh` a round may come later, so that accounts do not ask together for ever."""

LEAST_SECONDS = 1.0

MOST_GOALS_NAMED = 3


@dataclass(slots=True)
class ReportState:
    """The rounds of one account in this process."""

    next_at: UnixMillis = EPOCH
    failures: int = 0
    """Failed rounds in a row."""
    is_raised: bool = False


@dataclass(slots=True)
class Reports:
    """Keeps the stored verdicts up to date. The configuration (`refresh_millis`, `accounts`) is asked each time."""

    platform: ReportPlatform
    store: StoredVerdicts
    delivery: Delivery
    gates: Gates
    telemetry: Telemetry
    now: Callable[[], UnixMillis]
    chance: Callable[[], float]
    refresh_millis: Callable[[], int]
    accounts: Callable[[], Sequence[str]]
    goals: Callable[[str], Sequence[Goal] | None]
    """The account's goals at Microsoft as they were last read; None before the first reading."""
    _states: dict[str, ReportState] = field(default_factory=dict)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    """Never set: a round may begin a minute late."""

    def next_at(self, account: str) -> UnixMillis | None:
        """When the account is looked at next; None where another replica has it, or it was not looked at yet."""
        state = self._states.get(account)
        return state.next_at if state is not None and state.next_at > self.now() else None

    async def run(self) -> None:
        """Read what is due, one account after another, until cancelled."""
        reporter = self.telemetry.service
        await loops.run_forever(
            self.step, wake=self._wake, reporter=reporter, where="reports", retry_seconds=LOOK_MILLIS / 1000
        )

    async def step(self) -> float:
        """Read every account that is due now. Returns the seconds until the next look."""
        next_at = UnixMillis(self.now() + LOOK_MILLIS)
        for account in self.accounts():
            if not self.gates.holds(account):
                self._leave(account)
            elif self._is_due(state := self._states.setdefault(account, ReportState())):
                state.next_at = UnixMillis(self.now() + LOOK_MILLIS)
                with loops.reported(self.telemetry.service, f"reports {account}"):
                    await self._round(account, state)
                next_at = min(next_at, state.next_at)
        return max(LEAST_SECONDS, (next_at - self.now()) / 1000)

    def _is_due(self, state: ReportState) -> bool:
        """A clock that stepped back does not postpone a round."""
        now = self.now()
        return state.next_at <= now or state.next_at > now + 2 * max(self.refresh_millis(), RETRY_MILLIS)

    def _leave(self, account: str) -> None:
        """Another replica has the account now, and raises its trouble itself."""
        state = self._states.pop(account, None)
        if state is not None and state.is_raised:
            self.telemetry.service.trouble_cleared(UNREADABLE, account=account)

    async def _round(self, account: str, state: ReportState) -> None:
        """One round, unless it is not due by what is stored, or nothing can be asked now."""
        started_at = self.now()
        if (closed_until := self.gates.closed_until(account, started_at)) > started_at:
            state.next_at = closed_until
            return
        known, goals = await self.store.known(account), self.goals(account)
        if (due_at := self._due_at(known)) > started_at:
            state.next_at = due_at
        elif not known.sent:
            state.next_at = UnixMillis(started_at + IDLE_MILLIS)
        elif goals is None:
            state.next_at = UnixMillis(started_at + GOALS_MILLIS)
        elif self.platform.identity(account) is not None:
            try:
                await self._read(account, state, known, goals, started_at)
            except NotConnected:  # the sign-in has a trouble of its own
                state.next_at = UnixMillis(self.now() + LOOK_MILLIS)

    def _due_at(self, known: KnownDays) -> UnixMillis:
        """When the next round is due; one that was noted in the future, by a wrong clock, does not count."""
        if known.read_at is None or known.read_at > self.now() + LOOK_MILLIS:
            return EPOCH
        return UnixMillis(known.read_at + self.refresh_millis())

    async def _read(
        self, account: str, state: ReportState, known: KnownDays, goals: Sequence[Goal], started_at: UnixMillis
    ) -> None:
        names = _names(known, goals)
        wanted = {goal_id: wanted_days(known, name, day_of(started_at)) for goal_id, name in names.items()}
        failed: dict[str, str] = {}
        oddities: dict[str, None] = {}
        for call in calls(wanted):
            answer = await self.platform.report(account, call)
            if isinstance(answer, RefusedBatch | Lost):
                await self._refused(account, state, answer)
                return
            await self._keep(account, names, known, call, answer)
            failed |= {names[goal_id]: fault.message or fault.error for goal_id, fault in answer.failed.items()}
            oddities |= dict.fromkeys(answer.oddities)
        if oddities:
            self.telemetry.service.report_odd(account, list(oddities))
        if failed:
            self._failed(account, state, _goals_in_words(failed), None)
        else:
            await self._succeeded(account, state, started_at)

    async def _keep(
        self, account: str, names: Mapping[str, str], known: KnownDays, call: ReportCall, answer: GoalReport
    ) -> None:
        lines = lines_of(account, names, known, call, answer)
        if lines:
            saved = await self.store.save(account, lines, self.now())
            self._count(account, saved)

    def _count(self, account: str, saved: Saved) -> None:
        self.telemetry.delivery.verdicts_read(saved.attributed, saved.unattributed)
        if saved.fell:
            days = sorted({(line.day, line.goal) for line in saved.fell})
            words = [f"{goal} on {text_of_day(day)}" for day, goal in days]
            self.telemetry.service.report_recounted(account, words)

    async def _succeeded(self, account: str, state: ReportState, started_at: UnixMillis) -> None:
        await self.store.finish(account, started_at)
        state.failures, state.is_raised = 0, False
        jitter = self.chance() * JITTER * self.refresh_millis()
        state.next_at = UnixMillis(int(started_at + self.refresh_millis() + jitter))
        self.telemetry.service.trouble_cleared(UNREADABLE, account=account)
        self.telemetry.service.report_read(account)

    async def _refused(self, account: str, state: ReportState, answer: RefusedBatch | Lost) -> None:
        """A throttle stops every account that shares the limit, and is no trouble of the report."""
        if isinstance(answer, RefusedBatch) and answer.verdict is Verdict.THROTTLED:
            state.next_at = await wait_as_asked(
                account, answer, self.now(), self.platform, self.gates, self.delivery, self.telemetry
            )
            return
        self._failed(account, state, _why(answer), answer.tracking_id)

    def _failed(self, account: str, state: ReportState, detail: str, tracking_id: str | None) -> None:
        state.failures, state.is_raised = state.failures + 1, True
        wait = min(self.refresh_millis(), RETRY_MILLIS * 2 ** min(state.failures - 1, 10))
        state.next_at = UnixMillis(self.now() + wait)
        self.telemetry.service.trouble_raised(UNREADABLE, account=account, detail=detail, tracking_id=tracking_id)


def _why(answer: RefusedBatch | Lost) -> str:
    if isinstance(answer, Lost):
        return answer.why
    return answer.faults[0].message or answer.faults[0].error


def _names(known: KnownDays, goals: Sequence[Goal]) -> dict[str, str]:
    """The goals that rows were delivered to and that are still there, by their id."""
    found = {name: find_goal(name, goals) for name in known.sent}
    return {goal.id: name for name, goal in found.items() if goal is not None and goal.type == OFFLINE}


def _goals_in_words(failed: Mapping[str, str]) -> str:
    named: Iterable[tuple[str, str]] = list(failed.items())[:MOST_GOALS_NAMED]
    rest = len(failed) - MOST_GOALS_NAMED
    words = [f"{goal}: {why}" for goal, why in named]
    return "; ".join([*words, f"{rest} more goals"] if rest > 0 else words)
