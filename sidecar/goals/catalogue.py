"""The catalogue of goals: reads what goals each account has, and keeps back what Microsoft would drop in silence.

A loop of its own for each account, so that a slow one holds up no other. What a goal's state means is `core.goals`'
matter. A reading that fails raises its trouble and stops nothing: what was read last goes on to count.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from sidecar import loops
from sidecar.core.answer import Lost, RefusedBatch, Verdict
from sidecar.core.attribution import GoalTraits
from sidecar.core.entry import Reason
from sidecar.core.goals.creation import Creation, Exists, NewGoal
from sidecar.core.goals.goal import Catalogue, Goal, find_goal, remembered
from sidecar.core.goals.mapping import Mapped, MappingState, OtherGoals, mapping
from sidecar.core.goals.plan import Plan, plan
from sidecar.core.goals.rule import GoalRule, goal_rules
from sidecar.core.instant import UnixMillis, text_of_millis
from sidecar.core.pace import THROTTLE_MILLIS
from sidecar.core.waiting import Waiting, told
from sidecar.delivery.account_state import GoalHold
from sidecar.delivery.gates import Gates
from sidecar.ports.errors import NotConnected
from sidecar.ports.outbox import Outbox
from sidecar.ports.platform import GoalPlatform
from sidecar.ports.upkeep import Goals
from sidecar.telemetry import ActiveTrouble, Telemetry
from sidecar.troubles import Scope

RETRY_MILLIS = 60_000
"""After a reading that failed; doubling up to `goals.refresh`."""

GLANCE_MILLIS = 60_000
"""How often it is told anew how many rows wait for a goal."""

LEAST_SECONDS = 1.0

EXPIRED_TIMES = 3
"""Fresh tokens that were refused as expired, one after another, before a person is asked to look."""


@dataclass(frozen=True, slots=True)
class CatalogueRules:
    """How often goals are read, and how old a new one must be before it takes conversions."""

    refresh_millis: int
    settle_millis: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Why Microsoft could not be asked, or what it refused: a code of the catalogue of troubles, and a detail."""

    trouble: str
    detail: str
    tracking_id: str | None = None
    error: str | None = None
    """Microsoft's symbol, where it refused: then nothing was done, for certain."""


LEFT = Failure("unmapped", "the account left the configuration")


@dataclass(frozen=True, slots=True)
class AccountGoals:
    """An account's goals as they stand now: what was read, by whom it is used, and why the last reading failed."""

    account: str
    catalogue: Catalogue | None
    events: Mapping[str, tuple[GoalRule, Mapped]]
    failure: Failure | None


@dataclass(frozen=True, slots=True)
class Planned:
    """What an account lacks, by goals that were just read."""

    catalogue: Catalogue
    plan: Plan


