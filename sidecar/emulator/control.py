"""The calls under `/_emulator/`: read the ledger, script faults, change goals.

For tests only: they need no key, but calls from foreign web pages are refused.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from aiohttp import web
from pydantic import Field

from sidecar.emulator import ad_accounts, ledger, tokens
from sidecar.emulator.ad_accounts import StoredAccount
from sidecar.emulator.admission import SlidingMinute
from sidecar.emulator.attribution_control import AttributionControl
from sidecar.emulator.call import DAY_MS
from sidecar.emulator.control_calls import (
    ControlBody,
    ControlCall,
    InvalidCall,
    control_routes,
    read_body,
    whole_number,
)
from sidecar.emulator.fault_script import ActiveRule, Script
from sidecar.emulator.faults import Rule
from sidecar.emulator.goal_rules import DEFAULTS, read_control_goal
from sidecar.emulator.goals import StoredGoal, all_goals, insert_goal, put_mapped_goals, replace_goal
from sidecar.emulator.options import CUSTOMER_ID, Clock, EmulatorOptions
from sidecar.emulator.page_guard import PageGuard
from sidecar.emulator.state import State, clear
from sidecar.emulator.validation_errors import suggestion

MAX_PAGE = 10_000


class ResetBody(ControlBody):
    """What to clear."""

    ledger_only: bool = False


class GoalBody(ControlBody):
    """A goal to add, or the changes of one. `goal` has Microsoft's names; instants are Unix milliseconds."""

    goal: dict[str, Any] = Field(default_factory=dict)
    created_at: int | None = None
    customer_id: str = ""
    account_id: str = ""


class AccountBody(ControlBody):
    """An account to add, or the changes of one; what is left out stays, or is made up."""

    customer_id: str | None = Field(None, pattern="^[1-9][0-9]{0,18}$")
    name: str | None = None
    number: str | None = None
    currency: str | None = None
    status: Literal["Draft", "Active", "Inactive", "Pause", "Pending", "Suspended"] | None = None


class UserBody(ControlBody):
    """What to change of the signed-in user."""

    role_id: int = Field(ge=0)


