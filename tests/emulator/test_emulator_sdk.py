"""Microsoft's own REST SDK as the judge: what its models write we take, what we answer its models read."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from emulator_kit import HOUR, NOON, Client, adjustment, at, conversion
from openapi_client.api_client import ApiClient
from openapi_client.models.campaign.ad_api_fault_detail import AdApiFaultDetail
from openapi_client.models.campaign.add_conversion_goals_request import AddConversionGoalsRequest
from openapi_client.models.campaign.add_conversion_goals_response import AddConversionGoalsResponse
from openapi_client.models.campaign.api_fault_detail import ApiFaultDetail
from openapi_client.models.campaign.apply_offline_conversion_adjustments_request import (
    ApplyOfflineConversionAdjustmentsRequest,
)
from openapi_client.models.campaign.apply_offline_conversions_request import ApplyOfflineConversionsRequest
from openapi_client.models.campaign.apply_offline_conversions_response import ApplyOfflineConversionsResponse
from openapi_client.models.campaign.get_account_properties_response import GetAccountPropertiesResponse
from openapi_client.models.campaign.get_conversion_goals_by_ids_response import GetConversionGoalsByIdsResponse
from openapi_client.models.campaign.get_offline_conversion_report_by_goal_ids_response import (
    GetOfflineConversionReportByGoalIdsResponse,
)
from openapi_client.models.campaign.offline_conversion import OfflineConversion
from openapi_client.models.campaign.offline_conversion_adjustment import OfflineConversionAdjustment
from openapi_client.models.campaign.offline_conversion_goal import OfflineConversionGoal
from openapi_client.models.customer.get_user_response import GetUserResponse
from openapi_client.models.customer.search_accounts_response import SearchAccountsResponse

AT = datetime.fromtimestamp((NOON - HOUR) / 1000, UTC)


def written(model: Any) -> bytes:
    """The request as the SDK puts it on the wire."""
    return json.dumps(ApiClient().sanitize_for_serialization(model)).encode()


async def test_conversion_written_by_the_sdk_is_accepted(client: Client) -> None:
    row = OfflineConversion(
        MicrosoftClickId="f894f652ea334e739002f7167ab8f8e3",
        ConversionName="Purchase",
        ConversionTime=AT,
        ConversionValue=10.0,
        ConversionCurrencyCode="EUR",
    )
    body = written(ApplyOfflineConversionsRequest(OfflineConversions=[row]))
    assert (await client.campaign("OfflineConversions/Apply", body)).json() == {"PartialErrors": []}


async def test_adjustment_written_by_the_sdk_finds_its_conversion(client: Client) -> None:
    await client.apply(conversion(1))
    keys = {name: conversion(1)[name] for name in ("MicrosoftClickId", "ConversionName")}
    row = OfflineConversionAdjustment(AdjustmentType="Retract", AdjustmentTime=AT, ConversionTime=AT, **keys)
    body = written(ApplyOfflineConversionAdjustmentsRequest(OfflineConversionAdjustments=[row]))
    assert (await client.campaign("OfflineConversionAdjustments/Apply", body)).json() == {"PartialErrors": []}
    assert [entry["adjusted"] for entry in await client.stored()] == ["Retract"]


async def test_goal_written_by_the_sdk_is_added_and_read_back(client: Client) -> None:
    goal = OfflineConversionGoal(
        Name="By SDK", Type="OfflineConversion", GoalCategory="Purchase", ConversionWindowInMinutes=1440
    )
    reply = await client.campaign("ConversionGoals", written(AddConversionGoalsRequest(ConversionGoals=[goal])))
    added = AddConversionGoalsResponse.from_dict(reply.json())
    body = {
        "ConversionGoalIds": added.conversion_goal_ids,
        "ConversionGoalTypes": "OfflineConversion",
        "ReturnAdditionalFields": "None, GoalCategory",
    }
    listed = (await client.campaign("ConversionGoals/QueryByIds", body)).json()
    (found,) = GetConversionGoalsByIdsResponse.from_dict(listed).conversion_goals
    assert type(found) is OfflineConversionGoal
    assert (found.name, found.goal_category, found.conversion_window_in_minutes) == ("By SDK", "Purchase", 1440)


async def test_partial_errors_are_read_by_the_sdk(client: Client) -> None:
    reply = await client.apply(conversion(1, ConversionName="Nobody"))
    (error,) = ApplyOfflineConversionsResponse.from_dict(reply.json()).partial_errors
    assert (error.code, error.error_code, error.index) == (5606, "OfflineConversionNameInvalid", 0)


@pytest.mark.parametrize(
    ("shape", "model", "errors"),
    [
        ("AdApiFaultDetail", AdApiFaultDetail, "errors"),
        ("ApiFaultDetail", ApiFaultDetail, "operation_errors"),
    ],
)
async def test_faults_are_read_by_the_sdk(client: Client, shape: str, model: Any, errors: str) -> None:
    action = {"type": "fault", "code": 117, "shape": shape}
    await client.control("POST", "faults", {"action": action})
    reply = await client.apply(conversion(1))
    fault = model.from_dict(reply.json())
    assert fault.tracking_id == reply.headers["TrackingId"]
    assert [(error.code, error.error_code) for error in getattr(fault, errors)] == [(117, "CallRateExceeded")]


async def test_report_is_read_by_the_sdk(client: Client) -> None:
    await client.apply(conversion(1))
    await client.adjust(adjustment(2, "Retract"))
    body = {"StartDateUtc": at(NOON - HOUR), "EndDateUtc": at(NOON), "GoalIds": ["1"]}
    reply = await client.campaign("OfflineConversionReport/QueryByGoalIds", body)
    (found,) = GetOfflineConversionReportByGoalIdsResponse.from_dict(reply.json()).offline_goal_conversion_summaries
    assert (found.overall_success_count, found.overall_unattributed_count) == ("1", "1")
    assert found.daily_summaries[0].success_count == 1
    assert found.daily_summaries[0].alerts[0].unattributed_reason == "AdjustmentOriginalNotFound"


async def test_account_property_is_read_by_the_sdk(client: Client) -> None:
    reply = await client.campaign("AccountProperties/Query", {"AccountPropertyNames": ["MSCLKIDAutoTaggingEnabled"]})
    (found,) = GetAccountPropertiesResponse.from_dict(reply.json()).account_properties
    assert (found.name, found.value) == ("MSCLKIDAutoTaggingEnabled", "true")


async def test_user_and_accounts_are_read_by_the_sdk(client: Client) -> None:
    user = GetUserResponse.from_dict((await client.customer("User/Query", {})).json())
    assert [role.role_id for role in user.customer_roles] == [41, 41]
    body = {
        "Predicates": [{"Field": "UserId", "Operator": "Equals", "Value": user.user.id}],
        "PageInfo": {"Index": 0, "Size": 10},
    }
    accounts = SearchAccountsResponse.from_dict((await client.customer("Accounts/Search", body)).json()).accounts
    assert [one.id for one in accounts] == ["200000001", "200000002", "200000900"]
