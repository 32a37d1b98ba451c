"""Goals and account properties on the wire; Microsoft's own SDK judges from outside, as it does for uploads."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openapi_client.api_client import ApiClient
from openapi_client.models.campaign.account_property import AccountProperty
from openapi_client.models.campaign.add_conversion_goals_request import AddConversionGoalsRequest
from openapi_client.models.campaign.add_conversion_goals_response import AddConversionGoalsResponse
from openapi_client.models.campaign.batch_error_base import BatchErrorBase
from openapi_client.models.campaign.conversion_goal_revenue import ConversionGoalRevenue
from openapi_client.models.campaign.event_goal import EventGoal
from openapi_client.models.campaign.get_account_properties_request import GetAccountPropertiesRequest
from openapi_client.models.campaign.get_account_properties_response import GetAccountPropertiesResponse
from openapi_client.models.campaign.get_conversion_goals_by_ids_request import GetConversionGoalsByIdsRequest
from openapi_client.models.campaign.get_conversion_goals_by_ids_response import GetConversionGoalsByIdsResponse
from openapi_client.models.campaign.offline_conversion_goal import OfflineConversionGoal
from openapi_client.models.campaign.url_goal import UrlGoal

from sidecar.core.answer import Lost, RefusedBatch, Verdict
from sidecar.core.conversion import plain_decimal
from sidecar.core.entry import Fault
from sidecar.core.goals.creation import Created, Exists, NewGoal, NotCreated
from sidecar.core.goals.goal import Goal, Revenue
from sidecar.microsoft import account_properties
from sidecar.microsoft.goals import ADDITIONAL, TYPES, decode_goals, decode_new, encode_new, encode_query
from sidecar.microsoft.reply import HttpReply

NEW = NewGoal(
    name="Closed deal",
    category="Purchase",
    count_type="All",
    window_seconds=90 * 86_400,
    revenue=Revenue("VariableValue", "0", "EUR"),
    enhanced=True,
)


def written(model: Any) -> bytes:
    """A model as the SDK puts it on the wire."""
    return json.dumps(ApiClient().sanitize_for_serialization(model)).encode()


def reply(body: object, status: int = 200) -> HttpReply:
    return HttpReply(
        status, {"TrackingId": "test-tracking"}, body if isinstance(body, bytes) else json.dumps(body).encode()
    )


# --- Asking for goals ------------------------------------------------------------------------------------------------


def test_the_sdk_reads_what_we_ask_for() -> None:
    """All types, and the members that Microsoft returns only when they are named."""
    asked = GetConversionGoalsByIdsRequest.from_dict(json.loads(encode_query()))
    assert asked is not None
    assert asked.conversion_goal_ids is None
    assert asked.conversion_goal_types.to_json().removeprefix("None, ") == ", ".join(TYPES)
    assert set(asked.return_additional_fields.to_json().split(", ")) - {"None"} == set(ADDITIONAL)


def test_the_goals_of_the_documentation_are_read() -> None:
    goals = [
        {
            "Type": "OfflineConversion", "Id": "48210331", "Name": "Closed deal", "Scope": "Account",
            "Status": "Active", "CountType": "All", "ConversionWindowInMinutes": 129600, "GoalCategory": "Purchase",
            "Revenue": {"CurrencyCode": "EUR", "Type": "VariableValue", "Value": 0.0},
            "IsEnhancedConversionsEnabled": False, "IsExternallyAttributed": False, "TagId": None,
        },
        None,
        {"Type": "UrlGoal", "Id": 7, "Name": "Visit", "Status": "Paused"},
        {"Type": "OfflineConversionGoal", "Id": "9", "Name": " closed deal", "ConversionWindowInMinutes": "60"},
    ]  # fmt: skip
    found = decode_goals(reply({"ConversionGoals": goals, "PartialErrors": [{"Code": 5314, "Index": 1}]}))
    assert found == (
        Goal(
            id="48210331",
            name="Closed deal",
            type="OfflineConversion",
            count_type="All",
            window_seconds=90 * 86_400,
            category="Purchase",
            revenue=Revenue("VariableValue", "0", "EUR"),
            enhanced=False,
            externally_attributed=False,
        ),
        Goal(id="7", name="Visit", type="Url", status="Paused"),
        Goal(id="9", name=" closed deal", type="OfflineConversion", window_seconds=3_600),
    )


def test_every_kind_of_goal_that_the_sdk_writes_is_read() -> None:
    common: dict[str, Any] = {"Id": "1", "Name": "A", "Status": "Active", "CountType": "Unique"}
    revenue = ConversionGoalRevenue(Type="FixedValue", Value=12.5, CurrencyCode="USD")
    models = [
        OfflineConversionGoal(**common, IsEnhancedConversionsEnabled=True, Revenue=revenue, Type="OfflineConversion"),
        UrlGoal(**{**common, "Id": "2"}, Type="Url"),
        EventGoal(**{**common, "Id": "3"}, Type="Event"),
    ]
    found = decode_goals(reply(written(GetConversionGoalsByIdsResponse(ConversionGoals=models, PartialErrors=[]))))
    assert not isinstance(found, RefusedBatch | Lost)
    assert [(goal.id, goal.type, goal.count_type) for goal in found] == [
        ("1", "OfflineConversion", "Unique"),
        ("2", "Url", "Unique"),
        ("3", "Event", "Unique"),
    ]
    assert (found[0].enhanced, found[0].revenue) == (True, Revenue("FixedValue", "12.5", "USD"))


@pytest.mark.parametrize("empty", [{"ConversionGoals": None}, {"ConversionGoals": [], "PartialErrors": None}])
def test_account_without_goals(empty: object) -> None:
    assert decode_goals(reply(empty)) == ()


FAILED_READINGS = [
    {"ConversionGoals": None, "PartialErrors": [{"Code": 0, "ErrorCode": "InternalError"}]},
    {"ConversionGoals": [], "PartialErrors": [{"Code": 0, "ErrorCode": "InternalError"}]},
    {"PartialErrors": [{"Code": 0, "ErrorCode": "InternalError"}]},
    {"ConversionGoals": None, "PartialErrors": [{"Code": 5314, "ErrorCode": "InvalidConversionGoalId", "Index": 0}]},
    {
        "ConversionGoals": [None, {"Id": 7, "Name": "Visit"}],
        "PartialErrors": [{"ErrorCode": "InternalError", "Index": 0}],
    },
    {"ConversionGoals": None, "PartialErrors": [{"Code": 9999, "ErrorCode": "SomethingNew", "Message": "No."}]},
    {"ConversionGoals": None, "PartialErrors": ["No."]},
]


@pytest.mark.parametrize("body", FAILED_READINGS)
def test_goals_that_are_missing_beside_errors_are_a_failed_reading(body: object) -> None:
    """Were it "no goals", each goal would be missing now, and new at the next good reading."""
    assert isinstance(decode_goals(reply(body)), RefusedBatch)


@pytest.mark.parametrize("odd", [b"", b"<html>", b"[]", {}, {"ConversionGoals": "none"}, {"error": "proxy"}])
def test_what_is_no_list_of_goals_is_a_lost_answer(odd: object) -> None:
    """Nothing must pass for "there are no goals": that would hold every row."""
    assert isinstance(decode_goals(reply(odd)), Lost)
    assert isinstance(account_properties.decode_auto_tagging(reply(odd)), Lost)
    assert isinstance(decode_new(reply(odd), 1), Lost)


@pytest.mark.parametrize(
    "odd", [7, "x", [], {}, {"Id": "1"}, {"Name": "A"}, {"Id": True, "Name": "A"}, {"Id": "x", "Name": "A"}]
)
def test_what_is_no_goal_is_passed_over(odd: object) -> None:
    assert decode_goals(reply({"ConversionGoals": [odd, {"Id": "2", "Name": "B", "Type": 3}]})) == (
        Goal(id="2", name="B", type="Unknown"),
    )


def test_what_no_column_takes_becomes_what_one_does() -> None:
    """Half of a surrogate, NUL, a window beyond 64 bits: a store would refuse the whole reading for one odd goal."""
    odd = {"Id": "1", "Name": "A\ud800\0", "Type": "\udfff", "ConversionWindowInMinutes": 10**18}
    assert decode_goals(reply({"ConversionGoals": [odd]})) == (Goal(id="1", name="A??", type="?"),)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner, max_size=3)))
def test_no_member_of_a_goal_is_too_odd(value: object) -> None:
    names = ("Type", "Status", "CountType", "ConversionWindowInMinutes", "GoalCategory", "Revenue")
    odd = {"Id": "1", "Name": "A", **dict.fromkeys(names, value), "IsEnhancedConversionsEnabled": value}
    found = decode_goals(reply({"ConversionGoals": [odd, {**odd, "Revenue": {"Type": value, "Value": value}}]}))
    assert isinstance(found, tuple)
    assert len(found) == 2


@pytest.mark.parametrize(
    ("status", "code", "verdict", "trouble"),
    [
        (401, 109, Verdict.TOKEN, "token_refresh_failed"),
        (400, 106, Verdict.ACCOUNT, "not_authorized"),
        (429, 117, Verdict.THROTTLED, "throttled"),
        (500, 0, Verdict.SERVER, "unreachable"),
    ],
)
def test_refusals_mean_what_they_mean_for_uploads(status: int, code: int, verdict: Verdict, trouble: str) -> None:
    body = {"TrackingId": "test", "Errors": [{"Code": code, "Message": "No."}]}
    for refused in (decode_goals(reply(body, status)), account_properties.decode_auto_tagging(reply(body, status))):
        assert isinstance(refused, RefusedBatch)
        assert (refused.verdict, refused.trouble) == (verdict, trouble)


def test_refusal_without_a_readable_error_is_judged_by_its_status() -> None:
    refused = decode_new(reply(b"<html>", 403), 1)
    assert isinstance(refused, RefusedBatch)
    assert (refused.verdict, refused.faults[0].error) == (Verdict.ACCOUNT, "Http403")


# --- Creating goals --------------------------------------------------------------------------------------------------

amounts = st.none() | st.decimals(0, 999_999_999, places=3).map(plain_decimal)
revenues = st.builds(Revenue, st.sampled_from(["NoValue", "FixedValue", "VariableValue"]), amounts, st.just("EUR"))


@given(
    st.builds(
        NewGoal,
        name=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=100),
        category=st.sampled_from(["Purchase", "Signup", "SubmitLeadForm"]),
        count_type=st.sampled_from(["All", "Unique"]),
        window_seconds=st.integers(1, 129_600).map(lambda minutes: minutes * 60),
        revenue=revenues,
        enhanced=st.booleans(),
    )
)
def test_the_sdk_reads_every_new_goal_as_we_mean_it(goal: NewGoal) -> None:
    document = json.loads(encode_new([goal, goal]))
    known = {field.alias for field in OfflineConversionGoal.model_fields.values()}
    assert document["ConversionGoals"][0].keys() <= known
    request = AddConversionGoalsRequest.from_dict(document)
    assert request is not None
    assert len(request.conversion_goals) == 2
    read = OfflineConversionGoal.from_dict(document["ConversionGoals"][0])
    assert read is not None
    assert (read.name, read.goal_category, read.count_type) == (goal.name, goal.category, goal.count_type)
    assert read.conversion_window_in_minutes * 60 == goal.window_seconds
    assert read.is_enhanced_conversions_enabled is goal.enhanced
    assert (read.type.to_json(), read.scope, read.status) == ("OfflineConversion", "Account", "Active")
    value = None if goal.revenue.value is None else float(Decimal(goal.revenue.value))
    assert (read.revenue.type, read.revenue.value, read.revenue.currency_code) == (goal.revenue.type, value, "EUR")


def test_goal_without_value_has_none() -> None:
    [goal] = json.loads(encode_new([replace(NEW, revenue=Revenue("NoValue"))]))["ConversionGoals"]
    assert goal["Revenue"] == {"Type": "NoValue"}


def test_each_goal_has_its_own_outcome() -> None:
    errors = [
        BatchErrorBase(Code=5317, ErrorCode="ConversionGoalNameAlreadyExists", Index=1, Message="There is one."),
        BatchErrorBase(Code=5337, ErrorCode="InvalidConversionGoalConversionWindow", Index=2, Message="Too long."),
    ]
    document = json.loads(written(AddConversionGoalsResponse(PartialErrors=errors)))
    document["ConversionGoalIds"] = ["48210331", None, None]  # the SDK writes no null
    assert decode_new(reply(document), 3) == (
        Created("48210331"),
        Exists(Fault("ConversionGoalNameAlreadyExists", 5317, "There is one.")),
        NotCreated(Fault("InvalidConversionGoalConversionWindow", 5337, "Too long.")),
    )


@pytest.mark.parametrize(
    "error",
    [
        {"Code": 5317, "ErrorCode": "ConversionGoalNameAlreadyExists"},
        {"Code": None, "ErrorCode": "ConversionGoalNameAlreadyExists"},
        {"Code": 0, "ErrorCode": "conversionGoalNameAlreadyExists"},
        {"ErrorCode": "5317"},
        {"Code": 5317},
    ],
)
def test_name_that_is_taken_is_known_by_symbol_or_number(error: dict[str, Any]) -> None:
    answer = decode_new(reply({"ConversionGoalIds": [None], "PartialErrors": [error | {"Index": 0}]}), 1)
    assert isinstance(answer, tuple)
    assert [type(creation) for creation in answer] == [Exists]


def test_refusals_without_any_list_of_ids_count_for_the_goals_that_they_name() -> None:
    errors = [{"Code": 5317, "Index": 1}, {"ErrorCode": "InvalidConversionGoalName", "Message": "Too long."}]
    answer = decode_new(reply({"ConversionGoalIds": None, "PartialErrors": errors}), 2)
    assert answer == (
        NotCreated(Fault("InvalidConversionGoalName", None, "Too long.")),
        Exists(Fault("Code5317", 5317, None)),
    )


def test_missing_ids_without_a_reason_are_a_lost_answer() -> None:
    assert isinstance(decode_new(reply({"ConversionGoalIds": None, "PartialErrors": []}), 2), Lost)


def test_properties_that_are_missing_beside_errors_are_a_failed_reading() -> None:
    body = {"AccountProperties": None, "PartialErrors": [{"Code": 106, "ErrorCode": "UserIsNotAuthorized"}]}
    answer = account_properties.decode_auto_tagging(reply(body))
    assert isinstance(answer, RefusedBatch)
    assert (answer.verdict, answer.trouble) == (Verdict.ACCOUNT, "not_authorized")


def test_ids_may_be_numbers_and_what_is_not_answered_was_not_created() -> None:
    first, second = decode_new(reply({"ConversionGoalIds": [7]}), 2)  # type: ignore[misc]
    assert first == Created("7")
    assert isinstance(second, NotCreated)


# --- Auto-tagging ----------------------------------------------------------------------------------------------------


def test_the_sdk_reads_which_property_we_ask_for() -> None:
    asked = GetAccountPropertiesRequest.from_dict(json.loads(account_properties.encode_query()))
    assert asked is not None
    assert list(asked.account_property_names) == ["MSCLKIDAutoTaggingEnabled"]


@pytest.mark.parametrize(
    ("value", "is_on"),
    [("true", True), ("True", True), ("FALSE", False), ("false", False), (True, True), ("", None), (None, None)],
)
def test_auto_tagging_is_a_text_in_any_case(value: object, is_on: bool | None) -> None:
    body = {"AccountProperties": [None, {"Name": "Other"}, {"Name": "MSCLKIDAutoTaggingEnabled", "Value": value}]}
    assert account_properties.decode_auto_tagging(reply(body)) is is_on


def test_auto_tagging_that_the_sdk_writes_is_read() -> None:
    named = AccountProperty(Name="MSCLKIDAutoTaggingEnabled", Value="false")
    answer = GetAccountPropertiesResponse(AccountProperties=[named], PartialErrors=[])
    assert account_properties.decode_auto_tagging(reply(written(answer))) is False


def test_account_that_says_nothing_of_auto_tagging() -> None:
    assert account_properties.decode_auto_tagging(reply({"AccountProperties": []})) is None
