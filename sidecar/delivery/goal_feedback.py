"""What the outcomes of a batch show about its goal: whether it accepts conversions, or holds them back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sidecar.core.entry import Entry, Hold, Outcome
from sidecar.core.instant import UnixMillis
from sidecar.core.states_and_reasons import Reason
from sidecar.core.waiting_summary import Waiting, in_words
from sidecar.delivery.gates import Gates
from sidecar.ports.delivery import Claim
from sidecar.ports.queries import Queries
from sidecar.telemetry import Telemetry

_TROUBLES = (Reason.GOAL_NOT_FOUND, Reason.GOAL_SETTLING)
"""What an answer can show about a goal; the catalogue knows more."""


@dataclass(frozen=True, slots=True)
class GoalFeedback:
    """Opens and closes the gates of goals, and raises and clears their troubles."""

    queries: Queries
    gates: Gates
    telemetry: Telemetry
    now: Callable[[], UnixMillis]
    is_named: Callable[[str, str], bool]
    """Whether any event of that account is mapped to that goal now."""

    async def learn(self, claim: Claim, named: Mapping[int, Outcome | None], tracking_id: str | None) -> None:
        """Open the batch's goal where it accepted a row, those that are not `named`; close it where it could not."""
        account, goal = claim.account, claim.goal
        if len(named) < len(claim.entries) and self.gates.open_goal(account, goal):
            self._clear(account, goal, _TROUBLES)
        holds = [outcome for _, outcome in sorted(named.items()) if isinstance(outcome, Hold)]
        if holds:
            await self._hold(account, goal, holds[-1], claim.entries, tracking_id)

    async def _hold(
        self, account: str, goal: str, hold: Hold, entries: Sequence[Entry], tracking_id: str | None
    ) -> None:
        is_named, frozen = self.is_named(account, goal), [entry for entry in entries if entry.keeps_frozen]
        if not is_named and not frozen:
            return  # after a reload these rows go to another goal, and nothing waits for this one
        self.gates.close_goal(account, goal, hold.reason, self.now())
        if self.gates.hold_of(account, goal) is not None:
            return  # the catalogue has reported it already, and more exactly
        self._clear(account, goal, [code for code in _TROUBLES if code is not hold.reason])
        lanes = list({entry.lane for entry in entries})
        waiting = await self.queries.waiting(lanes) if is_named else _waiting(frozen)
        if self.gates.refusal_reason(account, goal) is not hold.reason or self.gates.hold_of(account, goal):
            return  # while they were counted a reload came, another answer, or a reading
        code, detail = hold.reason.value, f"Microsoft says: {hold.fault.message or hold.fault.error}"
        facts = {"account": account, "subject": goal, "waiting": in_words(waiting), "tracking_id": tracking_id}
        self.telemetry.service.trouble_raised(code, detail=detail, **facts)

    def _clear(self, account: str, goal: str | None, codes: Sequence[Reason]) -> None:
        for code in codes:
            self.telemetry.service.trouble_cleared(code.value, account=account, subject=goal)


def _waiting(entries: Sequence[Entry]) -> Waiting:
    """These rows, which only this goal can accept."""
    return Waiting(len(entries), False, min(entry.time for entry in entries))
