"""Where an account stands, as a `core.schedule.Schedule`: from gates, history and lanes, without reading a row."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sidecar.core.entry import Lane
from sidecar.core.in_flight import Turn
from sidecar.core.instant import UnixMillis
from sidecar.core.schedule import DeliveryRules, GoalQueue, Schedule, has_room, may_resend, ready_goals
from sidecar.delivery.account_state import AccountState
from sidecar.delivery.gates import Gates, GoalGate
from sidecar.ports.platform import Platform
from sidecar.ports.queries import Queries


@dataclass(frozen=True, slots=True)
class Timetable:
    """One account's; `rules` and `goals` (event to its goal there) are asked each time."""

    account: str
    queries: Queries
    platform: Platform
    gates: Gates
    now: Callable[[], UnixMillis]
    rules: Callable[[], DeliveryRules]
    goals: Callable[[], Mapping[str, str]]

    @property
    def state(self) -> AccountState:
        """What is known of the account."""
        return self.gates.accounts[self.account]

    async def schedule(self) -> Schedule:
        """What may go now, as far as can be said without reading a row."""
        rules, state = self.rules(), self.state
        goals = await self._queues(rules.batch_size)
        return Schedule(
            is_open=self.platform.knows(self.account) and self.gates.may_send(self.account, self.now()),
            in_flight=state.in_flight,
            window=state.history.window_within(rules.max_in_flight),
            goals=goals,
            turns=state.turns,
            resent_last=state.resent_last,
            batch_size=rules.batch_size,
        )

    async def _queues(self, batch_size: int) -> list[GoalQueue]:
        lanes: defaultdict[Turn, list[Lane]] = defaultdict(list)
        mapped, now = self.goals(), self.now()
        for lane in await self.queries.lanes_of(self.account):
            if lane.event in mapped:
                lanes[mapped[lane.event], lane.kind].append(lane)
        sizes = {GoalGate.OPEN: batch_size, GoalGate.PROBE: 1, GoalGate.CLOSED: 0}
        return [
            GoalQueue(goal, kind, tuple(lanes[goal, kind]), sizes[self.gates.goal(self.account, goal, now)])
            for goal, kind in lanes
        ]

    async def idle_seconds(self) -> float:
        """For how long nothing of the account is due."""
        due_at = await self.queries.next_due(self.account)
        return math.inf if due_at is None else (due_at - self.now()) / 1000

    async def may_resend(self, monotonic: float) -> bool:
        """Whether a batch may go again now, if there is one."""
        return may_resend(await self.schedule(), monotonic)

    async def may_send(self, goal: GoalQueue, monotonic: float) -> bool:
        """Whether a new batch of the goal may still go as it was planned."""
        schedule = await self.schedule()
        return has_room(schedule, monotonic) and goal in ready_goals(schedule, monotonic)

    def take_turn(self, goal: GoalQueue) -> None:
        """Note that a new batch of the goal is claimed: others have their turn first, and one row probes it at most."""
        self.state.take_turn(goal.turn)
        self.state.resent_last = False
        self.gates.probing(self.account, goal.goal, self.now())
