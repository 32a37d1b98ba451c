"""Claims the batches of one account.

Of a new one it attributes the due rows, then freezes what will be sent; an open one it claims again as it was.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sidecar.core.batch import as_sent, of_one_goal, used_identity, with_goals
from sidecar.core.conversion import Kind
from sidecar.core.entry import Entry, too_old
from sidecar.core.instant import UnixMillis
from sidecar.core.schedule import GoalQueue
from sidecar.delivery.click_matching import ClickMatcher
from sidecar.delivery.timestamps import UniqueTimestamps
from sidecar.ports.delivery import Claim
from sidecar.ports.outbox import Outbox
from sidecar.ports.platform import Platform
from sidecar.telemetry import Telemetry

EXPIRED_ROWS = 1_000
"""How many rows that got too old one transaction ends."""

READ_ROWS = 100
"""Due rows that are read for one, if the first may not go: many before it may have to wait for a click."""

READS = 3
"""How often a goal's queue is read in its turn: a backlog without clicks must not hold up others."""


@dataclass(frozen=True, slots=True)
class DueRows:
    """Rows of a goal that may go out now, with their clicks; `has_more` where others may be ready behind them."""

    goal: GoalQueue
    entries: Sequence[Entry]
    has_more: bool = False

    @property
    def is_full(self) -> bool:
        """Whether they fill a batch."""
        return len(self.entries) >= self.goal.rows


@dataclass(frozen=True, slots=True)
class Claims:
    """`goals` (event to its goal in the account) is asked for each batch."""

    account: str
    outbox: Outbox
    platform: Platform
    click_matcher: ClickMatcher
    timestamps: UniqueTimestamps
    telemetry: Telemetry
    now: Callable[[], UnixMillis]
    goals: Callable[[], Mapping[str, str]]
    drops: Callable[[str], bool]
    """Whether Microsoft would drop rows of that goal in silence, also where no event is mapped to it any more."""

    @property
    def identity(self) -> str:
        """Which account it is at Microsoft now; "" once it left the configuration."""
        return self.platform.identity(self.account) or ""

    # --- batches that go again ---------------------------------------------------------------------------------------

    async def has_resend(self) -> bool:
        """Whether an open batch may go again now; rows that follow today's mapping leave theirs before.

        Mostly no batch is open, which one look shows.
        """
        goals, identity = self.goals(), self.identity
        found = await self.outbox.open_batches(self.account, goals, identity)
        if found.has_astray:  # they were refused each time
            await self.outbox.release_astray(self.account, goals, self.now(), identity)
            found = await self.outbox.open_batches(self.account, goals, identity)
        if not found.goals:
            return False
        return await self.outbox.has_resend(self.account, self.now(), self._dropping(found.goals), identity)

    async def resend(self, lease_end: UnixMillis) -> Claim | None:
        """The open batch that has been due longest, claimed again as it was."""
        await self.end_too_old()
        held = await self._held_batches()
        return await self.outbox.claim_resend(self.account, self.now(), lease_end, held, self.identity)

    async def _held_batches(self) -> Collection[str]:
        open_batches = await self.outbox.open_batches(self.account, self.goals(), self.identity)
        return self._dropping(open_batches.goals)

    def _dropping(self, goals: Iterable[str]) -> Collection[str]:
        """Those of the goals that would drop what is sent for them."""
        return [goal for goal in goals if goal and self.drops(goal)]

    # --- new batches -------------------------------------------------------------------------------------------------

    async def attribute(self, goal: GoalQueue) -> DueRows:
        """Choose the clicks of a goal's due rows, write down which of them wait or end, and return the others.

        Rows that have to wait for a click make room for others, so that a batch is full all the same.
        """
        limit = goal.rows
        for _ in range(READS):
            entries = await self._due(goal, limit)
            if entries and too_old(min(entry.time for entry in entries), self.now()):
                await self.end_too_old()
                entries = await self._due(goal, limit)
            attributed = await self.click_matcher.attribute(self.account, goal.goal, entries)
            if attributed.deferrals:
                await self.click_matcher.defer(goal.goal, attributed.deferrals)
            ready = attributed.ready[: goal.rows]
            if len(entries) < limit or len(ready) == goal.rows:
                return DueRows(goal, ready)
            limit = max(goal.rows, READ_ROWS)
        return DueRows(goal, ready, has_more=True)

    async def _due(self, goal: GoalQueue, limit: int) -> list[Entry]:
        """Due rows, without those frozen for a goal that would drop them; reading some shows which goals those are."""
        held: set[str] = set()
        while True:
            entries = await self.outbox.due(goal.lanes, self.now(), limit, held, self.identity)
            if not (dropping := self._dropping({entry.goal for entry in entries if entry.goal is not None})):
                return entries
            held.update(dropping)

    async def end_too_old(self) -> None:
        """End the rows that Microsoft would refuse for their age."""
        while ended := await self.outbox.expire(self.now(), EXPIRED_ROWS):
            self.telemetry.delivery.rows_expired(ended)

    async def freeze(self, due: DueRows, lease_end: UnixMillis) -> Claim | None:
        """Claim these rows as a new batch, with what will be sent of each; None when none of them is free any more.

        Rows that changed since they were read are left out, and stay due.
        """
        goal = due.goal
        candidates = of_one_goal(with_goals(due.entries, {lane.event: goal.goal for lane in goal.lanes}))
        if goal.kind is Kind.CONVERSION:
            candidates = await self.timestamps.choose(candidates)
        if not candidates:
            return None
        frozen, identities = [as_sent(one) for one in candidates], [used_identity(one) for one in candidates]
        claim = await self.outbox.claim(self.account, frozen, identities, self.now(), lease_end, self.identity)
        if claim is not None:
            self.click_matcher.count_matched(goal.goal, claim.entries)
        return claim
