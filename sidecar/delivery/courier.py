"""One account's way to Microsoft: claim what is due, send it, hand the answer to the settler.

Which click a row goes with is the attributor's matter, what an answer means the settler's, what is closed the gates',
how much may be on its way `core.in_flight`'s, which second a row gets `core.batch`'s.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from sidecar import loops
from sidecar.core.answer import Answer, Lost, RefusedBatch, Verdict
from sidecar.core.attribution import WaitForClick
from sidecar.core.batch import (
    SEARCH_SECONDS,
    Candidate,
    as_sent,
    next_seconds,
    of_one_goal,
    ranges,
    used_identity,
    with_goals,
    with_seconds,
)
from sidecar.core.conversion import Kind
from sidecar.core.entry import Entry, Lane, Reason, too_old
from sidecar.core.in_flight import Request, Turn
from sidecar.core.instant import UnixMillis, UnixSeconds, millis
from sidecar.delivery.account_state import AccountState
from sidecar.delivery.click_matching import ClickMatcher
from sidecar.delivery.gates import Gates, GoalGate
from sidecar.delivery.settler import Sent, Settler
from sidecar.ports.delivery import Claim, Deferral
from sidecar.ports.errors import NotConnected
from sidecar.ports.outbox import Outbox
from sidecar.ports.platform import Platform
from sidecar.telemetry import Telemetry

T = TypeVar("T")

IDLE_SECONDS = 1.0
"""How long to sleep when nothing is due, or nothing may go; an arrival or an answer ends it at once."""

EXPIRE_ROWS = 1_000

LOOK_ROWS = 100
"""Due rows that are looked at for one, if the first may not go: many before it may have to wait for a click."""

LEAST_WAIT = 1_000
"""Milliseconds that a row waits at least for a second that is free: without one in reach it must not be asked for at
once again."""

LOOKS = 3
"""How often a goal is looked at in its turn for rows that may go: a backlog without clicks must not hold up others."""


@dataclass(frozen=True, slots=True)
class DeliveryRules:
    """The part of `delivery:` that a courier obeys."""

    batch_size: int
    linger_millis: int
    max_in_flight: int
    lease_millis: int
    """How long a claim is good for: longer than any request may take."""


@dataclass(frozen=True, slots=True)
class _Goal:
    """A goal that may send now, rows of one kind: their lanes, and how many may go together, one to see whether it
    takes any."""

    name: str
    kind: Kind
    lanes: Sequence[Lane]
    rows: int


@dataclass(frozen=True, slots=True)
class _FoundBatch:
    """A full batch that was found before its permit came, so that it need not be read a second time."""

    goal: str
    lanes: Sequence[Lane]
    """Those of the goal then: a reload may have given one of them to another goal meanwhile."""
    entries: Sequence[Entry]
    good_until: float
    """Monotonic seconds; the claim itself leaves out what is no longer free."""


@dataclass(slots=True)
class Courier:
    """Carries the rows of one account; `rules` and `goals` (event to its goal there) are asked anew for each batch."""

    account: str
    outbox: Outbox
    platform: Platform
    gates: Gates
    click_matcher: ClickMatcher
    settler: Settler
    telemetry: Telemetry
    now: Callable[[], UnixMillis]
    rules: Callable[[], DeliveryRules]
    goals: Callable[[], Mapping[str, str]]
    drops: Callable[[str], bool]
    """Whether Microsoft would drop rows of that goal without a word, also where no event is for it any more."""
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _arrived: int = 0
    _look: _FoundBatch | None = None

    @property
    def _state(self) -> AccountState:
        return self.gates.accounts[self.account]

    def wake(self, arrived: int = 0) -> None:
        """Look again at once: `arrived` rows came in, or something opened."""
        self._arrived += arrived
        self._wake.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Carry until `stopping` is set (and `wake` called), then wait for the requests that are on their way."""
        self._stopping = stopping
        async with asyncio.TaskGroup() as sends:
            while not stopping.is_set():
                claim = await self._guarded("claim", self._next_claim())
                if claim is not None:
                    request = Request(claim.entries[0].goal or "", claim.kind, claim.resend, _monotonic())
                    sends.create_task(self._carry(claim, self._state.in_flight.started(request)))

    # --- what goes next ----------------------------------------------------------------------------------------------

    async def _next_claim(self) -> Claim | None:
        """The next batch that may go now; None after a wait, so that the caller can see whether to stop."""
        rules = self.rules()
        if not self._may_send(rules):
            await self._sleep(IDLE_SECONDS)
        elif await self._may_go_again(rules) or await self._ready(rules):
            await self.platform.permit(self.account)
            return await self._claim(rules)
        return None

    async def _claim(self, rules: DeliveryRules) -> Claim | None:
        """What is first in turn; looked at anew, since the wait for the permit may have been long."""
        if self._stopping.is_set() or not self._may_send(rules):
            return None
        ways = (self._claim_new, self._claim_again) if self._state.resent_last else (self._claim_again, self._claim_new)
        for way in ways:
            if (claim := await way(rules)) is not None:
                self._state.resent_last = claim.resend
                return claim
        await self._sleep(IDLE_SECONDS)
        return None

    def _may_send(self, rules: DeliveryRules) -> bool:
        window = self.settler.window(self.account, rules.max_in_flight)
        is_open = self.platform.knows(self.account) and self.gates.lets_out(self.account, self.now())
        return is_open and self._state.in_flight.has_room(window, _monotonic())

    # --- batches that go again ---------------------------------------------------------------------------------------

    async def _may_go_again(self, rules: DeliveryRules) -> bool:
        window = self.settler.window(self.account, rules.max_in_flight)
        if not self._state.in_flight.takes_resend(window, _monotonic()):
            return False
        held = self._dropping(await self._goals_of_batches())
        return await self.outbox.has_resend(self.account, self.now(), held, self._ids)

    @property
    def _ids(self) -> str:
        """Which account it is at Microsoft now; "" once it left the configuration."""
        return self.platform.identity(self.account) or ""

    async def _goals_of_batches(self) -> Collection[str]:
        """What open batches are for, once those rows left them that follow the mapping of now."""
        goals, ids = self.goals(), self._ids
        found = await self.outbox.open_batches(self.account, goals, ids)
        if found.has_astray:
            await self.outbox.release_astray(self.account, goals, self.now(), ids)
        return found.goals

    def _dropping(self, goals: Collection[str]) -> Collection[str]:
        """Those of the goals that would drop what is sent for them."""
        return [goal for goal in goals if goal and self.drops(goal)]

    async def _claim_again(self, rules: DeliveryRules) -> Claim | None:
        if not await self._may_go_again(rules):
            return None
        await self._end_too_old()
        held = self._dropping(await self._goals_of_batches())
        claim = await self.outbox.claim_resend(self.account, self.now(), self._lease_end(rules), held, self._ids)
        if claim is None:
            self._state.in_flight.expects_nothing()
        return claim

    # --- new batches -------------------------------------------------------------------------------------------------

    async def _ready(self, rules: DeliveryRules) -> bool:
        """Whether some goal's batch may go: a full one at once, another when its oldest row has waited `linger`."""
        now = self.now()
        fullest, until = 0, now + int(IDLE_SECONDS * 1000)
        for goal in self._open_goals(rules):
            if not (entries := await self._due(goal)):
                continue
            if (ripe_at := _ripe_at(goal, entries, rules)) <= now:
                self._look = _FoundBatch(goal.name, goal.lanes, entries, _monotonic() + IDLE_SECONDS)
                return True
            fullest, until = max(fullest, len(entries)), min(until, ripe_at)
        await self._linger(rules.batch_size - fullest if fullest else 1, until)
        return False

    async def _linger(self, missing: int, until: int) -> None:
        """Wait for a fuller batch: until enough rows came in, something else wakes this courier, or it is time."""
        self._arrived = 0
        deadline = _monotonic() + (until - self.now()) / 1000  # the wall clock may be set back meanwhile
        while (left := deadline - _monotonic()) > 0:
            before = self._arrived
            await self._sleep(left)
            if self._arrived >= missing or self._arrived == before:
                return

    def _open_goals(self, rules: DeliveryRules) -> Iterator[_Goal]:
        """The goals that may send now, those first that have waited longest for their turn.

        Conversions and adjustments go apart: they are different calls.
        """
        window, now = self.settler.window(self.account, rules.max_in_flight), self.now()
        lanes: defaultdict[Turn, list[Lane]] = defaultdict(list)
        mapped = self.goals()
        for lane in self.outbox.lanes:
            if lane.account == self.account and lane.event in mapped:
                lanes[mapped[lane.event], lane.kind].append(lane)
        alone = len(lanes) == 1
        for goal, kind in sorted(lanes, key=lambda turn: self._state.turns.get(turn, 0)):
            gate = self.gates.goal(self.account, goal, now)
            takes = self._state.in_flight.takes((goal, kind), window, _monotonic(), alone=alone)
            if takes and gate is not GoalGate.CLOSED:
                yield _Goal(goal, kind, lanes[goal, kind], rules.batch_size if gate is GoalGate.OPEN else 1)

    async def _due(self, goal: _Goal) -> list[Entry]:
        """Due rows of a goal, with their clicks; those that are too old are ended in their place.

        Rows that have to wait for a click make room for others, so that a batch is full all the same.
        """
        limit, sendable = goal.rows, []
        for _ in range(LOOKS):
            entries = await self._due_now(goal.lanes, limit)
            sendable = await self.click_matcher.sendable(self.account, goal.name, entries)
            if len(entries) < limit or len(sendable) >= goal.rows or self._stopping.is_set():
                return sendable[: goal.rows]
            limit = max(goal.rows, LOOK_ROWS)
        self._wake.set()  # there is more to look at, once the other goals had their turn
        return sendable[: goal.rows]

    async def _due_now(self, lanes: Sequence[Lane], limit: int) -> list[Entry]:
        now = self.now()
        entries = await self._due_beside_held(lanes, now, limit)
        if any(too_old(entry.time, now) for entry in entries):
            await self._end_too_old()
            entries = await self._due_beside_held(lanes, now, limit)
        return entries

    async def _due_beside_held(self, lanes: Sequence[Lane], now: UnixMillis, limit: int) -> list[Entry]:
        """Due rows but those that keep a goal which would drop them; which goals rows keep is found by reading some."""
        held: set[str] = set()
        while True:
            entries = await self.outbox.due(lanes, now, limit, held, self._ids)
            if not (dropping := self._dropping({entry.goal for entry in entries if entry.goal is not None})):
                return entries
            held.update(dropping)

    async def _end_too_old(self) -> None:
        while ended := await self.outbox.expire(self.now(), EXPIRE_ROWS):
            self.telemetry.delivery.rows_expired(ended)

    async def _claim_new(self, rules: DeliveryRules) -> Claim | None:
        """A new batch of the goal whose turn it is."""
        now = self.now()
        for goal in self._open_goals(rules):
            entries = self._looked_at(goal) or await self._due(goal)
            if entries and _ripe_at(goal, entries, rules) <= now:
                self._state.take_turn((goal.name, goal.kind))
                return await self._freeze(goal, entries, rules)
        return None

    def _looked_at(self, goal: _Goal) -> Sequence[Entry]:
        """The goal's full batch as it was found a moment ago; empty where it has to be looked for."""
        look, self._look = self._look, None
        known = look is not None and (look.goal, look.lanes) == (goal.name, goal.lanes)
        if look is None or not known or len(look.entries) < goal.rows or _monotonic() >= look.good_until:
            return ()
        return look.entries[: goal.rows]

    async def _freeze(self, goal: _Goal, entries: Sequence[Entry], rules: DeliveryRules) -> Claim | None:
        """Fix what will be sent. Claims of one account follow one another: no two choose one second."""
        mapped = {lane.event: goal.name for lane in goal.lanes}
        candidates = of_one_goal(with_goals(entries, mapped))
        if goal.kind is Kind.CONVERSION:
            candidates = await self._placed(candidates)
        if not candidates:
            return None
        now = self.now()
        self.gates.probing(self.account, goal.name, now)
        frozen, identities = [as_sent(one) for one in candidates], [used_identity(one) for one in candidates]
        claim = await self.outbox.claim(self.account, frozen, identities, now, self._lease_end(rules), self._ids)
        if claim is not None:
            self.click_matcher.found(goal.name, claim.entries)
        return claim

    async def _placed(self, candidates: list[Candidate]) -> list[Candidate]:
        """Each with a second of its own; looked for in ever wider ranges, the wide ones hardly ever.

        Those for which only seconds of the future are free wait for them.
        """
        placed: list[Candidate] = []
        left = candidates
        for reach in SEARCH_SECONDS:
            found, left = with_seconds(left, await self._used_seconds(left, reach, placed), self.now(), reach)
            placed += found
            if not left:
                return placed
        await self._put_off(left, await self._used_seconds(left, SEARCH_SECONDS[-1], placed))
        return placed

    async def _used_seconds(
        self, candidates: Sequence[Candidate], reach: int, placed: Iterable[Candidate]
    ) -> dict[int, set[UnixSeconds]]:
        """The seconds that are taken around those of the candidates, by rows on disk and by those placed."""
        used = await self.outbox.used_seconds(ranges(candidates, reach))
        for candidate in placed:
            used.setdefault(candidate.identity, set()).add(candidate.entry.sent_time or candidate.entry.time)
        return used

    async def _put_off(self, left: Sequence[Candidate], used: Mapping[int, set[UnixSeconds]]) -> None:
        """Let these wait for the next seconds that are free."""
        now = self.now()
        deferrals = [
            Deferral(
                entry.seq,
                WaitForClick(Reason.NOT_YET, max(millis(second), UnixMillis(now + LEAST_WAIT))),
                entry.evaluated,
            )
            for entry, second in next_seconds(left, used)
        ]
        await self.outbox.defer(deferrals, now)

    def _lease_end(self, rules: DeliveryRules) -> UnixMillis:
        return UnixMillis(self.now() + rules.lease_millis)

    # --- sending -----------------------------------------------------------------------------------------------------

    async def _carry(self, claim: Claim, number: int) -> None:
        answer = None
        try:
            answer = await self._guarded("deliver", self._deliver(claim))
        finally:
            self._state.in_flight.finished(number, _monotonic(), answered=answer is not None and _is_heard(answer))
            self._wake.set()

    async def _deliver(self, claim: Claim) -> Answer:
        sent = Sent.now(self.now())
        answer: Answer
        if self._still_goes(claim) and self.gates.lets_out(self.account, sent.at):
            self.telemetry.delivery.batch_sent(self.account, claim.batch_id, len(claim.entries), resend=claim.resend)
            try:
                answer = await self.platform.upload(self.account, claim.entries)
            except NotConnected as error:
                answer = Lost(str(error), sent=False)
            await self.settler.settle(claim, answer, sent)
        else:
            answer = Lost("closed while it was claimed", sent=False)
            await self.settler.put_back(claim, answer.why)
        return answer

    def _still_goes(self, claim: Claim) -> bool:
        """Whether the account is there, and the one at Microsoft that the batch is for."""
        return self.platform.knows(self.account) and claim.sent_to == self._ids

    async def _guarded(self, where: str, work: Awaitable[T]) -> T | None:
        """One odd batch must not become a crash: it stays claimed, and its lease brings it back."""
        with loops.reported(self.telemetry.service, f"{where} {self.account}"), contextlib.suppress(NotConnected):
            return await work  # without a connection the gates are closed already, and open when there is one
        await self._sleep(IDLE_SECONDS)
        return None

    async def _sleep(self, seconds: float) -> None:
        """Until something wakes this courier, at most `seconds`."""
        await loops.wait_for_wake(self._wake, seconds)


def _ripe_at(goal: _Goal, entries: Sequence[Entry], rules: DeliveryRules) -> int:
    """When these rows may go: a full batch at once, another when its oldest row has waited `linger`; Unix millis."""
    if len(entries) >= goal.rows:
        return 0
    # Due before it came in is what the clock was set back behind.
    return min(min(entry.received_at, entry.due_at) for entry in entries) + rules.linger_millis


def _is_heard(answer: Answer) -> bool:
    """Whether Microsoft said something of the rows or of us, other than that it could not."""
    match answer:
        case Lost():
            return False
        case RefusedBatch(verdict=verdict):
            return verdict is not Verdict.SERVER
        case _:
            return True


def _monotonic() -> float:
    return asyncio.get_running_loop().time()
