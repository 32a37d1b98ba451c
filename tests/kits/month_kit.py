"""A shop whose backend, shoppers and marketing people live a month: the sidecar with its HTTP edge, on a stopped clock.

The clock stands still until the sidecar has nothing more to do at that moment; only then does time move on.
"""

import asyncio
import contextlib
import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import aiohttp
import month_model as model
from delivery_kit import MICROSOFT, Clock, Rig
from month_history import Click, History, Refund, Sale
from place_kit import OutboxPlace

from sidecar.api.application import make_app, serving
from sidecar.core.entry import Lane
from sidecar.core.instant import UnixMillis
from sidecar.delivery.gates import GoalGate
from sidecar.emulator import Emulator, EmulatorOptions, MappedGoal
from sidecar.emulator.clicks import add_click
from sidecar.emulator.goals import all_goals, replace_goal
from sidecar.service.http import _api
from sidecar.service.runtime import Runtime

CONFIG = (
    MICROSOFT
    + """
accounts:
  main:  {{customer_id: "100000001", account_id: "200000001"}}
  other: {{customer_id: "100000001", account_id: "200000002"}}
events:
  purchase: {{goal: Shop Order, currency: USD}}
  lead: {{goal: Shop Lead, account: main}}
  signup: {{goal: Shop Signup, account: main, value: 12.5, currency: EUR, window: 14d, enhanced: false}}
"""
)

GOALS = (
    MappedGoal(name="Shop Order", window_minutes=30 * 24 * 60),
    MappedGoal(name="Shop Lead", category="SubmitLeadForm", window_minutes=7 * 24 * 60, revenue="NoValue"),
)

TOKENS_LAST = 86_400
"""Seconds that an access token is good for: each day one of them is refused, and renewed."""

PAGE = 10_000


# In one statement, hence at one moment: a row that is just being claimed must be seen as due or as on its way.
HAS_ROWS = """
    SELECT EXISTS (
        SELECT 1 FROM batches WHERE settled_at IS NULL
        AND (leased = 1 OR due_at <= :now AND account IN ({accounts}))
    ) OR EXISTS (
        SELECT 1 FROM entries WHERE lane IN ({lanes}) AND again IN (0, 1)
        AND due_at <= :now AND state = 'pending' AND claimed = 0)"""


