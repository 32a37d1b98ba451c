"""Goals at Microsoft that people change, and what the sidecar knows of them, for tests with `delivery_kit`."""

from dataclasses import replace
from sqlite3 import Connection
from typing import Any

from delivery_kit import DAY, Rig

from sidecar.emulator.goal_rules import DEFAULTS
from sidecar.emulator.goals import all_goals, insert_goal, replace_goal
from sidecar.emulator.properties import AUTO_TAGGING, put_property

QUERY = "ConversionGoals/QueryByIds"


ADD = "ConversionGoals"


async def make_goal(rig: Rig, name: str, age: int = DAY, **members: Any) -> None:
    """Someone creates the goal at Microsoft."""
    body = DEFAULTS | {"GoalCategory": "Other", "Name": name, "IsEnhancedConversionsEnabled": True} | members
    await rig.emulator._state().transact(lambda db: insert_goal(db, "", "", body, rig.clock() - age))


async def change_goal(rig: Rig, name: str, **members: Any) -> None:
    """Someone changes the goal at Microsoft."""

    def change(db: Connection) -> None:
        [goal] = [goal for goal in all_goals(db) if goal.body["Name"] == name]
        replace_goal(db, replace(goal, body=goal.body | members))

    await rig.emulator._state().transact(change)


async def set_auto_tagging(rig: Rig, value: str) -> None:
    account_id = rig.config.accounts["main"].account_id
    await rig.emulator._state().transact(lambda db: put_property(db, account_id, AUTO_TAGGING, value))


async def read(rig: Rig, account: str = "main") -> None:
    """The next reading."""
    await rig.parts.catalogue.reader.read(account)


async def all_read(rig: Rig) -> None:
    """Every account's first reading is over, auto-tagging included, and kept."""
    await rig.until(lambda: len(rig.rows_of("catalogues")) == len(rig.config.accounts))


async def held(rig: Rig, goal: str, reason: str) -> None:
    await rig.until(lambda: rig.parts.gates.held("main", goal) == reason)


async def queries(rig: Rig) -> int:
    return len(await rig.requests(operation=QUERY))


def trouble_message(rig: Rig, code: str, account: str = "main") -> str:
    """What is said of a trouble of the account that stands; nothing if it does not."""
    return "".join(standing.message for standing in rig.parts.telemetry.board.active(code, account=account))
