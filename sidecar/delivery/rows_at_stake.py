"""What is at stake while troubles are active: which rows wait for their end, and one sentence for all of them."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from sidecar.core.entry import Lane
from sidecar.core.waiting_summary import Waiting, stake
from sidecar.delivery.gates import Gates
from sidecar.ports.queries import Queries
from sidecar.telemetry import ActiveTrouble
from sidecar.troubles import Scope

GoalOf = Callable[[str, str], str | None]
"""The goal of an account's event; None where one of them left the configuration."""


@dataclass(frozen=True, slots=True)
class Stakes:
    """Says what waits; `accounts` are those configured now."""

    queries: Queries
    gates: Gates
    goal_of: GoalOf
    accounts: Callable[[], Collection[str]]

    async def of(self, troubles: Sequence[ActiveTrouble]) -> str | None:
        """Return one sentence: what waits for these to end, its value and first expiry; None where nothing waits."""
        waiting = await self.waiting(troubles)
        return self.sentence(troubles, waiting) if waiting is not None else None

    async def waiting(self, troubles: Sequence[ActiveTrouble]) -> Waiting | None:
        """Return what waits for these to end; None where nothing does."""
        every = await self.queries.lanes()
        holding = [trouble for trouble in troubles if self.holds(trouble)]
        lanes = {lane for trouble in holding for lane in held_by(trouble, every, self.goal_of)}
        if not lanes:
            return None
        waiting = await self.queries.at_stake(sorted(lanes, key=lambda lane: lane.id))
        return waiting if waiting.rows else None

    def sentence(self, troubles: Sequence[ActiveTrouble], waiting: Waiting) -> str:
        """Return what waits for these to end, in words."""
        accounts = self.accounts()
        holding = [trouble for trouble in troubles if self.holds(trouble)]
        return stake(waiting, [cause for one in holding if (cause := cause_of(one, accounts)) is not None])

    def holds(self, active: ActiveTrouble) -> bool:
        """Whether it holds up rows now: of the sign-in a trouble does not while the last token is valid."""
        return active.account is not None or not self.gates.connected


def cause_of(active: ActiveTrouble, accounts: Collection[str]) -> str | None:
    """Return for want of what its rows wait, as the end of a sentence; None where none do."""
    if active.trouble.scope is Scope.EVENT and active.account not in accounts:
        return f"the account {active.account} is not configured any more"
    words = active.trouble.waits_for
    return words and words.replace("{subject}", active.subject or "").replace("{account}", active.account or "")


def held_by(active: ActiveTrouble, lanes: Sequence[Lane], goal_of: GoalOf) -> list[Lane]:
    """Return the lanes whose rows wait for the end of a trouble; none if it holds up single rows, or none at all."""
    if active.trouble.waits_for is None:
        return []
    ours = [lane for lane in lanes if active.account in (None, lane.account)]
    goals = [(lane, goal_of(lane.account, lane.event)) for lane in ours]
    match active.trouble.scope:
        case Scope.EVENT:
            return [lane for lane, goal in goals if lane.event == active.subject and goal is None]
        case Scope.GOAL:
            return [lane for lane, goal in goals if goal == active.subject]
        case _:
            return [lane for lane, goal in goals if goal is not None]