@dataclass
class Shop:
    """One month of it."""

    history: History
    rig: Rig
    session: aiohttp.ClientSession
    url: str
    sales_answered: Counter[str] = field(default_factory=Counter)
    refunds_answered: Counter[str] = field(default_factory=Counter)
    captured: int = 0

    async def live(self) -> None:
        """The whole month, step by step."""
        clicks, refunds = _by_step(self.history.clicks), _by_step(self.history.refunds)
        sales = _by_step(
            replace(sale, posted=step) for sale in self.history.sales for step in (sale.posted, *sale.again)
        )
        for step in range(self.history.steps):
            await self._move_on(step)
            await self._post("clicks", [click_body(click) for click in clicks[step]], self._clicks)
            await self._post("conversions", [sale_body(sale) for sale in sales[step]], self._sales)
            await refund(self, refunds[step])

    # --- Time --------------------------------------------------------------------------------------------------------

    async def _move_on(self, step: int) -> None:
        await self._before(step)
        self.rig.clock.offset = self.history.time(step) * 1000
        await self._at(step)
        self.rig.parts.catalogue.wake()
        await _until(self._has_read_goals)
        self.rig.wake_couriers()
        await self.rest()

    async def rest(self) -> None:
        """Until the sidecar has nothing to do at this moment."""
        await _until(self._rests)

    async def _rests(self) -> bool:
        return await self._has_read_goals() and not await self._has_rows()

    async def _has_read_goals(self) -> bool:
        catalogue = self.rig.parts.catalogue
        states = [catalogue.known.states[account] for account in self.rig.config.accounts]
        return not any(state.reading.locked() or catalogue.reader.is_due(state) for state in states)

    async def _has_rows(self) -> bool:
        """Whether rows are on their way, or are due and nothing holds them."""
        now = self.rig.clock()
        accounts = [name for name in self.rig.config.accounts if self.rig.parts.gates.lets_out(name, now)]
        lanes = [
            lane.id
            for lane in await self.rig.parts.store.outbox.lanes()
            if lane.account in accounts and self._is_open(lane, now)
        ]
        listed = ", ".join(f"'{account}'" for account in accounts) or "NULL"
        query = HAS_ROWS.format(accounts=listed, lanes=", ".join(map(str, lanes)) or "NULL")
        return bool(self.rig.place.scalar(query, {"now": now}))

    def _is_open(self, lane: Lane, now: UnixMillis) -> bool:
        goal = self.rig.config.events[lane.event].goal
        return self.rig.parts.gates.goal(lane.account, goal, now) is not GoalGate.CLOSED

    # --- What people do ----------------------------------------------------------------------------------------------

    async def _before(self, step: int) -> None:
        """What shuts something: it is found out before time goes on."""
        story, parts = self.history.story, self.rig.parts
        if step == story.paused:
            await self._change_goal("Shop Lead", Status="Paused")
        elif step == story.renamed:
            await self._change_goal("Shop Lead", Name=model.LEAD_RENAMED)
        elif step == story.revoked:
            await self.rig.revoke_sign_in()
            await self.rig.expire_tokens()
        else:
            return
        await parts.catalogue.reader.read("main")
        await parts.catalogue.reader.read("other")

    async def _at(self, step: int) -> None:
        """What opens something."""
        story = self.history.story
        if step == story.created:
            await self._apply_goals()
        elif step == story.resumed:
            await self._change_goal("Shop Lead", Status="Active")
        elif step == story.reloaded:
            self.rig.map(lead=model.LEAD_RENAMED)
        elif step == story.signed_in:
            await self.rig.sign_in()

    async def _change_goal(self, name: str, **members: Any) -> None:
        def change(db: sqlite3.Connection) -> None:
            [goal] = [goal for goal in all_goals(db) if goal.body["Name"] == name]
            replace_goal(db, replace(goal, body=goal.body | members))

        await self.rig.emulator._state().transact(change)

    async def _apply_goals(self) -> None:
        answer = await self.call("goals/apply", {"account": "main"})
        [made] = answer["items"][0]["goals"]
        assert made["goal"] == "Shop Signup", answer

    # --- What the backend posts --------------------------------------------------------------------------------------

    async def call(self, path: str, body: Any) -> Any:
        """The answer of the API, which is a good one."""
        async with self.session.post(f"{self.url}/v1/{path}", json=body) as answer:
            told = await answer.json()
            assert answer.status in (200, 202, 207), (answer.status, told)
            return told

    async def _post(self, path: str, bodies: Sequence[dict[str, Any]], count: Any) -> None:
        for first in range(0, len(bodies), 1_000):
            answer = await self.call(path, bodies[first : first + 1_000])
            for result in answer["results"]:
                assert result["status"] in (200, 202), result
                count(result)
            await self.rest()

    def _clicks(self, result: dict[str, Any]) -> None:
        self.captured += result["captured"]

    def _sales(self, result: dict[str, Any]) -> None:
        if result["status"] == 202:
            self.sales_answered["stored"] += 1
        else:
            self.sales_answered["replayed" if "id" in result else result["reason"]] += 1

    # --- What became of it -------------------------------------------------------------------------------------------

    async def ledger(self, table: str) -> list[dict[str, Any]]:
        """Everything in one of Microsoft's books, oldest first."""
        items: list[dict[str, Any]] = []
        after: int | None = 0
        while after is not None:
            page = await self.rig.emulator.ledger(table, after=after, limit=PAGE)
            items += page["items"]
            after = page["next_after"]
        return items


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await holds():
            await asyncio.sleep(0.001)


# --- The seam for refunds --------------------------------------------------------------------------------------------


async def refund(shop: Shop, refunds: Sequence[Refund]) -> None:
    """Tell the sidecar of them; nothing ever comes while `month_history.REFUNDS` is off.

    What is answered is counted by the reason of the adjustment's row: `stored` when it has none and waits.
    """
    bodies = [refund_body(one) for one in refunds]
    for body in bodies:
        async with shop.session.post(f"{shop.url}/v1/adjustments", json=body) as answer:
            told = await answer.json()
            shop.refunds_answered[_refunded(answer.status, told)] += 1
    if bodies:
        await shop.rest()


def refund_body(refund: Refund) -> dict[str, Any]:
    """As the backend posts it."""
    body = {"order_id": refund.order_id, "event": "purchase"}
    if refund.total is None:
        return {**body, "type": "retract"}
    return {**body, "type": "restate", "value": float(refund.total)}


