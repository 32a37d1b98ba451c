"""Stores the conversion goals, and finds those that accept conversions.

https://learn.microsoft.com/advertising/campaign-management-service/offlineconversiongoal
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any

from sidecar.emulator.admission import Caller
from sidecar.emulator.call import DAY_MS
from sidecar.emulator.goal_rules import DEFAULTS, GOAL_TYPE
from sidecar.emulator.options import MappedGoal
from sidecar.emulator.row_checks import Goal

_MAPPED_GOAL_AGE_MS = 30 * DAY_MS


@dataclass(frozen=True, slots=True)
class StoredGoal:
    """A goal with Microsoft's names in `body`; an empty customer or account id means every one."""

    id: int
    customer_id: str
    account_id: str
    body: dict[str, Any]
    created_at: int

    @property
    def type(self) -> str:
        """The short name of its type; only an offline goal accepts uploads."""
        return str(self.body.get("Type", GOAL_TYPE)).removesuffix("Goal")

    def is_visible_to(self, caller: Caller) -> bool:
        """Whether the account sees it; a goal of scope Customer is for all accounts of its customer."""
        if self.customer_id not in ("", caller.customer_id):
            return False
        return self.account_id in ("", caller.account_id) or self.body.get("Scope") == "Customer"


def all_goals(db: Connection) -> list[StoredGoal]:
    """Every goal, oldest first."""
    rows = db.execute("SELECT id, customer_id, account_id, body, created_at FROM goals ORDER BY id")
    return [StoredGoal(row[0], row[1], row[2], json.loads(row[3]), row[4]) for row in rows]


def visible_goals(db: Connection, caller: Caller) -> list[StoredGoal]:
    """The goals that the caller's account can see."""
    return [goal for goal in all_goals(db) if goal.is_visible_to(caller)]


def usable_goals(db: Connection, caller: Caller) -> dict[str, Goal]:
    """The caller's goals by exact name, for the row checks."""
    offline = (goal for goal in visible_goals(db, caller) if goal.type == GOAL_TYPE)
    return {goal.body["Name"]: _for_checks(goal) for goal in offline}


def insert_goal(db: Connection, customer_id: str, account_id: str, body: dict[str, Any], created_at: int) -> int:
    """Stores a new goal and returns its id."""
    statement = "INSERT INTO goals (customer_id, account_id, body, created_at) VALUES (?, ?, ?, ?)"
    goal_id = db.execute(statement, (customer_id, account_id, json.dumps(body), created_at)).lastrowid
    assert goal_id is not None
    return goal_id


def replace_goal(db: Connection, goal: StoredGoal) -> None:
    """Stores the changed goal."""
    row = (json.dumps(goal.body), goal.created_at, goal.id)
    db.execute("UPDATE goals SET body = ?, created_at = ? WHERE id = ?", row)


def put_mapped_goals(db: Connection, goals: Iterable[MappedGoal], now: int) -> None:
    """Adds each mapped goal that is missing; existing ones are unchanged."""
    there = {goal.body["Name"] for goal in all_goals(db)}
    for goal in goals:
        if goal.name not in there:
            there.add(goal.name)
            insert_goal(db, "", "", _body(goal), now - _MAPPED_GOAL_AGE_MS)


def _body(goal: MappedGoal) -> dict[str, Any]:
    has_value = goal.revenue != "NoValue"
    value = None if not has_value else float(goal.value or 0)
    return DEFAULTS | {
        "Name": goal.name,
        "CountType": goal.count_type,
        "ConversionWindowInMinutes": goal.window_minutes,
        "GoalCategory": goal.category,
        "Revenue": {"Type": goal.revenue, "Value": value, "CurrencyCode": goal.currency},
        "IsEnhancedConversionsEnabled": goal.enhanced,
        "IsExternallyAttributed": goal.externally_attributed,
    }


def _for_checks(goal: StoredGoal) -> Goal:
    body = goal.body
    return Goal(
        id=goal.id,
        name=body["Name"],
        active=body.get("Status") == "Active",
        created_at=goal.created_at,
        window_minutes=body.get("ConversionWindowInMinutes") or 43_200,
        currency=(body.get("Revenue") or {}).get("CurrencyCode"),
        enhanced=bool(body.get("IsEnhancedConversionsEnabled")),
        externally_attributed=bool(body.get("IsExternallyAttributed")),
    )
