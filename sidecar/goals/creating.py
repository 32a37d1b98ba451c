"""Plans which goals an account lacks, and creates them."""

from collections.abc import Sequence, Set
from dataclasses import dataclass

from sidecar.core.answer import Lost, RefusedBatch
from sidecar.core.goals.creation import Creation, Exists, NewGoal
from sidecar.core.goals.goal import Catalogue, Goal, find_goal
from sidecar.core.goals.plan import Plan, plan
from sidecar.goals.known import Failure, KnownGoals
from sidecar.goals.reading import GoalReader
from sidecar.ports.errors import NotConnected
from sidecar.ports.platform import GoalPlatform
from sidecar.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class Planned:
    """What an account lacks, by goals that were just read."""

    catalogue: Catalogue
    plan: Plan


@dataclass(frozen=True, slots=True)
class CreatedGoal:
    """The result for one goal that was to be created: Microsoft's answer, or why there is none."""

    name: str
    goal: Goal | None
    """The goal as it was read afterwards; None if it is not there."""
    answer: Creation | Failure


@dataclass(frozen=True, slots=True)
class Applied:
    """The results for the goals that an account lacked."""

    made: tuple[CreatedGoal, ...]


@dataclass(frozen=True, slots=True)
class GoalCreator:
    """Compares an account's goals with the configuration, and creates what is missing."""

    known: KnownGoals
    reader: GoalReader
    platform: GoalPlatform
    telemetry: Telemetry

    async def plan(self, account: str) -> Planned | Failure:
        """Read the account's goals and return what it lacks. Other accounts of the customer are read only once."""
        catalogue = await self.reader.read(account)
        if isinstance(catalogue, Failure):
            return catalogue
        for name in self.known.siblings(account):
            if self.known.catalogue(name) is None:
                await self.reader.read(name)
        rules, shared = self.known.events(account), self.known.shared_names(account)
        others = self.known.other_goals(account)
        return Planned(catalogue, plan(rules, catalogue.goals, self.known.now(), shared, others))

    async def apply(self, account: str, names: Set[str] | None) -> Applied | Failure:
        """Create the goals that the account lacks, or those of them that are named; then read it again."""
        planned = await self.plan(account)
        if isinstance(planned, Failure):
            return planned
        new = planned.plan.goals_to_create(names)
        if not new:
            return Applied(())
        answers = await self._create(account, new)
        catalogue = await self.reader.read(account)
        goals = () if isinstance(catalogue, Failure) else catalogue.goals
        made = tuple(
            CreatedGoal(one.name, find_goal(one.name, goals), answer) for one, answer in zip(new, answers, strict=True)
        )
        for one in made:
            if one.goal is not None and not isinstance(one.answer, Exists):
                self.telemetry.service.goal_created(account, one.name)
        return Applied(made)

    async def _create(self, account: str, new: Sequence[NewGoal]) -> Sequence[Creation | Failure]:
        try:
            answers = await self.platform.create(account, new)
        except NotConnected as error:
            return [Failure(error.code, str(error))] * len(new)
        failures: dict[int, Failure] = {}
        for answer in answers:
            if isinstance(answer, RefusedBatch | Lost) and id(answer) not in failures:  # one may stand for many goals
                failures[id(answer)] = await self.reader.failed_call(account, answer)
        return [failures[id(each)] if isinstance(each, RefusedBatch | Lost) else each for each in answers]
