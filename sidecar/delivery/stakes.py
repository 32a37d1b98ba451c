"""What is at stake while troubles stand: which rows each of them keeps back, and one sentence for all of them."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from sidecar.core.entry import Lane
from sidecar.core.goals.mapping import GOAL_TROUBLES
from sidecar.core.waiting import stake
from sidecar.delivery.gates import Gates
from sidecar.ports.outbox import Outbox
from sidecar.telemetry import Standing
from sidecar.troubles import WAITS_FOR

GoalOf = Callable[[str, str], str | None]
"""The goal of an account's event; None where one of them left the configuration."""


@dataclass(frozen=True, slots=True)
class Stakes:
    """Says what waits; `accounts` are those configured now."""

    outbox: Outbox
    gates: Gates
    goal_of: GoalOf
    accounts: Callable[[], Collection[str]]

    async def of(self, troubles: Sequence[Standing]) -> str | None:
        """What waits while these stand, with its value and first expiry, in one sentence; None where nothing waits."""
        # One of no account is the sign-in's, and the last token may outlive it.
        holding = [trouble for trouble in troubles if trouble.account is not None or not self.gates.connected]
        lanes = {lane for trouble in holding for lane in held_by(trouble, self.outbox.lanes, self.goal_of)}
        if not lanes:
            return None
        waiting = await self.outbox.at_stake(sorted(lanes, key=lambda lane: lane.id))
        causes = [self._cause(trouble) for trouble in holding if trouble.code in WAITS_FOR]
        return stake(waiting, causes) if waiting.rows else None

    def _cause(self, trouble: Standing) -> str:
        if trouble.code == "unmapped" and trouble.account not in self.accounts():
            return f"the account {trouble.account} is not configured any more"
        words = WAITS_FOR[trouble.code]
        return words.replace("{subject}", trouble.subject or "").replace("{account}", trouble.account or "")


def held_by(trouble: Standing, lanes: Sequence[Lane], goal_of: GoalOf) -> list[Lane]:
    """The lanes whose rows wait for the end of a trouble; none where it holds up single rows, or none at all."""
    if trouble.code not in WAITS_FOR:
        return []
    ours = [lane for lane in lanes if trouble.account in (None, lane.account)]
    if trouble.code == "unmapped":
        return [lane for lane in ours if lane.event == trouble.subject and goal_of(lane.account, lane.event) is None]
    goals = [(lane, goal_of(lane.account, lane.event)) for lane in ours]
    if trouble.code in GOAL_TROUBLES:
        return [lane for lane, goal in goals if goal == trouble.subject]
    return [lane for lane, goal in goals if goal is not None]
