"""What follows from a list of goals: rows that would be lost are held back, and troubles are raised and cleared."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sidecar.core.goals.mapping import Mapped, MappingState
from sidecar.core.instant import text_of_millis
from sidecar.core.waiting_summary import Waiting, in_words
from sidecar.delivery.account_state import GoalHold
from sidecar.delivery.gates import Gates
from sidecar.goals.known import KnownGoals
from sidecar.ports.queries import Queries
from sidecar.telemetry import ActiveTrouble, Telemetry
from sidecar.troubles import Scope


@dataclass(frozen=True, slots=True)
class GoalJudge:
    """Judges the goals of an account by what is known of them."""

    known: KnownGoals
    queries: Queries
    gates: Gates
    telemetry: Telemetry

    def hold_goals(self, account: str) -> dict[str, Mapped]:
        """Hold the rows that Microsoft would drop, and release all others. Returns how each goal is mapped."""
        mapped = self.known.mapped_goals(account)
        holds = {
            goal: GoalHold(one.holds, one.state.value, one.settles_at)
            for goal, one in mapped.items()
            if one.holds is not None
        }
        self.gates.hold_goals(account, holds)
        return mapped

    async def report(self, account: str) -> None:
        """Raise the troubles that the account's goals have now, and clear those that are over.

        One report at a time: an older one must not clear what a newer one raised.
        """
        async with self.known.states[account].reporting:
            self._report(account, await self._troubles(account, self.known.mapped_goals(account)))

    def _report(self, account: str, found: Mapping[tuple[str, str], tuple[str | None, str | None]]) -> None:
        catalogue = self.known.catalogue(account)  # a reading or a reload may have come while rows were counted
        if catalogue is None:
            return
        mapped = self.known.mapped_goals(account)
        found = {(code, goal): told for (code, goal), told in found.items() if _is_in(code, mapped.get(goal))}
        for active in self.telemetry.board.active(account=account):
            is_found = active.trouble.scope is not Scope.GOAL or (active.code, active.subject) in found
            if not is_found and not self._comes_from_an_answer(account, active, mapped):
                self.telemetry.service.trouble_cleared(active.code, account=account, subject=active.subject)
        for (code, goal), (hint, waiting) in found.items():
            self.telemetry.service.trouble_raised(code, account=account, subject=goal, detail=hint, waiting=waiting)
        if catalogue.auto_tagging is False:
            self.telemetry.service.trouble_raised("auto_tagging_off", account=account)
        elif catalogue.auto_tagging is True:
            self.telemetry.service.trouble_cleared("auto_tagging_off", account=account)

    async def _troubles(
        self, account: str, mapped: Mapping[str, Mapped]
    ) -> dict[tuple[str, str], tuple[str | None, str | None]]:
        """Return a hint and what waits, by code and goal: for goals that events of the account or waiting rows need."""
        wanted = {rule.name for rule in self.known.events(account).values()}
        found = {}
        for goal, one in mapped.items():
            waiting = await self._at_stake(account, goal) if one.holds is not None else None
            if one.state.is_trouble and (goal in wanted or (waiting and waiting.rows)):
                found[one.state.value, goal] = _hint(one), in_words(waiting) if waiting else None
        return found

    def _comes_from_an_answer(self, account: str, active: ActiveTrouble, mapped: Collection[str]) -> bool:
        """Return whether the trouble is Microsoft's answer to rows of a goal that looks right in the list.

        `mapped` are the goals that some event or waiting row needs.
        """
        goal = active.subject or ""
        is_held = self.gates.hold_of(account, goal) is not None
        return not is_held and self.gates.refusal_reason(account, goal) == active.code and goal in mapped

    async def _at_stake(self, account: str, goal: str) -> Waiting:
        """Return the waiting rows of the goal's events, or those frozen for it if it has no events any more."""
        events = {event for event, rule in self.known.all_events(account).items() if rule.name == goal}
        lanes = [lane for lane in await self.queries.lanes_of(account) if lane.event in events]
        waiting = await self.queries.at_stake(lanes)
        return waiting if waiting.rows else self.known.states[account].waiting.get(goal, waiting)


def _is_in(state: str, one: Mapped | None) -> bool:
    return one is not None and one.state == state


def _hint(one: Mapped) -> str | None:
    match one.state:
        case MappingState.NOT_FOUND if one.owner:
            return f"account {one.owner} has a goal of that name for itself alone, and names are unique per customer"
        case MappingState.NOT_FOUND:
            return f"did you mean {one.near}?" if one.near else None
        case MappingState.WRONG_TYPE:
            return f"its type is {one.goal.type}" if one.goal else None
        case MappingState.SETTLING:
            return f"until {text_of_millis(one.settles_at)}" if one.settles_at else None
        case _:
            return None