@dataclass(frozen=True, slots=True)
class CreatedGoal:
    """What became of one goal that was to be created. `goal` is it as it was read afterwards, None if it is not there.

    `answer` is what Microsoft said of it, or why it said nothing.
    """

    name: str
    goal: Goal | None
    answer: Creation | Failure


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of the goals that an account lacked."""

    made: tuple[CreatedGoal, ...]


@dataclass(slots=True)
class _Account:
    """Where one account's readings stand."""

    next_at: int = 0
    """Unix milliseconds."""
    is_wanted: bool = False
    """Whether a reading was asked for since the last one began."""
    failures: int = 0
    failure: Failure | None = None
    raised: str | None = None
    """The trouble that the last failure raised."""
    waits_for_token: bool = False
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    bell: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class GoalCatalogue:
    """Reads and judges; `rules`, `accounts`, `events` and `every` are asked for each time.

    `events(account)` gives the rule of each event that is meant for the account, `every(account)` those of all events:
    a request may name another account than its event does. Both have the goals' names in that account.
    """

    platform: GoalPlatform
    store: Goals
    outbox: Outbox
    gates: Gates
    telemetry: Telemetry
    now: Callable[[], UnixMillis]
    rules: Callable[[], CatalogueRules]
    accounts: Callable[[], Sequence[str]]
    events: Callable[[str], Mapping[str, GoalRule]]
    every: Callable[[str], Mapping[str, GoalRule]]
    _catalogues: dict[str, Catalogue] = field(default_factory=dict)
    _states: defaultdict[str, _Account] = field(default_factory=lambda: defaultdict(_Account))
    _expected: asyncio.Queue[Sequence[str]] = field(default_factory=asyncio.Queue)
    _waiting: defaultdict[str, Mapping[str, Waiting]] = field(default_factory=lambda: defaultdict(dict))
    """By account and goal, what waits that keeps its goal: also goals that no event is for any more."""

    # --- The loop ----------------------------------------------------------------------------------------------------

    def expect(self, accounts: Sequence[str]) -> None:
        """Watch these accounts too; nothing leaves one of them before its first reading has ended."""
        self.gates.await_reading([account for account in accounts if account not in self._states])
        self._expected.put_nowait(accounts)

    async def run(self) -> None:
        """Read and judge, for ever. Nothing but cancellation ends it."""
        await self._load()
        watched: set[str] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                for account in await self._expected.get():
                    if account not in watched:
                        watched.add(account)
                        group.create_task(self._watch(account))

    def wake(self) -> None:
        """Something opened, or time went on: look again."""
        for state in self._states.values():
            state.bell.set()

    def read_soon(self) -> None:
        """Read every account's goals anew."""
        for account in self.accounts():
            self._states[account].is_wanted = True
        self.wake()

    def reloaded(self) -> None:
        """The configuration changed: judge by what is known at once, and read anew."""
        for account in self.accounts():
            if self._known(account) is None:
                self.gates.await_reading([account])
            self._judge(account)
        self.read_soon()

    async def _load(self) -> None:
        with loops.reported(self.telemetry.service, "goals"):  # without them the first reading starts from nothing
            self._catalogues |= {catalogue.account: catalogue for catalogue in await self.store.load()}

    async def _watch(self, account: str) -> None:
        state = self._states[account]

        async def turn() -> float:
            await self._turn(account, state)
            return max(LEAST_SECONDS, (self._look_at(account, state) - self.now()) / 1000)

        await loops.run_forever(
            turn,
            wake=state.bell,
            reporter=self.telemetry.service,
            where=f"goals {account}",
            retry_seconds=GLANCE_MILLIS / 1000,
        )

    async def _turn(self, account: str, state: _Account) -> None:
        if account not in self.accounts():
            return
        self._waiting[account] = await self.outbox.waiting_by_goal(account)
        if not self._is_due(state) or isinstance(await self.read(account), Failure):
            await self._tell(account, self._judge(account))

    def _is_due(self, state: _Account) -> bool:
        """A clock that was set back must not put a reading off for longer than ever."""
        now = self.now()
        waited = state.next_at <= now or state.next_at > now + max(self.rules().refresh_millis, RETRY_MILLIS)
        return waited or state.is_wanted or (state.waits_for_token and self.gates.connected)

    def _look_at(self, account: str, state: _Account) -> int:
        """When to look again, at the latest: to read, to see a goal that is old enough by then, to tell anew."""
        glance = self.now() + GLANCE_MILLIS
        if account not in self.accounts():
            return glance
        moments = [one.settles_at for one in self._mapped(account).values() if one.settles_at is not None]
        return min(state.next_at, glance, *moments)

    # --- Reading -----------------------------------------------------------------------------------------------------

    async def read(self, account: str) -> Catalogue | Failure:
        """Read the account's goals and auto-tagging now, keep them, and open and close what they say."""
        state = self._states[account]
        async with state.reading:
            state.is_wanted = False
            try:
                return await self._read(account, state)
            except NotConnected as error:
                state.waits_for_token = True
                state.next_at = UnixMillis(self.now() + RETRY_MILLIS)
                state.failure = Failure(error.code, str(error))
                return state.failure
            except Exception:
                state.next_at = UnixMillis(self.now() + RETRY_MILLIS)
                self.gates.reading_ended(account)
                raise

    async def _read(self, account: str, state: _Account) -> Catalogue | Failure:
        if (until := self.gates.throttled_until(account, self.now())) is not None:
            state.next_at = until
            return Failure("throttled", "Microsoft asked to wait")
        identity, started_at = self.platform.identity(account), self.now()
        if identity is None:
            return LEFT
        answer = await self.platform.goals(account)
        state.waits_for_token = False
        if account not in self.accounts():
            return LEFT
        if isinstance(answer, RefusedBatch | Lost):
            return self._failed(account, state, await self._failure(account, answer), identity)
        catalogue = remembered(self._catalogues.get(account), account, identity, answer, self.now())
        self._take(account, state, catalogue, started_at)
        tagging = await self._auto_tagging(account)
        catalogue = self._catalogues[account] = replace(
            catalogue, auto_tagging=catalogue.auto_tagging if tagging is None else tagging
        )
        self.telemetry.service.goals_read(account, len(catalogue.goals))
        await self._tell(account, self._mapped(account))
        await self.store.save(catalogue)
        return catalogue

    def _take(self, account: str, state: _Account, catalogue: Catalogue, started_at: UnixMillis) -> None:
        """Let a reading count: judge by it before the account is let go."""
        self._catalogues[account] = catalogue
        state.failures, state.failure = 0, None
        state.next_at = UnixMillis(self.now() + self.rules().refresh_millis)
        for goal, mapped in self._judge(account).items():
            if mapped.holds is None:
                self.gates.seen_goal(account, goal, started_at)
        if self._known(account) is not None:  # else it is another account by now, which is to be read yet
            self.gates.reading_ended(account)
        if self.gates.held(account, None) is Reason.THROTTLED:
            self.gates.open_account(account, started_at)
        self._clear_raised(account, state)

    async def _auto_tagging(self, account: str) -> bool | None:
        """None where nobody says; then what was known goes on to count."""
        try:
            answer = await self.platform.auto_tagging(account)
        except NotConnected:
            return None
        if isinstance(answer, RefusedBatch | Lost):
            await self._failure(account, answer)
            return None
        return answer

    # --- Failures ----------------------------------------------------------------------------------------------------

    def _failed(self, account: str, state: _Account, failure: Failure, identity: str) -> Failure:
        """Tell of it once, try again sooner than usual, and let the account go with what was known before.

        `identity` is the account that was asked for: another one by now is to be read yet.
        """
        state.failures += 1
        state.failure = failure
        wait = min(self.rules().refresh_millis, RETRY_MILLIS * 2 ** min(state.failures - 1, 10))
        state.next_at = UnixMillis(self.now() + wait)
        if failure.trouble != state.raised:
            self._clear_raised(account, state)
        if failure.trouble != "token_refresh_failed" or state.failures >= EXPIRED_TIMES:
            state.raised = failure.trouble
            detail = f"reading its goals: {failure.detail}"
            tracking_id = failure.tracking_id
            self.telemetry.service.trouble_raised(
                failure.trouble, account=account, detail=detail, tracking_id=tracking_id
            )
        self._judge(account)
        if self.platform.identity(account) == identity:
            self.gates.reading_ended(account)
        return failure

    def _clear_raised(self, account: str, state: _Account) -> None:
        """What kept the reading before from succeeding is over, unless uploads are kept from it too."""
        if state.raised is not None and self.gates.closed_until(account, self.now()) <= self.now():
            self.telemetry.service.trouble_cleared(state.raised, account=account)
            state.raised = None

    async def _failure(self, account: str, answer: RefusedBatch | Lost) -> Failure:
        """What an answer that brings nothing amounts to; one that says "too many" stops all that share the limit."""
        if isinstance(answer, Lost):
            return Failure(answer.trouble, answer.why, answer.tracking_id)
        if answer.verdict is Verdict.THROTTLED:
            await self._throttle(account, answer)
        fault = answer.faults[0]
        trouble = "request_malformed" if answer.verdict is Verdict.POISON else answer.trouble
        error = None if answer.maybe_applied else self.telemetry.cleaned(fault.error)
        words = self.telemetry.cleaned(fault.message or fault.error)
        detail = f"{words}; {answer.lead}" if answer.lead else words
        return Failure(trouble, detail, answer.tracking_id, error)

    async def _throttle(self, account: str, answer: RefusedBatch) -> None:
        now = self.now()
        wait = THROTTLE_MILLIS if answer.retry_after_seconds is None else int(answer.retry_after_seconds * 1000)
        self.telemetry.delivery.throttled(account, wait / 1000)
        self.platform.throttled(account)
        for each in self.platform.sharing(account):
            self.gates.close_account(each, Reason.THROTTLED, now, UnixMillis(now + wait))
        await self.outbox.record_throttle(account, UnixMillis(now + wait))

    # --- Judging -----------------------------------------------------------------------------------------------------

    def _known(self, account: str) -> Catalogue | None:
        """What is known of the account, if it is still the same at Microsoft."""
        catalogue = self._catalogues.get(account)
        return catalogue if catalogue and catalogue.identity == self.platform.identity(account) else None

    def _mapped(self, account: str) -> dict[str, Mapped]:
        """How each goal that any event is mapped to, or that waiting rows keep, stands in the account."""
        kept = {goal: GoalRule(name=goal) for goal in self._waiting[account]}
        rules = kept | goal_rules(self.every(account)) | goal_rules(self.events(account))
        return {goal: self._look_up(account, rule) for goal, rule in rules.items()}

    def _look_up(self, account: str, rule: GoalRule) -> Mapped:
        catalogue = self._known(account)
        goals = catalogue.goals if catalogue else None
        return mapping(rule, goals, self.now(), self.rules().settle_millis, self._others(account))

    def _others(self, account: str) -> OtherGoals:
        """The goals of the other accounts of the same customer, as far as they were read."""
        known = {name: self._known(name) for name in self._siblings(account)}
        return {name: catalogue.goals for name, catalogue in known.items() if catalogue is not None}

    def _siblings(self, account: str) -> Sequence[str]:
        """The other accounts of the same customer."""
        return [name for name in self.platform.sharing(account) if name != account]

    def _judge(self, account: str) -> dict[str, Mapped]:
        """Hold what must be held, and nothing else."""
        mapped = self._mapped(account)
        holds = {
            goal: GoalHold(one.holds, one.state.value, one.settles_at)
            for goal, one in mapped.items()
            if one.holds is not None
        }
        self.gates.hold_goals(account, holds)
        return mapped

    async def _tell(self, account: str, mapped: Mapping[str, Mapped]) -> None:
        """Raise what stands against the account's goals, and clear what is over."""
        catalogue = self._known(account)
        if catalogue is None:
            return
        meant = {rule.name for rule in self.events(account).values()}
        wanted: dict[tuple[str, str], tuple[str | None, str | None]] = {}
        for goal, one in mapped.items():
            waiting = await self._at_stake(account, goal) if one.holds is not None else None
            if one.state.is_trouble and (goal in meant or (waiting and waiting.rows)):
                wanted[one.state.value, goal] = _hint(one), told(waiting) if waiting else None
        for standing in self.telemetry.board.active(account=account):
            if standing.trouble.scope is not Scope.GOAL:
                continue
            if (standing.code, standing.subject) not in wanted and not self._is_answered(account, standing, mapped):
                self.telemetry.service.trouble_cleared(standing.code, account=account, subject=standing.subject)
        for (code, subject), (hint, rows) in wanted.items():
            self.telemetry.service.trouble_raised(code, account=account, subject=subject, detail=hint, waiting=rows)
        if catalogue.auto_tagging is False:
            self.telemetry.service.trouble_raised("auto_tagging_off", account=account)
        elif catalogue.auto_tagging is True:
            self.telemetry.service.trouble_cleared("auto_tagging_off", account=account)

    def _is_answered(self, account: str, standing: ActiveTrouble, mapped: Collection[str]) -> bool:
        """Whether the trouble is what Microsoft answered to rows of a goal that the catalogue has nothing against.

        `mapped` are the goals that some event is for, or that some row keeps.
        """
        goal = standing.subject or ""
        answered = (
            self.gates.hold_of(account, goal) is None and self.gates.refusal_reason(account, goal) == standing.code
        )
        return answered and goal in mapped

    async def _at_stake(self, account: str, goal: str) -> Waiting:
        """What waits for a goal: rows of its events, or those that keep it though no event names it any more."""
        events = {event for event, rule in self.every(account).items() if rule.name == goal}
        lanes = [lane for lane in self.outbox.lanes() if lane.account == account and lane.event in events]
        waiting = await self.outbox.at_stake(lanes)
        return waiting if waiting.rows else self._waiting[account].get(goal, waiting)

    # --- What others ask ---------------------------------------------------------------------------------------------

    def drops(self, account: str, goal: str) -> bool:
        """Whether Microsoft would drop rows of that goal without a word, whether any event is for it or not."""
        return self._look_up(account, GoalRule(name=goal)).holds is not None

    def traits(self, account: str, goal: str) -> GoalTraits:
        """What is known of a goal that conversions of the account are for."""
        catalogue = self._known(account) if account in self.accounts() else None
        found = find_goal(goal, catalogue.goals) if catalogue else None
        return GoalTraits(found.window_seconds, found.enhanced) if found else GoalTraits()

    def of(self, account: str) -> AccountGoals:
        """The account's goals as they stand now."""
        events = {event: (rule, self._stands(account, rule)) for event, rule in self.events(account).items()}
        return AccountGoals(account, self._known(account), events, self._states[account].failure)

    def of_event(self, account: str, event: str) -> Mapped | None:
        """How the goal stands that an event's new rows go to; None where event or account left the configuration."""
        rule = self.every(account).get(event) if account in self.accounts() else None
        return self._stands(account, rule) if rule else None

    def of_goal(self, account: str, goal: str) -> Mapped | None:
        """How a goal stands that rows are frozen for, though no event names it; None where the account left."""
        return self._stands(account, GoalRule(name=goal)) if account in self.accounts() else None

    def _stands(self, account: str, rule: GoalRule) -> Mapped:
        """By the list of goals and by what Microsoft answered last."""
        return self._look_up(account, rule).closed_by(self.gates.refusal_reason(account, rule.name))

    async def plan(self, account: str) -> Planned | Failure:
        """What the account lacks, by a new reading; of the other accounts of the customer the last one serves."""
        read = await self.read(account)
        if isinstance(read, Failure):
            return read
        for name in self._siblings(account):
            if self._known(name) is None:
                await self.read(name)
        shared, others = self._shared(account), self._others(account)
        return Planned(read, plan(self.events(account), read.goals, self.now(), shared, others))

    def _shared(self, account: str) -> Set[str]:
        """The names of goals that events of other accounts of the same customer are mapped to."""
        return {rule.name for name in self._siblings(account) for rule in self.events(name).values()}

    async def apply(self, account: str, names: Set[str] | None) -> Applied | Failure:
        """Create what the account lacks, or of that only the goals named; then read anew, whatever was answered."""
        planned = await self.plan(account)
        if isinstance(planned, Failure):
            return planned
        new = planned.plan.goals_to_create(names)
        if not new:
            return Applied(())
        answers = await self._create(account, new)
        again = await self.read(account)
        goals = () if isinstance(again, Failure) else again.goals
        made = tuple(
            CreatedGoal(one.name, find_goal(one.name, goals), said) for one, said in zip(new, answers, strict=True)
        )
        for one in made:
            if one.goal is not None and not isinstance(one.answer, Exists):
                self.telemetry.service.goal_created(account, one.name)
        return Applied(made)

    async def _create(self, account: str, new: Sequence[NewGoal]) -> Sequence[Creation | Failure]:
        try:
            answers = await self.platform.create(account, new)
        except NotConnected as error:
            return [Failure(error.code, str(error))] * len(new)
        failures: dict[int, Failure] = {}
        for answer in answers:
            if isinstance(answer, RefusedBatch | Lost) and id(answer) not in failures:  # one may stand for many goals
                failures[id(answer)] = await self._failure(account, answer)
        return [failures[id(each)] if isinstance(each, RefusedBatch | Lost) else each for each in answers]


def _hint(one: Mapped) -> str | None:
    match one.state:
        case MappingState.NOT_FOUND if one.owner:
            return f"account {one.owner} has a goal of that name for itself alone, and names are unique per customer"
        case MappingState.NOT_FOUND:
            return f"did you mean {one.near}?" if one.near else None
        case MappingState.WRONG_TYPE:
            return f"its type is {one.goal.type}" if one.goal else None
        case MappingState.SETTLING:
            return f"until {text_of_millis(one.settles_at)}" if one.settles_at else None
        case _:
            return None
