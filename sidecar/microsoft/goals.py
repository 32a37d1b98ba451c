"""Conversion goals on the wire: what is asked for, what is to be created, and what Microsoft says of either.

Pure and total, as `wire` is: any bytes decode to some answer.
https://learn.microsoft.com/advertising/campaign-management-service/getconversiongoalsbyids
https://learn.microsoft.com/advertising/campaign-management-service/addconversiongoals
"""

import json
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sidecar.core.answer import Lost, RefusedBatch
from sidecar.core.conversion import plain_decimal
from sidecar.core.entry import Fault
from sidecar.core.goals.creation import Created, Creation, Exists, NewGoal, NotCreated
from sidecar.core.goals.goal import OFFLINE, Goal, Revenue
from sidecar.microsoft.reply import Error, HttpReply
from sidecar.microsoft.wire import refusal, refusal_in

QUERY = "/CampaignManagement/v13/ConversionGoals/QueryByIds"
ADD = "/CampaignManagement/v13/ConversionGoals"

MAX_GOALS = 100
"""In one AddConversionGoals."""

NAME_TAKEN = ("ConversionGoalNameAlreadyExists", 5317)
"""Names are unique per customer. Not in Microsoft's list of codes, so that the symbol is the surer sign."""

NO_SUCH_GOAL = ("InvalidConversionGoalId", 5314)
"""Of one goal: it is not there (any more), which leaves the reading of the others whole."""

TYPES = (
    "Url",
    "Duration",
    "PagesViewedPerVisit",
    "Event",
    "AppInstall",
    OFFLINE,
    "InStoreTransaction",
    "AppDownload",
)
"""All of them are read, so that a goal of the wrong type can be told from a missing one.

https://learn.microsoft.com/advertising/campaign-management-service/conversiongoaltype
"""

ADDITIONAL = ("GoalCategory", "IsEnhancedConversionsEnabled", "IsExternallyAttributed")
"""Only returned when they are named.

https://learn.microsoft.com/advertising/campaign-management-service/conversiongoaladditionalfield
"""

# --- What is sent ----------------------------------------------------------------------------------------------------


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
    """A value has at most 15 digits, which a float writes as they were read."""
    value = None if revenue.value is None else float(revenue.value)
    members = {"Type": revenue.type, "Value": value, "CurrencyCode": revenue.currency}
    return {name: member for name, member in members.items() if member is not None}


# --- What comes back -------------------------------------------------------------------------------------------------


def decode_goals(reply: HttpReply) -> tuple[Goal, ...] | RefusedBatch | Lost:
    """The goals in the answer to a query; what is not readable as a goal is passed over.

    Errors beside them are a failed reading: "no goals" would hold back every row, and what comes back later would count
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
    """What became of each of the `size` goals that were to be created."""
    if (refused := refusal(reply)) is not None:
        return refused
    ids, errors = (reply.document or {}).get("ConversionGoalIds"), reply.errors("PartialErrors")
    if not isinstance(ids, list) and not (ids is None and errors):
        return Lost(f"HTTP {reply.status} without a list of goal ids", reply.tracking_id)
    given = [_id(id_) for id_ in ids or ()][:size]
    given += [None] * (size - len(given))
    faults = _faults(errors, size)
    return tuple(_creation(id_, faults.get(place)) for place, id_ in enumerate(given))


def _faults(errors: Sequence[Error], size: int) -> dict[int, Fault]:
    """The first fault of each place; one that names no place of the request may be of any."""
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
    """Whether the fault is that one: known by its symbol alone too, since the number may be missing."""
    symbol, number = code
    return fault.error.casefold() == symbol.casefold() or fault.error_code == number


def _goal(item: object) -> Goal | None:
    """One goal; None for nothing, and for something without an id or a name."""
    if not isinstance(item, dict):
        return None
    id_, name = _id(item.get("Id")), _text(item.get("Name"))
    if id_ is None or name is None:
        return None
    window = _whole(item.get("ConversionWindowInMinutes"))
    return Goal(
        id=id_,
        name=name,
        type=_type(item.get("Type")),
        status=_text(item.get("Status")) or "Active",
        count_type=_text(item.get("CountType")),
        window_seconds=None if window is None else window * 60,
        category=_text(item.get("GoalCategory")),
        revenue=_read_revenue(item.get("Revenue")),
        enhanced=_flag(item.get("IsEnhancedConversionsEnabled")),
        externally_attributed=_flag(item.get("IsExternallyAttributed")),
    )


def _type(value: object) -> str:
    """The type by its short name: some pages of Microsoft's write `OfflineConversionGoal` for `OfflineConversion`."""
    return (_text(value) or "Unknown").removesuffix("Goal")


def _read_revenue(value: object) -> Revenue | None:
    if not isinstance(value, dict):
        return None
    amount = value.get("Value")
    known = isinstance(amount, int | float) and not isinstance(amount, bool) and abs(amount) < 1e15
    exact = plain_decimal(Decimal(repr(amount))) if known else None
    return Revenue(_text(value.get("Type")) or "NoValue", exact, _text(value.get("CurrencyCode")))


def _id(value: object) -> str | None:
    """A 64-bit id, written as text or as number."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    return str(value) if re.fullmatch(r"[0-9]{1,19}", str(value), re.ASCII) else None


def _whole(value: object) -> int | None:
    """A number of minutes; a longer one would fit no column."""
    text = _id(value)
    return None if text is None or len(text) > 9 else int(text)


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _text(value: object) -> str | None:
    """A text as it is, since names are compared exactly; one that is empty or endless is none.

    But a half of a surrogate, which no column takes, becomes a question mark.
    """
    return value.encode(errors="replace").decode() if isinstance(value, str) and 0 < len(value) <= 1_000 else None
