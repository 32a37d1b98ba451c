"""The catalogue of goals: reads and judges those of each account when it is time, so that a slow one delays no other.

Of idle accounts a few are looked at together. One that has rows to send is looked at beside them, at once.
"""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from sidecar import loops
from sidecar.delivery.gates import Gates
from sidecar.goals.creating import GoalCreator
from sidecar.goals.frozen_goals import FrozenGoals
from sidecar.goals.judging import GoalJudge
from sidecar.goals.known import Failure, KnownGoals, ReadingState
from sidecar.goals.look_queue import LookQueue
from sidecar.goals.reading import GoalReader
from sidecar.ports.upkeep import Goals
from sidecar.telemetry import Telemetry

GLANCE_MILLIS = 60_000
"""How often troubles are updated with the number of rows that wait for a goal."""

IDLE_MILLIS = 15 * GLANCE_MILLIS
"""The same where nothing waits."""

LEAST_SECONDS = 1.0

LOOKS = 32
"""How many idle accounts are looked at together: thousands at a start would hold up each other, and uploads."""


@dataclass(frozen=True, slots=True)
class GoalCatalogue:
    """Keeps what is `known` of goals up to date."""

    known: KnownGoals
    judge: GoalJudge
    reader: GoalReader
    creator: GoalCreator
    store: Goals
    frozen: FrozenGoals
    gates: Gates
    telemetry: Telemetry
    _queue: LookQueue = field(default_factory=lambda: LookQueue(loops.monotonic))
    _urgent: set[str] = field(default_factory=set)
    """Accounts that have rows to send, and no reading yet."""
    _looks: dict[str, asyncio.Task[float]] = field(default_factory=dict)
    """Those under way."""
    _idle: set[str] = field(default_factory=set)
    """The accounts of those that began because it was time."""
    _again: set[str] = field(default_factory=set)
    """Accounts that were to be looked at again while they were."""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def load(self) -> None:
        """Take over what is stored: of the process before, or of other replicas."""
        for catalogue in await self.store.load():
            self.known.states[catalogue.account].catalogue = catalogue

    def expect(self, accounts: Sequence[str]) -> None:
        """Read these accounts too. A new one sends nothing until its first reading has ended."""
        new = [account for account in accounts if not self.known.states[account].is_expected]
        for account in new:
            self.known.states[account].is_expected = self.known.states[account].is_wanted = True
        self.gates.await_reading(new)
        self._look_at(new)

    def forget(self, accounts: Collection[str]) -> None:
        """Read these accounts no more, which another replica reads from now on."""
        for account in accounts:
            self.known.states[account].is_expected = False
            self._queue.drop(account)
            if look := self._looks.get(account):
                look.cancel()

    async def end(self, account: str) -> None:
        """Read the account no more, and return once no call of it is on its way."""
        async with self.known.states[account].reading:
            self.forget([account])

    async def run(self) -> None:
        """Read and judge until cancelled."""
        with loops.reported(self.telemetry.service, "goals"):  # without them the first reading starts from nothing
            await self.load()
        async with asyncio.TaskGroup() as group:
            while True:
                for account in self._due():
                    self._begin(account, group)
                await loops.wait_for_wake(self._changed, self._queue.seconds() if self._has_room else None)

    @property
    def _has_room(self) -> bool:
        return len(self._idle) < LOOKS

    def _due(self) -> Iterator[str]:
        """Take what is to be looked at now; an account that is looked at already has its turn afterwards."""
        urgent = self._urgent - self._looks.keys()
        self._urgent.clear()
        for account in urgent:
            self._queue.drop(account)
            yield account
        while self._has_room and (due := self._queue.take()) is not None:
            if due in self._looks:
                self._again.add(due)
            else:
                self._idle.add(due)
                yield due

    def _begin(self, account: str, group: asyncio.TaskGroup) -> None:
        self._looks[account] = look = group.create_task(self._look(account))
        look.add_done_callback(lambda done: self._ended(account, done))

    async def _look(self, account: str) -> float:
        with loops.reported(self.telemetry.service, f"goals {account}"):
            return await self._step(account, self.known.states[account])
        return GLANCE_MILLIS / 1000

    def _ended(self, account: str, look: asyncio.Task[float]) -> None:
        del self._looks[account]
        self._idle.discard(account)
        is_asked_for = account in self._again or look.cancelled()
        self._again.discard(account)
        if self.known.states[account].is_expected:
            self._queue.put(account, 0.0 if is_asked_for else look.result())
        self._changed.set()

    def hasten(self, account: str) -> None:
        """Read an account that has rows to send before those that have none, if it waits for its first reading."""
        if self.gates.awaits_reading(account) and self.known.states[account].is_expected:
            self._urgent.add(account)
            self._changed.set()

    def look_again(self, account: str) -> None:
        """Look at the account again: a gate of it opened."""
        self.frozen.changed(account)
        self._look_at([account])

    def wake(self) -> None:
        """Look at every account again: a gate opened, or the time changed."""
        self.frozen.changed()
        self._look_at(self.known.states)

    def _look_at(self, accounts: Iterable[str]) -> None:
        for account in accounts:
            if self.known.states[account].is_expected:
                self._queue.put(account)
        self._changed.set()

    def read_soon(self) -> None:
        """Read the goals of every account again."""
        for account in self.known.accounts():
            self.known.states[account].is_wanted = True
        self.wake()

    def reloaded(self) -> None:
        """The configuration changed: judge by what is known at once, and read again."""
        for account in self.known.accounts():
            if self.known.catalogue(account) is None:
                self.gates.await_reading([account])
            self.judge.hold_goals(account)
        self.read_soon()

    async def _step(self, account: str, state: ReadingState) -> float:
        """Read or judge the account, and return the seconds until the next look."""
        if account in self.known.accounts() and self.gates.holds(account):
            state.waiting = await self.frozen.waiting(account)
            if not self.reader.is_due(state) or isinstance(await self.reader.read(account), Failure):
                self.judge.hold_goals(account)
                await self.judge.report(account)
        return max(LEAST_SECONDS, (self._next_look_at(account, state) - self.known.now()) / 1000)

    def _is_glanced_at(self, account: str, state: ReadingState) -> bool:
        """Whether rows may wait for a goal; the accounts may be too many to count for all of them."""
        return bool(state.waiting) or bool(self.telemetry.board.active(account=account))

    def _next_look_at(self, account: str, state: ReadingState) -> int:
        """Return when a reading is due, a goal is old enough, or the waiting rows are to be counted again."""
        glance = self.known.now() + (GLANCE_MILLIS if self._is_glanced_at(account, state) else IDLE_MILLIS)
        if account not in self.known.accounts():
            return glance
        settled = [one.settles_at for one in self.known.mapped_goals(account).values() if one.settles_at is not None]
        return min(state.next_at, glance, *settled)
