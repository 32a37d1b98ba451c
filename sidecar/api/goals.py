"""GET /v1/goals, POST /v1/goals/plan and /v1/goals/apply: what goals there are, what is lacking, and creating it."""

from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import asdict, dataclass, replace
from typing import Any

from aiohttp import web

from sidecar.api.http.problem import invalid
from sidecar.api.http.reply import Json, json_reply
from sidecar.api.request.body import BodyLimits, check, object_in, read_body
from sidecar.api.request.query import read, text
from sidecar.api.row_json import goal_words
from sidecar.api.row_members import number
from sidecar.core.did_you_mean import did_you_mean
from sidecar.core.goals.creation import Created, Exists, NotCreated
from sidecar.core.goals.goal import Goal, Revenue
from sidecar.core.goals.mapping import Mapped, MappingState
from sidecar.core.goals.plan import NAME_TAKEN, Blocked, Missing, window_text
from sidecar.core.goals.rule import GoalRule
from sidecar.core.instant import text_of_millis, text_or_none
from sidecar.core.intake.fields import one_of, string
from sidecar.core.intake.json_object import Shape
from sidecar.core.intake.problem import Problem, Refusal, listed
from sidecar.goals.creating import Applied, CreatedGoal, GoalCreator, Planned
from sidecar.goals.known import AccountGoals, Failure, KnownGoals
from sidecar.troubles import CATALOGUE

PLAN = APPLY = Shape("", frozenset(("account", "goals")))

_UNREAD = "The goals of this account were not read yet."


@dataclass(frozen=True, slots=True)
class GoalCalls:
    """Answers about goals; `accounts` and `settle_millis` are called for each request."""

    known: KnownGoals
    creator: GoalCreator
    accounts: Callable[[], Sequence[str]]
    settle_millis: Callable[[], int]
    limits: BodyLimits

    async def get(self, request: web.Request) -> web.Response:
        """The goals of each account as last read, with the state of each event's goal; or of one account or goal."""
        settle, accounts = self.settle_millis(), self.accounts()
        query = read(request.query.items(), {"account": one_of(accounts, "unknown_account", "accounts"), "goal": text})
        account, goal = query.get("account"), query.get("goal")
        standing = [self.known.account_goals(name) for name in ([account] if account else accounts)]
        if goal is not None:
            _refuse_unknown({goal}, {name for one in standing for name in _names_of(one)}, "goal")
            standing = [_only(goal, one) for one in standing]
        return _items([_account(one, settle) for one in standing])

    async def plan(self, request: web.Request) -> web.Response:
        """What each account lacks, or of that only the goals that are named, by a new reading; changes nothing."""
        asked = await self._asked(request, PLAN)
        return _items([_plan(account, await self.creator.plan(account), asked.goals) for account in asked.accounts])

    async def apply(self, request: web.Request) -> web.Response:
        """Create what each account lacks, or of that only the goals that are named."""
        asked = await self._asked(request, APPLY)
        settle = self.settle_millis()
        return _items(
            [_applied(account, await self.creator.apply(account, asked.goals), settle) for account in asked.accounts]
        )

    async def _asked(self, request: web.Request, shape: Shape) -> "Asked":
        asked = read_asked(await read_body(request, self.limits), shape, self.accounts())
        wanted = {rule.name for account in asked.accounts for rule in self.known.events(account).values()}
        _refuse_unknown(asked.goals or set(), wanted, "goals")
        return asked


@dataclass(frozen=True, slots=True)
class Asked:
    """The accounts that a request is about, and the names of the goals; None for all that are lacking."""

    accounts: Sequence[str]
    goals: Set[str] | None


def read_asked(body: bytes, shape: Shape, accounts: Sequence[str]) -> Asked:
    """What a body of that shape asks for; HttpProblem with everything that is wrong with it."""
    members = object_in(body, shape)
    account = members.take("account", one_of(accounts, "unknown_account", "accounts"))
    goals = members.take("goals", _names)
    check(members)
    return Asked(accounts if account is None else (account,), goals)


def _names(value: Any) -> Set[str]:
    if not isinstance(value, list):
        raise Refusal("not_an_array", "must be an array of names")
    return {string(name) for name in value}


def _refuse_unknown(goals: Set[str], known: Set[str], field: str) -> None:
    """A goal that no event is mapped to is a typo: it must not pass for one that lacks nothing."""
    unknown = sorted(goals - known)
    if unknown:
        near = did_you_mean(unknown[0], sorted(known))
        hint = f"did you mean {near}?" if near else f"there are {listed(sorted(known))}"
        raise invalid([Problem(field, "unknown_goal", f"no event is mapped to a goal of that name; {hint}")])


def _names_of(standing: AccountGoals) -> Iterable[str]:
    read = standing.catalogue
    return {goal.name for goal in (read.goals if read else ())} | {rule.name for rule, _ in standing.events.values()}


def _only(goal: str, standing: AccountGoals) -> AccountGoals:
    """The account with nothing but that goal, and the events that are mapped to it."""
    read = standing.catalogue
    goals = () if read is None else tuple(each for each in read.goals if each.name == goal)
    events = {event: found for event, found in standing.events.items() if found[0].name == goal}
    return replace(standing, catalogue=read and replace(read, goals=goals), events=events)


def _items(items: list[Json]) -> web.Response:
    """As every list; it has one page."""
    return json_reply({"items": items, "next_cursor": None})