@dataclass(frozen=True, slots=True)
class Control:
    """Handles the control calls."""

    options: EmulatorOptions
    state: State
    script: Script
    pace: SlidingMinute
    clock: Clock
    operations: Sequence[str]
    """The operations that a rule may name."""

    def routes(self) -> list[web.RouteDef]:
        """The routes of all calls, behind the guard against web pages."""
        guard = PageGuard.of(self.options)
        calls: tuple[ControlCall, ...] = (
            ("GET", "summary", self.summary),
            ("GET", "ledger/{table:conversions|adjustments|requests}", self.ledger),
            ("POST", "reset", self.reset),
            ("GET", "goals", self.goals),
            ("POST", "goals", self.add_goal),
            ("PATCH", "goals/{id:[0-9]+}", self.change_goal),
            ("GET", "accounts", self.accounts),
            ("PUT", "accounts/{id:[1-9][0-9]{0,18}}", self.put_account),
            ("DELETE", "accounts/{id:[0-9]+}", self.remove_account),
            ("PUT", "user", self.change_user),
            ("GET", "faults", self.faults),
            ("POST", "faults", self.add_fault),
            ("DELETE", "faults", self.clear_faults),
            ("DELETE", "faults/{id:[0-9]+}", self.remove_fault),
            ("POST", "tokens/expire", self.expire_tokens),
            ("POST", "tokens/revoke", self.revoke_tokens),
        )
        return control_routes(guard, (*calls, *AttributionControl(self.state, self.clock).calls()))

    async def summary(self, request: web.Request) -> Any:
        """The totals of the ledger."""
        return await self.state.transact(ledger.summary)

    async def ledger(self, request: web.Request) -> Any:
        """`?account=&after=&limit=`: a page, oldest first."""
        table, account = request.match_info["table"], request.query.get("account")
        after, limit = whole_number(request, "after", 0), max(1, min(whole_number(request, "limit", 1_000), MAX_PAGE))
        return await self.state.transact(lambda db: ledger.page(db, table, account, after, limit))

    async def reset(self, request: web.Request) -> Any:
        """Clears ledger, faults and pace, and unless `ledger_only` sign-ins, accounts, goals, properties and clicks."""
        body = await read_body(request, ResetBody)
        self.script.clear()
        self.pace.clear()
        await self.state.transact(lambda db: clear(db, ledger_only=body.ledger_only))
        await self.state.transact(lambda db: put_mapped_goals(db, self.options.goals, self.clock()))
        await self.state.transact(lambda db: ad_accounts.put_accounts(db, self.options))
        return {}

    async def goals(self, request: web.Request) -> Any:
        """Every goal of every account."""
        return {"items": [_goal(goal) for goal in await self.state.transact(all_goals)]}

    async def add_goal(self, request: web.Request) -> Any:
        """Adds a goal for one account, or for every one, with any age."""
        given = await read_body(request, GoalBody)
        body = DEFAULTS | {"GoalCategory": "Other"} | read_control_goal(given.goal)
        if not body.get("Name"):
            raise InvalidCall(["goal.Name: is needed"])
        created_at = self.clock() - 30 * DAY_MS if given.created_at is None else given.created_at
        owner = given.customer_id, given.account_id
        return {"id": await self.state.transact(lambda db: insert_goal(db, *owner, body, created_at))}

    async def change_goal(self, request: web.Request) -> Any:
        """Changes members of a goal, or its age."""
        given = await read_body(request, GoalBody)
        found = {goal.id: goal for goal in await self.state.transact(all_goals)}.get(int(request.match_info["id"]))
        if found is None:
            raise InvalidCall(["there is no goal of that id"], status=404)
        created_at = found.created_at if given.created_at is None else given.created_at
        changed = replace(found, body=found.body | read_control_goal(given.goal), created_at=created_at)
        await self.state.transact(lambda db: replace_goal(db, changed))
        return _goal(changed)

    async def accounts(self, request: web.Request) -> Any:
        """Every account that the user can reach."""
        return {"items": [_account(one) for one in await self.state.transact(ad_accounts.visible_accounts)]}

    async def put_account(self, request: web.Request) -> Any:
        """Lets the user reach an account, or changes one."""
        given = (await read_body(request, AccountBody)).model_dump(exclude_none=True)
        account_id = request.match_info["id"]
        known = await self.state.transact(lambda db: ad_accounts.find_account(db, account_id))
        account = replace(known or StoredAccount(account_id, CUSTOMER_ID), **given, is_visible=True).filled()
        await self.state.transact(lambda db: ad_accounts.replace_account(db, account))
        return _account(account)

    async def remove_account(self, request: web.Request) -> Any:
        """Takes an account away from the user."""
        account_id = request.match_info["id"]
        known = await self.state.transact(lambda db: ad_accounts.find_account(db, account_id))
        if known is None or not known.is_visible:
            raise InvalidCall(["the user reaches no account of that id"], status=404)
        await self.state.transact(lambda db: ad_accounts.replace_account(db, replace(known, is_visible=False)))
        return {}

    async def change_user(self, request: web.Request) -> Any:
        """Gives the user another role, for every customer."""
        body = await read_body(request, UserBody)
        await self.state.transact(lambda db: ad_accounts.set_role(db, body.role_id))
        return {}

    async def faults(self, request: web.Request) -> Any:
        """Every rule, with how often it matched and fired."""
        return {"items": [_active_rule(active) for active in self.script.active]}

    async def add_fault(self, request: web.Request) -> Any:
        """Adds a rule."""
        rule = await read_body(request, Rule)
        if (operation := rule.match.operation) is not None and operation not in self.operations:
            raise ValueError(f"match.operation: is not known; {suggestion(operation, self.operations)}")
        return _active_rule(self.script.add(rule))

    async def clear_faults(self, request: web.Request) -> Any:
        """Removes all rules."""
        self.script.clear()
        return {}

    async def remove_fault(self, request: web.Request) -> Any:
        """Removes one rule."""
        if not self.script.remove(int(request.match_info["id"])):
            raise InvalidCall(["there is no rule of that id"], status=404)
        return {}

    async def expire_tokens(self, request: web.Request) -> Any:
        """Expires every access token."""
        return {"expired": await self.state.transact(lambda db: tokens.expire_access_tokens(db, self.clock()))}

    async def revoke_tokens(self, request: web.Request) -> Any:
        """Revokes every refresh token but the seed."""
        return {"revoked": await self.state.transact(tokens.revoke_refresh_tokens)}


def _goal(goal: StoredGoal) -> dict[str, Any]:
    return {
        "id": goal.id,
        "customer_id": goal.customer_id,
        "account_id": goal.account_id,
        "created_at": goal.created_at,
        "goal": goal.body,
    }


def _account(account: StoredAccount) -> dict[str, Any]:
    return {name: value for name, value in asdict(account).items() if name != "is_visible"}


def _active_rule(active: ActiveRule) -> dict[str, Any]:
    rule = active.rule.model_dump(mode="json")
    return {"id": active.id, "matched": active.matched, "fired": active.fired, "rule": rule}
