"""Validates a goal to add or change. Pure: JSON members in, a complete goal or errors out.

https://learn.microsoft.com/advertising/campaign-management-service/conversiongoal
"""

from collections.abc import Iterator, Mapping
from typing import Any

from sidecar.emulator.currencies import CURRENCIES
from sidecar.emulator.error_bodies import Refused
from sidecar.emulator.row_fields import read_flag, read_number, read_text

GOAL_TYPE = "OfflineConversion"

MAX_WINDOW_MINUTES = 129_600
MAX_NAME_LENGTH = 100

TYPES = (GOAL_TYPE, "OfflineConversionGoal")  # the documentation has both
_CATEGORIES = (
    *("AddToCart", "BeginCheckout", "BookAppointment", "Contact", "GetDirections", "Other", "OutboundClick"),
    *("PageView", "Purchase", "RequestQuote", "Signup", "SubmitLeadForm", "Subscribe"),
)
_CHOICES = {"Scope": ("Account", "Customer"), "CountType": ("All", "Unique"), "GoalCategory": _CATEGORIES}
_UET_MEMBERS = (
    *("TagId", "TrackingStatus", "AttributionModelType", "IsAutoGoal", "ViewThroughConversionWindowInMinutes"),
    *("UrlExpression", "UrlOperator", "CategoryExpression", "CategoryOperator", "ActionExpression", "ActionOperator"),
    *("LabelExpression", "LabelOperator", "Value", "ValueOperator", "MinimumPagesViewed", "MinimumDurationInSeconds"),
)
_STATUSES = ("Active", "Paused")
_REVENUE_TYPES = ("NoValue", "FixedValue", "VariableValue")

DEFAULTS: dict[str, Any] = {
    "Type": GOAL_TYPE,
    "Scope": "Account",
    "Status": "Active",
    "CountType": "All",
    "ConversionWindowInMinutes": 43_200,
    "GoalCategory": None,
    "Revenue": {"Type": "NoValue", "Value": None, "CurrencyCode": None},
    "IsEnhancedConversionsEnabled": False,
    "IsExternallyAttributed": False,
    "ExcludeFromBidding": False,
}


def read_goal(value: object) -> dict[str, Any] | None:
    """The given members of a goal, None for `null`. Raises Refused when one has a wrong type."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise Refused("ApiInputValidationError", detail="a goal is not an object")
    members: dict[str, Any] = {name: read_text(value, name) for name in ("Type", "Name", "Status")}
    members |= {name: _choice(value, name) for name in _CHOICES}
    for name in ("IsEnhancedConversionsEnabled", "IsExternallyAttributed", "ExcludeFromBidding"):
        members[name] = read_flag(value, name)
    members["ConversionWindowInMinutes"] = _integer(value, "ConversionWindowInMinutes")
    members["Revenue"] = _revenue(value)
    return {name: member for name, member in members.items() if member is not None}


def read_control_goal(value: Mapping[str, Any]) -> dict[str, Any]:
    """The given members of a goal that the control adds or changes: of any type, with what only UET goals have."""
    members = read_goal(value) or {}
    return members | {name: value[name] for name in _UET_MEMBERS if value.get(name) is not None}


def goal_errors(goal: Mapping[str, Any], *, enhanced_terms_accepted: bool) -> Iterator[str]:
    """Every symbol that applies to the complete goal, except those that depend on other goals."""
    if goal["Type"] not in TYPES:
        yield "ConversionGoalTypeNotMatched"
    if not goal.get("Name"):
        yield "ConversionGoalNameNotPassed"
    elif len(goal["Name"]) > MAX_NAME_LENGTH:
        yield "InvalidConversionGoalName"
    if goal["Status"] not in _STATUSES:
        yield "InvalidConversionGoalStatus"
    if goal["GoalCategory"] is None:
        yield "ConversionGoalCategoryInvalid"
    if not 1 <= goal["ConversionWindowInMinutes"] <= MAX_WINDOW_MINUTES:
        yield "InvalidConversionGoalConversionWindow"
    if goal["IsEnhancedConversionsEnabled"] and not enhanced_terms_accepted:
        yield "NotEligibleForEnhancedConversions"
    yield from _revenue_errors(goal["Revenue"], goal["Scope"])


def _revenue_errors(revenue: Mapping[str, Any], scope: str) -> Iterator[str]:
    kind, value, currency = revenue["Type"], revenue["Value"], revenue["CurrencyCode"]
    if kind not in _REVENUE_TYPES:
        yield "InvalidConversionGoalRevenueType"
    has_wrong_value = value is not None if kind == "NoValue" else value is None and kind == "FixedValue"
    if has_wrong_value or (value is not None and value < 0):
        yield "InvalidConversionGoalRevenueValue"
    if currency is not None and currency not in CURRENCIES:
        yield "GoalCurrencyCodeNotSupported"
    if currency is None and scope == "Customer" and kind != "NoValue":
        yield "GoalCurrencyCodeIsNull"


def _choice(fields: Mapping[str, Any], name: str) -> str | None:
    value = read_text(fields, name)
    if value is not None and value not in _CHOICES[name]:
        raise Refused("ApiInputValidationError", detail=f"{name} has no value {value!r}")
    return value


def _integer(fields: Mapping[str, Any], name: str) -> int | None:
    value = read_number(fields, name)
    if value is not None and value != int(value):
        raise Refused("ApiInputValidationError", detail=f"{name} is not an integer")
    return None if value is None else int(value)


def _revenue(fields: Mapping[str, Any]) -> dict[str, Any] | None:
    """The complete revenue, which replaces the former one."""
    value = fields.get("Revenue")
    if value is None:
        return None
    if not isinstance(value, dict):
        raise Refused("ApiInputValidationError", detail="Revenue is not an object")
    amount = read_number(value, "Value")
    return {
        "Type": read_text(value, "Type") or "NoValue",
        "Value": None if amount is None else float(amount),
        "CurrencyCode": read_text(value, "CurrencyCode"),
    }
