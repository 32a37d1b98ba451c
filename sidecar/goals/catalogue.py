"""The catalogue of goals: a loop reads and judges those of each account, so that a slow account delays no other."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from sidecar import loops
from sidecar.delivery.gates import Gates
from sidecar.goals.creating import GoalCreator
from sidecar.goals.judging import GoalJudge
from sidecar.goals.known import Failure, KnownGoals, ReadingState
from sidecar.goals.reading import GoalReader
from sidecar.ports.queries import Queries
from sidecar.ports.upkeep import Goals
from sidecar.telemetry import Telemetry

GLANCE_MILLIS = 60_000
"""How often troubles are updated with the number of rows that wait for a goal."""

IDLE_MILLIS = 15 * GLANCE_MILLIS
"""The same where nothing waits."""

LEAST_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class GoalCatalogue:
    """Keeps what is `known` of goals up to date."""

    known: KnownGoals
    judge: GoalJudge
    reader: GoalReader
    creator: GoalCreator
    store: Goals
    queries: Queries
    gates: Gates
    telemetry: Telemetry
    is_sparing: bool = False
    """Whether accounts for which nothing waits are looked at only when a reading is due."""
    _expected: asyncio.Queue[Sequence[str]] = field(default_factory=asyncio.Queue)
    _watches: dict[str, asyncio.Task[None]] = field(default_factory=dict)

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
        self._expected.put_nowait(new)

    def forget(self, accounts: Collection[str]) -> None:
        """Read these accounts no more, which another replica reads from now on."""
        for account in accounts:
            self.known.states[account].is_expected = False
            if watch := self._watches.pop(account, None):
                watch.cancel()

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
                for account in await self._expected.get():
                    if self.known.states[account].is_expected:
                        self._watches[account] = group.create_task(self._watch(account))

    def wake(self) -> None:
        """Look at every account again: a gate opened, or the time changed."""
        for state in self.known.states.values():
            state.wake.set()

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

    async def _watch(self, account: str) -> None:
        state = self.known.states[account]

        async def step() -> float:
            if account in self.known.accounts() and self.gates.holds(account):
                state.waiting = await self.queries.waiting_by_goal(account)
                if not self.reader.is_due(state) or isinstance(await self.reader.read(account), Failure):
                    self.judge.hold_goals(account)
                    await self.judge.report(account)
            return max(LEAST_SECONDS, (self._next_look_at(account, state) - self.known.now()) / 1000)

        reporter, retry_seconds = self.telemetry.service, GLANCE_MILLIS / 1000
        await loops.run_forever(
            step, wake=state.wake, reporter=reporter, where=f"goals {account}", retry_seconds=retry_seconds
        )

    def _is_glanced_at(self, account: str, state: ReadingState) -> bool:
        """Whether rows may wait for a goal; among many replicas the accounts are too many to count for all of them."""
        is_lasting = not self.is_sparing or bool(state.waiting)
        return is_lasting or bool(self.telemetry.board.active(account=account))

    def _next_look_at(self, account: str, state: ReadingState) -> int:
        """Return when a reading is due, a goal is old enough, or the waiting rows are to be counted again."""
        glance = self.known.now() + (GLANCE_MILLIS if self._is_glanced_at(account, state) else IDLE_MILLIS)
        if account not in self.known.accounts():
            return glance
        settled = [one.settles_at for one in self.known.mapped_goals(account).values() if one.settles_at is not None]
        return min(state.next_at, glance, *settled)