def _refunded(status: int, told: dict[str, Any]) -> str:
    """In the words of the model."""
    match status, told.get("state"), told.get("reason"):
        case 404, _, _:
            return "not_found"
        case 409, _, _:
            return "conflict"
        case 202, "pending", _:
            return "stored"
        case 202, "canceled", reason:
            return str(reason)
        case 200, "skipped", reason:
            return str(reason)
        case 200, _, _:
            return "replayed"
    raise AssertionError(f"{status}: {told}")


def adjusted(item: dict[str, Any]) -> model.Adjusted:
    """An entry of Microsoft's book of adjustments."""
    row = json.loads(item["raw"], parse_float=Decimal, parse_int=Decimal)
    original = replace(held(item), value=None, currency=None)
    return model.Adjusted(
        original, row["AdjustmentType"], row.get("AdjustmentValue"), row.get("AdjustmentCurrencyCode")
    )


# --- Bodies ----------------------------------------------------------------------------------------------------------


def click_body(click: Click) -> dict[str, Any]:
    """As the backend posts it."""
    url = f"https://shop.example/?utm_source=ads&msclkid={click.msclkid}#top"
    body = {"visitor_id": click.visitor, "account": click.account, "time": click.at, "consent": click.consent}
    return body | ({"url": url} if click.by_url else {"msclkid": click.msclkid})


def sale_body(sale: Sale) -> dict[str, Any]:
    """As the backend posts it, with null for what it does not know."""
    url = f"https://shop.example/offer?msclkid={sale.click}&x=1" if sale.by_url else None
    return {
        "event": sale.event,
        "order_id": sale.order_id,
        "account": sale.account,
        "time": sale.at,
        "value": None if sale.value is None else float(sale.value),
        "currency": sale.currency,
        "msclkid": None if sale.by_url else sale.click,
        "landing_url": url,
        "visitor_id": sale.visitor,
        "user": {"email": sale.email, "phone": sale.phone},
        "consent": sale.consent,
    }


def held(item: dict[str, Any]) -> model.Held:
    """An entry of Microsoft's book of conversions."""
    row = json.loads(item["raw"], parse_float=Decimal, parse_int=Decimal)
    return model.Held(
        item["account_id"],
        row["ConversionName"],
        model.unix_seconds(row["ConversionTime"]),
        row.get("MicrosoftClickId"),
        row.get("HashedEmailAddress"),
        row.get("HashedPhoneNumber"),
        row.get("ConversionValue"),
        row.get("ConversionCurrencyCode"),
    )


def _by_step(items: Iterable[Any]) -> defaultdict[int, list[Any]]:
    found: defaultdict[int, list[Any]] = defaultdict(list)
    for item in items:
        found[item.posted].append(item)
    return found


# --- Opening ---------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def opened(history: History, place: OutboxPlace) -> AsyncIterator[Shop]:
    """The sidecar and its Microsoft at the first moment of the month; both are ended with the context."""
    clock = Clock(history.start * 1000, stopped_at=0)
    options = EmulatorOptions(goals=GOALS, requests_per_minute=1_000_000, access_token_seconds=TOKENS_LAST)
    async with contextlib.AsyncExitStack() as stack:
        emulator = await stack.enter_async_context(Emulator(options, clock))
        await emulator._state().transact(lambda db: _know_clicks(db, history.clicks))
        rig = await Rig.of(place, emulator, clock, text=CONFIG, linger=0)
        stack.push_async_callback(rig.close)
        await rig.start()
        api = _api(rig.parts, Runtime(clock, asyncio.get_running_loop().time, rig.chance), [])
        serves = serving(make_app(api), api, "127.0.0.1", 0, shutdown_seconds=1)
        _, port = await stack.enter_async_context(serves)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Shop(history, rig, session, f"http://127.0.0.1:{port}")


def _know_clicks(db: sqlite3.Connection, clicks: Iterable[Click]) -> None:
    """Microsoft knows every click: it refuses a conversion from before its click, and does not count a stranger's."""
    for msclkid, account, at in _truth(clicks):
        add_click(db, msclkid, model.ACCOUNT_IDS[account], at * 1000)


def _truth(clicks: Iterable[Click]) -> Iterator[tuple[str, str, int]]:
    times: dict[tuple[str, str], int] = {}
    for click in clicks:
        key = (click.msclkid, click.account)
        times[key] = min(click.at, times.get(key, click.at))
    for (msclkid, account), at in times.items():
        yield msclkid, account, at
