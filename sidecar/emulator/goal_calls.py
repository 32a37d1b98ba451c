"""AddConversionGoals, UpdateConversionGoals and GetConversionGoalsByIds.

https://learn.microsoft.com/advertising/campaign-management-service/addconversiongoals
https://learn.microsoft.com/advertising/campaign-management-service/updateconversiongoals
https://learn.microsoft.com/advertising/campaign-management-service/getconversiongoalsbyids
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from sqlite3 import Connection
from typing import Any

from sidecar.emulator.admission import Caller, SlidingMinute, admit_caller
from sidecar.emulator.call import Answer, Call
from sidecar.emulator.error_bodies import FaultShape, Refused, batch_error, partial_answer
from sidecar.emulator.goal_rules import DEFAULTS, GOAL_TYPE, TYPES, goal_errors, read_goal
from sidecar.emulator.goals import StoredGoal, all_goals, insert_goal, replace_goal, visible_goals
from sidecar.emulator.json_rows import read_object
from sidecar.emulator.options import EmulatorOptions
from sidecar.emulator.properties import AUTO_TAGGING, put_property
from sidecar.emulator.row_fields import read_flags, read_list, read_long

MAX_GOALS = 100

_ADDITIONAL = (
    *("ViewThroughConversionWindowInMinutes", "IsExternallyAttributed", "GoalCategory", "InactiveDueToTagUnavailable"),
    *("AttributionModelType", "IsEnhancedConversionsEnabled", "IsAutoGoal", "DataDrivenAttribute"),
    "ApplicationDownloadGoal",
)
_TYPES = (
    *("None", "Url", "Duration", "PagesViewedPerVisit", "Event", "AppInstall", "OfflineConversion"),
    *("InStoreTransaction", "AppDownload"),
)
_NOT_FOR_OFFLINE = (
    *("AttributionModelType", "IsAutoGoal", "TagId", "TrackingStatus"),
    "ViewThroughConversionWindowInMinutes",
)


@dataclass(frozen=True, slots=True)
class GoalCalls:
    """The three calls for goals."""

    options: EmulatorOptions
    pace: SlidingMinute

    def add(self, db: Connection, call: Call) -> Answer:
        """`POST ConversionGoals`."""
        caller = admit_caller(db, call, self.options, self.pace)
        ids: list[str | None] = []
        wrong: list[list[str]] = []
        in_request: set[str] = set()
        for value in _limited(read_list(read_object(call.body), "ConversionGoals")):
            goal, symbols = self._new(db, caller, value, in_request)
            wrong.append(symbols)
            ids.append(None)
            if not symbols:
                put_property(db, caller.account_id, AUTO_TAGGING, "true")
                ids[-1] = str(insert_goal(db, caller.customer_id, caller.account_id, goal, call.at))
        return _answer({"ConversionGoalIds": ids}, wrong)

    def update(self, db: Connection, call: Call) -> Answer:
        """`PUT ConversionGoals`: missing members are unchanged."""
        caller = admit_caller(db, call, self.options, self.pace)
        there = {str(goal.id): goal for goal in visible_goals(db, caller)}
        seen: set[str] = set()
        wrong: list[list[str]] = []
        for value in _limited(read_list(read_object(call.body), "ConversionGoals")):
            goal, symbols = self._changed(db, value, there, seen)
            wrong.append(symbols)
            if goal is not None and not symbols:
                replace_goal(db, goal)
                put_property(db, caller.account_id, AUTO_TAGGING, "true")
        return _answer({}, wrong)

    def query(self, db: Connection, call: Call) -> Answer:
        """`POST ConversionGoals/QueryByIds`."""
        caller = admit_caller(db, call, self.options, self.pace)
        fields = read_object(call.body)
        types = read_flags(fields, "ConversionGoalTypes", _TYPES)
        if not types:
            raise Refused("ConversionGoalTypesNotPassed", FaultShape.API)
        asked = read_flags(fields, "ReturnAdditionalFields", (*_ADDITIONAL, "None"))
        visible = (goal for goal in visible_goals(db, caller) if goal.type in types)
        goals = {str(goal.id): goal for goal in visible}
        ids = [read_long({"Id": value}, "Id") for value in read_list(fields, "ConversionGoalIds") or goals]
        if len(ids) > MAX_GOALS and fields.get("ConversionGoalIds"):
            raise Refused("ConversionGoalIdArrayExceedsLimit", FaultShape.API)
        found = [goals.get(goal_id or "") for goal_id in ids]
        bodies = [goal and shown(goal, asked) for goal in found]
        return _answer({"ConversionGoals": bodies}, [[] if goal else ["InvalidConversionGoalId"] for goal in found])

    def _new(
        self, db: Connection, caller: Caller, value: object, in_request: set[str]
    ) -> tuple[dict[str, Any], list[str]]:
        given = read_goal(value)
        if given is None:
            return {}, ["ConversionGoalIsNull"]
        goal = DEFAULTS | given
        symbols = ["ConversionGoalIdIsNotNull"] if isinstance(value, dict) and value.get("Id") is not None else []
        symbols += goal_errors(goal, enhanced_terms_accepted=self.options.enhanced_terms_accepted)
        symbols += _name_errors(goal.get("Name"), in_request, _names(db, caller.customer_id))
        return goal | {"Type": GOAL_TYPE}, symbols

    def _changed(
        self, db: Connection, value: object, there: dict[str, StoredGoal], seen: set[str]
    ) -> tuple[StoredGoal | None, list[str]]:
        given = read_goal(value)
        if given is None or not isinstance(value, dict):
            return None, ["ConversionGoalIsNull"]
        goal_id = read_long(value, "Id")
        former = there.get(goal_id or "")
        if former is None or goal_id is None:
            return None, ["ConversionGoalIdIsNull" if goal_id is None else "InvalidConversionGoalId"]
        goal = replace(former, body=former.body | given | {"Type": GOAL_TYPE})
        symbols = ["DuplicateConversionGoalId"] if goal_id in seen else []
        seen.add(goal_id)
        symbols += _change_errors(former, given)
        symbols += goal_errors(goal.body, enhanced_terms_accepted=self.options.enhanced_terms_accepted)
        others = _names(db, former.customer_id) - {former.body["Name"]}
        symbols += _name_errors(goal.body["Name"], set(), others)
        return goal, symbols


def shown(goal: StoredGoal, asked: Sequence[str]) -> dict[str, Any]:
    """The goal as Microsoft returns it: some members only when the request names them."""
    others = dict.fromkeys(_NOT_FOR_OFFLINE)
    body = {"Id": str(goal.id), **(goal.body | others if goal.type == GOAL_TYPE else others | goal.body)}
    return {name: None if name in _ADDITIONAL and name not in asked else member for name, member in body.items()}


def _limited(goals: list[Any] | None) -> list[Any]:
    if not goals:
        raise Refused("ConversionGoalsNotPassed", FaultShape.API)
    if len(goals) > MAX_GOALS:
        raise Refused("ConversionGoalArrayExceedsLimit", FaultShape.API)
    return goals


def _names(db: Connection, customer_id: str) -> set[str]:
    """The names that are taken: they are unique per customer."""
    return {goal.body["Name"] for goal in all_goals(db) if goal.customer_id in ("", customer_id)}


def _name_errors(name: str | None, in_request: set[str], taken: set[str]) -> Iterator[str]:
    if name in in_request:
        yield "DuplicateConversionGoalName"
    elif name in taken:
        yield "ConversionGoalNameAlreadyExists"
    if name:
        in_request.add(name)


def _change_errors(former: StoredGoal, given: dict[str, Any]) -> Iterator[str]:
    scope = former.body["Scope"]
    if given.get("Scope", scope) != scope or given.get("Type", GOAL_TYPE) not in TYPES:
        yield "GoalTypeCannotBeChanged"


def _answer(body: dict[str, Any], wrong: Sequence[Sequence[str]]) -> Answer:
    return partial_answer(body, [[batch_error(index, one) for one in found] for index, found in enumerate(wrong)])