def _account(standing: AccountGoals, settle_millis: int) -> Json:
    read = standing.catalogue
    goals = sorted(read.goals if read else (), key=lambda goal: (goal.name.casefold(), goal.name, goal.id))
    return {
        "account": standing.account,
        "read_at": text_of_millis(read.read_at) if read else None,
        "trouble": _trouble(standing.failure),
        "auto_tagging": read.auto_tagging if read else None,
        "goals": [_goal(goal, settle_millis) for goal in goals],
        "events": [_event(event, rule, mapped) for event, (rule, mapped) in standing.events.items()],
    }


def _goal(goal: Goal, settle_millis: int) -> Json:
    return {
        "id": goal.id,
        "name": goal.name,
        "type": goal.type,
        "status": goal.status,
        "category": goal.category,
        "count_type": goal.count_type,
        "window": None if goal.window_seconds is None else window_text(goal.window_seconds),
        "revenue": None if goal.revenue is None else _revenue(goal.revenue),
        "enhanced": goal.enhanced,
        "externally_attributed": goal.externally_attributed,
        "first_seen_at": text_or_none(goal.first_seen_at),
        "settles_at": text_or_none(goal.settles_at(settle_millis)),
    }


def _revenue(revenue: Revenue) -> Json:
    value = None if revenue.value is None else number(revenue.value)
    return {"type": revenue.type, "value": value, "currency": revenue.currency}


def _event(event: str, rule: GoalRule, mapped: Mapped) -> Json:
    trouble = CATALOGUE.get(NAME_TAKEN if mapped.owner else mapped.state)
    unread = _UNREAD if mapped.state is MappingState.UNKNOWN else None
    return {
        "event": event,
        "goal": rule.name,
        "state": mapped.state,
        "did_you_mean": mapped.near,
        "settles_at": text_or_none(mapped.settles_at),
        "message": goal_words(mapped, trouble) if trouble else unread,
        "fix": trouble.solution if trouble else None,
    }


def _plan(account: str, planned: Planned | Failure, goals: Set[str] | None) -> Json:
    """The plan, or only what it has of these goals."""
    failure = planned if isinstance(planned, Failure) else None
    found = planned.plan if isinstance(planned, Planned) else None
    found = found.only(goals) if found and goals is not None else found
    return {
        "account": account,
        "read_at": text_of_millis(planned.catalogue.read_at) if isinstance(planned, Planned) else None,
        "trouble": _trouble(failure),
        "create": [_missing(missing) for missing in found.missing] if found else [],
        "differences": [asdict(difference) for difference in found.differences] if found else [],
        "blocked": [_blocked(account, blocked) for blocked in found.blocked] if found else [],
    }


def _missing(missing: Missing) -> Json:
    goal = missing.goal
    return {
        "goal": goal.name,
        "events": list(missing.events),
        "category": goal.category,
        "count_type": goal.count_type,
        "window": window_text(goal.window_seconds),
        "revenue": _revenue(goal.revenue),
        "enhanced": goal.enhanced,
        "scope": goal.scope,
        "assumed": list(missing.assumed),
        "did_you_mean": missing.near,
    }


def _blocked(account: str, blocked: Blocked) -> Json:
    trouble = CATALOGUE[blocked.state]
    owner = f" It is account {blocked.owner}." if blocked.owner else ""
    return {
        "goal": blocked.goal,
        "events": list(blocked.events),
        "state": blocked.state,
        "message": trouble.cause + owner,
        "fix": trouble.solution.replace("<account>", account).replace("<event>", blocked.events[0]),
    }


def _applied(account: str, applied: Applied | Failure, settle_millis: int) -> Json:
    failure = applied if isinstance(applied, Failure) else None
    made = applied.made if isinstance(applied, Applied) else ()
    return {"account": account, "trouble": _trouble(failure), "goals": [_made(each, settle_millis) for each in made]}


def _made(made: CreatedGoal, settle_millis: int) -> Json:
    """The result for a goal: where it exists now the call succeeded, even if Microsoft answered otherwise."""
    answer, goal = made.answer, made.goal
    details: Json = {"error": None, "message": None, "fix": None}
    if goal is not None:
        outcome = "exists" if isinstance(answer, Exists) else "created"
    elif isinstance(answer, Created):
        outcome, details["message"] = "created", "Microsoft does not list it yet."
    elif isinstance(answer, Failure):
        outcome, trouble = "refused" if answer.error else "unknown", CATALOGUE.get(answer.trouble)
        fix = trouble.solution if trouble else None
        details = {"error": answer.error or answer.trouble, "message": answer.detail, "fix": fix}
    else:
        outcome, details = "refused", _refused(answer)
    created_id = answer.id if isinstance(answer, Created) else None
    return {
        "goal": made.name,
        "outcome": outcome,
        "id": goal.id if goal else created_id,
        "first_conversion_at": text_or_none(goal.settles_at(settle_millis)) if goal else None,
        **details,
    }


def _refused(answer: Exists | NotCreated) -> Json:
    fault = answer.fault
    trouble = CATALOGUE[NAME_TAKEN if isinstance(answer, Exists) else "goal_not_created"]
    return {"error": fault.error, "message": fault.message, "fix": trouble.solution}


def _trouble(failure: Failure | None) -> Json | None:
    if failure is None:
        return None
    known = CATALOGUE.get(failure.trouble)
    message = f"{known.title} ({failure.detail})" if known else failure.detail
    return {"code": failure.trouble, "message": message, "fix": known.solution if known else ""}
