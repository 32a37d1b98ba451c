"""Finds the click of each due entry, and defers what has to wait for one or can no longer count.

Which click, and until when to wait, is decided in `core.attribution`; this reads the clicks and writes the deferrals.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sidecar.core.attribution import Attributed, AttributionRules, Deferral, GoalTraits, attribute, needs_choice
from sidecar.core.entry import Entry
from sidecar.core.instant import UnixMillis
from sidecar.core.states_and_reasons import Reason, State
from sidecar.ports.delivery import Delivery
from sidecar.ports.intake import Clicks
from sidecar.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class ClickMatcher:
    """`rules` and `traits` (of an account's goal) are asked for each batch."""

    outbox: Delivery
    clicks: Clicks
    telemetry: Telemetry
    now: Callable[[], UnixMillis]
    rules: Callable[[], AttributionRules]
    traits: Callable[[str, str], GoalTraits]

    async def attribute(self, account: str, goal: str, entries: Sequence[Entry]) -> Attributed:
        """Which of `entries`, all for `goal`, may go out now, and with which click."""
        traits = self.traits(account, goal)
        undecided = [entry for entry in entries if needs_choice(entry, traits)]
        if not undecided:
            return Attributed(list(entries), [])
        return attribute(entries, await self.clicks.seen(undecided), traits, self.rules(), self.now())

    async def defer(self, goal: str, deferrals: Sequence[Deferral]) -> None:
        """Write down which entries wait for a click, and which end without one."""
        moved = await self.outbox.defer(deferrals, self.now())
        skipped = Counter(one.choice.reason for one in deferrals if moved.get(one.seq) is State.SKIPPED)
        for reason, rows in skipped.items():
            self.telemetry.delivery.settled(goal, "skipped", reason.value, n=rows)
        if skipped[Reason.NO_CLICK]:
            self.telemetry.intake.matches.seen(goal, {(): skipped[Reason.NO_CLICK]})

    def count_matched(self, goal: str, entries: Sequence[Entry]) -> None:
        """These go out: count those that only a click of their visitor lets Microsoft match."""
        only = [one for one in entries if one.visitor_id and not (one.email_sha256 or one.phone_sha256)]
        if found := sum(one.clicked_at is not None for one in only):
            self.telemetry.intake.matches.seen(goal, {("msclkid",): found})
