"""What the rows of a batch tell of their goals: which take conversions, which hold theirs back, what waits for them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sidecar.core.entry import Delivered, Entry, Hold, Outcome, Reason
from sidecar.core.instant import MAX_AGE_SECONDS, UnixMillis, UnixSeconds, text_of_seconds
from sidecar.gates import Gates
from sidecar.ports import Outbox, Waiting
from sidecar.telemetry import Telemetry

_TROUBLES = (Reason.GOAL_NOT_FOUND, Reason.GOAL_SETTLING)
"""What an answer can tell of a goal; the catalogue tells more."""


@dataclass(frozen=True, slots=True)
class GoalWatch:
    """Opens and closes the gates of goals, and raises and clears their troubles."""

    outbox: Outbox
    gates: Gates
    telemetry: Telemetry
    now: Callable[[], UnixMillis]

    async def learn(
        self, account: str, placed: Sequence[tuple[Entry, Outcome | None]], tracking_id: str | None
    ) -> None:
        """Open the goals that took a row, close those that could not."""
        for goal in {entry.goal for entry, outcome in placed if isinstance(outcome, Delivered)}:
            if goal and self.gates.open_goal(account, goal):
                self._clear(account, goal, _TROUBLES)
        for goal, hold in {entry.goal: outcome for entry, outcome in placed if isinstance(outcome, Hold)}.items():
            self.gates.close_goal(account, goal or "", hold.reason, self.now())
            if self.gates.hold_of(account, goal or "") is not None:
                continue  # the catalogue has told of it already, and more exactly
            self._clear(account, goal, [code for code in _TROUBLES if code is not hold.reason])
            waiting = await self.outbox.waiting(list({entry.lane for entry, _ in placed if entry.goal == goal}))
            self.telemetry.trouble_raised(
                hold.reason.value,
                account=account,
                subject=goal,
                detail=f"{told(waiting)}; Microsoft says: {hold.fault.message or hold.fault.error}",
                tracking_id=tracking_id,
            )

    def _clear(self, account: str, goal: str | None, codes: Sequence[Reason]) -> None:
        for code in codes:
            self.telemetry.trouble_cleared(code.value, account=account, subject=goal)


def told(waiting: Waiting) -> str:
    """How many rows wait, and when the first of them gets too old."""
    rows = f"more than {waiting.rows}" if waiting.more else str(waiting.rows)
    if waiting.first_time is None:
        return "no row waits"
    expires = text_of_seconds(UnixSeconds(waiting.first_time + MAX_AGE_SECONDS))
    return f"{rows} rows wait, the first expires at {expires}"
