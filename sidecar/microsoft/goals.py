"""Encodes and decodes the calls that list and create conversion goals.

Pure, like `wire`: any bytes decode to an answer.
https://learn.microsoft.com/advertising/campaign-management-service/getconversiongoalsbyids
https://learn.microsoft.com/advertising/campaign-management-service/addconversiongoals
"""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sidecar.core.answer import Lost, RefusedBatch
from sidecar.core.conversion import plain_decimal
from sidecar.core.entry import Fault
from sidecar.core.goals.creation import Created, Creation, Exists, NewGoal, NotCreated
from sidecar.core.goals.goal import OFFLINE, Goal, Revenue
from sidecar.microsoft.json_values import id_of
from sidecar.microsoft.reply import Error, HttpReply
from sidecar.microsoft.wire import refusal, refusal_in

QUERY = "/CampaignManagement/v13/ConversionGoals/QueryByIds"
ADD = "/CampaignManagement/v13/ConversionGoals"

MAX_GOALS = 100
"""The limit of one AddConversionGoals."""

NAME_TAKEN = ("ConversionGoalNameAlreadyExists", 5317)
"""Names are unique per customer. The code is not in Microsoft's list, so the symbol decides too."""

NO_SUCH_GOAL = ("InvalidConversionGoalId", 5314)
"""The error of one goal that does not exist (any more); the others of the answer are complete."""

TYPES = ("Url", "Duration", "PagesViewedPerVisit", "Event", "AppInstall", OFFLINE, "InStoreTransaction", "AppDownload")
"""All types are read, so that a goal of the wrong type is not reported as missing.

https://learn.microsoft.com/advertising/campaign-management-service/conversiongoaltype
"""

ADDITIONAL = ("GoalCategory", "IsEnhancedConversionsEnabled", "IsExternallyAttributed")
"""Fields that are returned only when the request names them.

https://learn.microsoft.com/advertising/campaign-management-service/conversiongoaladditionalfield
"""


def encode_query() -> bytes:
    """The request for every goal that the account can see."""
    body = {
        "ConversionGoalIds": None,
        "ConversionGoalTypes": ", ".join(TYPES),
        "ReturnAdditionalFields": ", ".join(ADDITIONAL),
    }
    return json.dumps(body).encode("ascii")


def encode_new(goals: Sequence[NewGoal]) -> bytes:
    """The request that creates these goals, at most `MAX_GOALS`."""
    return json.dumps({"ConversionGoals": [_new(goal) for goal in goals]}).encode("ascii")


def _new(goal: NewGoal) -> dict[str, Any]:
    return {
        "Type": OFFLINE,
        "Name": goal.name,
        "GoalCategory": goal.category,
        "CountType": goal.count_type,
        "ConversionWindowInMinutes": goal.window_seconds // 60,
        "Scope": goal.scope,
        "Status": "Active",
        "Revenue": _revenue(goal.revenue),
        "IsEnhancedConversionsEnabled": goal.enhanced,
    }


def _revenue(revenue: Revenue) -> dict[str, Any]:
    """The revenue as JSON. A value has at most 15 digits, which a float preserves."""
    value = None if revenue.value is None else float(revenue.value)
    members = {"Type": revenue.type, "Value": value, "CurrencyCode": revenue.currency}
    return {name: member for name, member in members.items() if member is not None}


def decode_goals(reply: HttpReply) -> tuple[Goal, ...] | RefusedBatch | Lost:
    """The goals in the answer to a query, without unreadable entries.

    Errors beside them make it a failed reading: with missing goals rows would wait, and those goals would later count
    as new.
    """
    if (refused := refusal(reply)) is not None:
        return refused
    document = reply.document or {}
    listed, errors = document.get("ConversionGoals", ""), reply.errors("PartialErrors")
    if errors and (not listed or not all(_is(NO_SUCH_GOAL, error.fault) for error in errors)):
        return refusal_in(reply, errors)
    if not isinstance(listed, list | None):
        return Lost(f"HTTP {reply.status} without a list of goals", reply.tracking_id)
    found = (_goal(item) for item in listed or ())
    return tuple(goal for goal in found if goal is not None)


def decode_new(reply: HttpReply, size: int) -> tuple[Creation, ...] | RefusedBatch | Lost:
    """The outcome of each of the `size` goals to be created."""
    if (refused := refusal(reply)) is not None:
        return refused
    ids, errors = (reply.document or {}).get("ConversionGoalIds"), reply.errors("PartialErrors")
    if not isinstance(ids, list) and not (ids is None and errors):
        return Lost(f"HTTP {reply.status} without a list of goal ids", reply.tracking_id)
    given = [id_of(id_) for id_ in ids or ()][:size]
    given += [None] * (size - len(given))
    faults = _faults(errors, size)
    return tuple(_creation(id_, faults.get(index)) for index, id_ in enumerate(given))


def _faults(errors: Sequence[Error], size: int) -> dict[int, Fault]:
    """The first fault of each index; one without an index of the request applies to all."""
    named: dict[int, Fault] = {}
    loose: list[Fault] = []
    for error in errors:
        if error.index is not None and 0 <= error.index < size:
            named.setdefault(error.index, error.fault)
        else:
            loose.append(error.fault)
    return (dict.fromkeys(range(size), loose[0]) if loose else {}) | named


def _creation(id_: str | None, fault: Fault | None) -> Creation:
    if id_ is not None:
        return Created(id_)
    if fault is None:
        return NotCreated(Fault("Unnamed", None, "Microsoft gave neither an id nor a reason"))
    return Exists(fault) if _is(NAME_TAKEN, fault) else NotCreated(fault)


def _is(code: tuple[str, int], fault: Fault) -> bool:
    """Whether the fault has that symbol or number, since either may be missing."""
    symbol, number = code
    return fault.error.casefold() == symbol.casefold() or fault.error_code == number


def _goal(item: object) -> Goal | None:
    """One goal; None for an entry without an id or a name."""
    if not isinstance(item, dict):
        return None
    id_, name = id_of(item.get("Id")), _text(item.get("Name"))
    if id_ is None or name is None:
        return None
    window = id_of(item.get("ConversionWindowInMinutes"))
    return Goal(
        id=id_,
        name=name,
        type=(_text(item.get("Type")) or "Unknown").removesuffix("Goal"),  # some pages write OfflineConversionGoal
        status=_text(item.get("Status")) or "Active",
        count_type=_text(item.get("CountType")),
        window_seconds=None if window is None or len(window) > 9 else int(window) * 60,  # else it fits no column
        category=_text(item.get("GoalCategory")),
        revenue=_read_revenue(item.get("Revenue")),
        enhanced=_flag(item.get("IsEnhancedConversionsEnabled")),
        externally_attributed=_flag(item.get("IsExternallyAttributed")),
    )


def _read_revenue(value: object) -> Revenue | None:
    if not isinstance(value, dict):
        return None
    amount = value.get("Value")
    known = isinstance(amount, int | float) and not isinstance(amount, bool) and abs(amount) < 1e15
    exact = plain_decimal(Decimal(repr(amount))) if known else None
    return Revenue(_text(value.get("Type")) or "NoValue", exact, _text(value.get("CurrencyCode")))


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _text(value: object) -> str | None:
    """A text of 1 to 1,000 characters, unchanged, since names are compared exactly.

    Only what not every column accepts, half of a surrogate pair and NUL, becomes a question mark.
    """
    if not isinstance(value, str) or not 0 < len(value) <= 1_000:
        return None
    return value.encode(errors="replace").decode().replace("\0", "?")
