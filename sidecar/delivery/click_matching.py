"""Finds the click of each due entry, and sets aside what has to wait for one or can no longer count.

Which click, and until when to wait, is decided in `core.attribution`; this carries it out.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sidecar.core.attribution import AttributionRules, GoalTraits, SendConversion, decide, needs_choice, with_choice
from sidecar.core.entry import Entry, Reason, State
from sidecar.core.instant import UnixMillis
from sidecar.ports.delivery import Deferral
from sidecar.ports.intake import Clicks
from sidecar.ports.outbox import Outbox
from sidecar.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class ClickMatcher:
    """`rules` and `traits` (of an account's goal) are asked anew for each batch."""

    outbox: Outbox
    clicks: Clicks
    telemetry: Telemetry
    now: Callable[[], UnixMillis]
    rules: Callable[[], AttributionRules]
    traits: Callable[[str, str], GoalTraits]

    async def sendable(self, account: str, goal: str, entries: Sequence[Entry]) -> list[Entry]:
        """Those of `entries`, all for `goal`, that may go out now, with the click they go out with."""
        traits = self.traits(account, goal)
        open_ = [entry for entry in entries if needs_choice(entry, traits)]
        if not open_:
            return list(entries)
        seen, rules, now = await self.clicks.seen(open_), self.rules(), self.now()
        chosen = {entry.seq: decide(entry, seen.get(entry.seq), traits, rules, now) for entry in open_}
        deferrals = []
        kept = []
        for entry in entries:
            match chosen.get(entry.seq):
                case None:
                    kept.append(entry)
                case SendConversion() as choice:
                    kept.append(with_choice(entry, choice, seen.get(entry.seq)))
                case choice:
                    click = seen.get(entry.seq)
                    deferrals.append(Deferral(entry.seq, choice, click.clicked_at if click else None))
        if deferrals:
            self._tell(goal, deferrals, await self.outbox.defer(deferrals, now))
        return kept

    def found(self, goal: str, entries: Sequence[Entry]) -> None:
        """These go out: tell of those that only a click of their visitor lets Microsoft match."""
        found = sum(_by_visitor_alone(entry) and entry.clicked_at is not None for entry in entries)
        if found:
            self.telemetry.intake.matches.seen(goal, {("msclkid",): found})

    def _tell(self, goal: str, deferrals: Sequence[Deferral], moved: Mapping[int, State]) -> None:
        skipped = Counter(aside.choice.reason for aside in deferrals if moved.get(aside.seq) is State.SKIPPED)
        for reason, rows in skipped.items():
            self.telemetry.delivery.settled(goal, "skipped", reason.value, n=rows)
        if skipped[Reason.NO_CLICK]:
            self.telemetry.intake.matches.seen(goal, {(): skipped[Reason.NO_CLICK]})


def _by_visitor_alone(entry: Entry) -> bool:
    return entry.visitor_id is not None and entry.email_sha256 is None and entry.phone_sha256 is None
