"""The calls under `/_emulator/`: read the ledger, script faults, change goals.

For tests only: they need no key, but calls from foreign web pages are refused.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sidecar.emulator import ad_accounts, ledger, tokens
from sidecar.emulator.ad_accounts import StoredAccount
from sidecar.emulator.admission import SlidingMinute
from sidecar.emulator.call import DAY_MS
from sidecar.emulator.clicks import add_click
from sidecar.emulator.error_bodies import Refused
from sidecar.emulator.fault_script import ActiveRule, Script
from sidecar.emulator.faults import Rule
from sidecar.emulator.goal_rules import DEFAULTS, read_goal
from sidecar.emulator.goals import StoredGoal, all_goals, insert_goal, put_mapped_goals, replace_goal
from sidecar.emulator.options import CUSTOMER_ID, Clock, EmulatorOptions
from sidecar.emulator.page_guard import HEADERS, PageGuard
from sidecar.emulator.state import State, clear
from sidecar.emulator.validation_errors import explain, suggestion

MAX_PAGE = 10_000

_Work = Callable[[web.Request], Awaitable[Any]]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


_BodyT = TypeVar("_BodyT", bound=BaseModel)


class ResetBody(_Body):
    """What to clear."""

    ledger_only: bool = False


class GoalBody(_Body):
    """A goal to add, or the changes of one. `goal` has Microsoft's names; instants are Unix milliseconds."""

    goal: dict[str, Any] = Field(default_factory=dict)
    created_at: int | None = None
    customer_id: str = ""
    account_id: str = ""


class AccountBody(_Body):
    """An account to add, or the changes of one; what is left out stays, or is made up."""

    customer_id: str | None = Field(None, pattern="^[1-9][0-9]{0,18}$")
    name: str | None = None
    number: str | None = None
    currency: str | None = None
    status: Literal["Draft", "Active", "Inactive", "Pause", "Pending", "Suspended"] | None = None


class UserBody(_Body):
    """What to change of the signed-in user."""

    role_id: int = Field(ge=0)


class ClickBody(_Body):
    """A click to register."""

    msclkid: str
    account_id: str
    clicked_at: int


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
        calls: tuple[tuple[str, str, _Work], ...] = (
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
            ("POST", "clicks", self.add_click),
            ("GET", "faults", self.faults),
            ("POST", "faults", self.add_fault),
            ("DELETE", "faults", self.clear_faults),
            ("DELETE", "faults/{id:[0-9]+}", self.remove_fault),
            ("POST", "tokens/expire", self.expire_tokens),
            ("POST", "tokens/revoke", self.revoke_tokens),
        )
        return [web.route(method, f"/_emulator/{path}", _guarded(guard, work)) for method, path, work in calls]

    async def summary(self, request: web.Request) -> Any:
        """The totals of the ledger."""
        return await self.state.transact(ledger.summary)

    async def ledger(self, request: web.Request) -> Any:
        """`?account=&after=&limit=`: a page, oldest first."""
        table, account = request.match_info["table"], request.query.get("account")
        after, limit = _number(request, "after", 0), max(1, min(_number(request, "limit", 1_000), MAX_PAGE))
        return await self.state.transact(lambda db: ledger.page(db, table, account, after, limit))

    async def reset(self, request: web.Request) -> Any:
        """Clears ledger, faults and pace, and unless `ledger_only` sign-ins, accounts, goals, properties and clicks."""
        body = await _read(request, ResetBody)
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
        given = await _read(request, GoalBody)
        body = DEFAULTS | {"GoalCategory": "Other"} | (read_goal(given.goal) or {})
        if not body.get("Name"):
            raise InvalidCall(["goal.Name: is needed"])
        created_at = self.clock() - 30 * DAY_MS if given.created_at is None else given.created_at
        owner = given.customer_id, given.account_id
        return {"id": await self.state.transact(lambda db: insert_goal(db, *owner, body, created_at))}

    async def change_goal(self, request: web.Request) -> Any:
        """Changes members of a goal, or its age."""
        given = await _read(request, GoalBody)
        found = {goal.id: goal for goal in await self.state.transact(all_goals)}.get(int(request.match_info["id"]))
        if found is None:
            raise InvalidCall(["there is no goal of that id"], status=404)
        created_at = found.created_at if given.created_at is None else given.created_at
        changed = replace(found, body=found.body | (read_goal(given.goal) or {}), created_at=created_at)
        await self.state.transact(lambda db: replace_goal(db, changed))
        return _goal(changed)

    async def accounts(self, request: web.Request) -> Any:
        """Every account that the user can reach."""
        return {"items": [_account(one) for one in await self.state.transact(ad_accounts.visible_accounts)]}

    async def put_account(self, request: web.Request) -> Any:
        """Lets the user reach an account, or changes one."""
        given = (await _read(request, AccountBody)).model_dump(exclude_none=True)
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
        body = await _read(request, UserBody)
        await self.state.transact(lambda db: ad_accounts.set_role(db, body.role_id))
        return {}

    async def add_click(self, request: web.Request) -> Any:
        """Registers a click: its conversions are checked against its time and account from now on."""
        click = await _read(request, ClickBody)
        await self.state.transact(lambda db: add_click(db, click.msclkid, click.account_id, click.clicked_at))
        return {}

    async def faults(self, request: web.Request) -> Any:
        """Every rule, with how often it matched and fired."""
        return {"items": [_active_rule(active) for active in self.script.active]}

    async def add_fault(self, request: web.Request) -> Any:
        """Adds a rule."""
        rule = await _read(request, Rule)
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


def _guarded(guard: PageGuard, work: _Work) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The handler that answers with `work`, behind the guard."""

    async def handle(request: web.Request) -> web.StreamResponse:
        refusal = guard.refusal(request.headers)
        response = await _answer(work, request) if refusal is None else _errors(refusal[0], refusal[1])
        response.headers.update(HEADERS)
        return response

    return handle


async def _answer(work: _Work, request: web.Request) -> web.Response:
    """The result of `work` as JSON, or the problems of the request as 400 or 422."""
    try:
        return web.json_response(await work(request))
    except InvalidCall as error:
        return _errors(error.status, *error.texts)
    except Refused as refused:
        return _errors(422, refused.detail or refused.code.message)
    except OverflowError:
        return _errors(400, "a number is too large")
    except ValueError as error:
        return _errors(400, str(error))


def _errors(status: int, *texts: str) -> web.Response:
    return web.json_response({"errors": texts}, status=status)


class InvalidCall(Exception):
    """The call is invalid; `texts` has a sentence for each problem."""

    def __init__(self, texts: list[str], status: int = 422) -> None:
        super().__init__(*texts)
        self.texts = texts
        self.status = status


def _number(request: web.Request, name: str, default: int) -> int:
    """A whole number from the query."""
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdigit()):
        raise InvalidCall([f"{name}: must be a whole number"], status=400)
    return int(text)


async def _read(request: web.Request, model: type[_BodyT]) -> _BodyT:
    try:
        return model.model_validate_json(await request.read() or b"{}")
    except ValidationError as error:
        raise InvalidCall(explain(error, model)) from None


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
