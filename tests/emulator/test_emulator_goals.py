"""Conversion goals: mapped, added, listed, changed."""

from typing import Any

import pytest
from emulator_kit import HOUR, Client, Serve, StillClock, conversion

from sidecar.emulator import ACCOUNT_ID, MappedGoal

EVERYTHING = "GoalCategory, IsEnhancedConversionsEnabled, IsExternallyAttributed"


def goal(name: str = "New goal", **fields: Any) -> dict[str, Any]:
    return {
        "Type": "OfflineConversion",
        "Name": name,
        "GoalCategory": "Purchase",
        "CountType": "All",
        "ConversionWindowInMinutes": 129600,
        "Scope": "Account",
        "Status": "Active",
        "Revenue": {"Type": "VariableValue", "Value": 0, "CurrencyCode": "EUR"},
        **fields,
    }


async def add(client: Client, *goals: Any, **headers: str) -> Any:
    return await client.campaign("ConversionGoals", {"ConversionGoals": goals}, **headers)


async def listed(client: Client, ids: Any = None, more: str | None = None, **headers: str) -> list[Any]:
    body = {"ConversionGoalIds": ids, "ConversionGoalTypes": "OfflineConversion", "ReturnAdditionalFields": more}
    found: list[Any] = (await client.campaign("ConversionGoals/QueryByIds", body, **headers)).json()["ConversionGoals"]
    return found


# --- Mapped goals and adding ------------------------------------------------------------------------------------------


async def test_mapped_goals_exist_in_every_account_and_are_old_enough(client: Client) -> None:
    for account in (ACCOUNT_ID, "4711"):
        assert [one["Name"] for one in await listed(client, CustomerAccountId=account)] == [
            "Purchase",
            "Plain",
            "Outside",
        ]
    assert (await client.apply(conversion(1), CustomerAccountId="4711")).errors == []


async def test_added_goal_takes_conversions_two_hours_later(client: Client, clock: StillClock) -> None:
    """After creating a goal wait 2 h, else 5615."""
    reply = (await add(client, goal())).json()
    assert reply["PartialErrors"] == []
    assert [type(goal_id) for goal_id in reply["ConversionGoalIds"]] == [str]
    row = conversion(1, ConversionName="New goal")
    clock.now += 2 * HOUR - 1
    await client.sign_in()
    assert (await client.apply(row)).errors == [(0, "OfflineConversionNotAcceptedForGoal")]
    clock.now += 1
    assert (await client.apply(row)).errors == []


async def test_goal_of_another_type_takes_no_uploads_and_is_listed_with_its_type_only(client: Client) -> None:
    await client.control("POST", "goals", {"goal": {"Name": "Visit", "Type": "Url"}})
    assert (await client.apply(conversion(1, ConversionName="Visit"))).errors == [(0, "OfflineConversionNameInvalid")]
    assert "Visit" not in [one["Name"] for one in await listed(client)]
    body = {"ConversionGoalIds": None, "ConversionGoalTypes": "Url, OfflineConversion"}
    found = (await client.campaign("ConversionGoals/QueryByIds", body)).json()["ConversionGoals"]
    assert [one["Type"] for one in found if one["Name"] == "Visit"] == ["Url"]


async def test_name_is_taken_for_every_account_of_the_customer(client: Client) -> None:
    await add(client, goal("Mine"))
    other = {"CustomerAccountId": "4711"}
    assert "Mine" not in [one["Name"] for one in await listed(client, **other)]
    assert (await add(client, goal("Mine"), **other)).errors == [(0, "ConversionGoalNameAlreadyExists")]
    assert (await add(client, goal("Mine"), CustomerId="4712", **other)).errors == []


async def test_failed_goal_is_null_at_its_position(client: Client) -> None:
    reply = await add(client, goal("First"), goal("First"), None, goal("Purchase"), goal("Last"))
    assert [goal_id is None for goal_id in reply.json()["ConversionGoalIds"]] == [False, True, True, True, False]
    assert reply.errors == [
        (1, "DuplicateConversionGoalName"),
        (2, "ConversionGoalIsNull"),
        (3, "ConversionGoalNameAlreadyExists"),
    ]


@pytest.mark.parametrize(
    ("fields", "symbol"),
    [
        ({"Id": "5"}, "ConversionGoalIdIsNotNull"),
        ({"Name": None}, "ConversionGoalNameNotPassed"),
        ({"Name": "n" * 101}, "InvalidConversionGoalName"),
        ({"Type": "Url"}, "ConversionGoalTypeNotMatched"),
        ({"Status": "Deleted"}, "InvalidConversionGoalStatus"),
        ({"GoalCategory": None}, "ConversionGoalCategoryInvalid"),
        ({"ConversionWindowInMinutes": 0}, "InvalidConversionGoalConversionWindow"),
        ({"ConversionWindowInMinutes": 129601}, "InvalidConversionGoalConversionWindow"),
        ({"Revenue": {"Type": "Sometimes"}}, "InvalidConversionGoalRevenueType"),
        ({"Revenue": {"Type": "NoValue", "Value": 1}}, "InvalidConversionGoalRevenueValue"),
        ({"Revenue": {"Type": "FixedValue"}}, "InvalidConversionGoalRevenueValue"),
        ({"Revenue": {"Type": "VariableValue", "Value": -1}}, "InvalidConversionGoalRevenueValue"),
        ({"Revenue": {"Type": "VariableValue", "CurrencyCode": "??"}}, "GoalCurrencyCodeNotSupported"),
        ({"Revenue": {"Type": "VariableValue"}, "Scope": "Customer"}, "GoalCurrencyCodeIsNull"),
    ],
)
async def test_wrong_goal_is_refused_for_exactly_one_reason(
    client: Client, fields: dict[str, Any], symbol: str
) -> None:
    assert (await add(client, goal(**fields))).errors == [(0, symbol)]
    assert len(await listed(client)) == 3


@pytest.mark.parametrize(
    "fields",
    [
        {"CountType": "Some"},
        {"Scope": "World"},
        {"GoalCategory": "Gift"},
        {"ConversionWindowInMinutes": 1.5},
        {"Revenue": 5},
        {"IsEnhancedConversionsEnabled": "true"},
        {"Name": 5},
    ],
)
async def test_goal_with_a_value_of_no_known_kind_refuses_the_whole_request(
    client: Client, fields: dict[str, Any]
) -> None:
    reply = await add(client, goal("Fine"), goal(**fields))
    assert (reply.status, reply.fault) == (400, "ApiInputValidationError")
    assert len(await listed(client)) == 3


@pytest.mark.parametrize("member", ["ConversionWindowInMinutes", "Revenue"])
@pytest.mark.parametrize("written", ["1e9999999", "1e999999999", "1e99999999999999999999", "9" * 5_000])
async def test_goal_with_a_monstrous_number_is_refused_at_once(client: Client, member: str, written: str) -> None:
    value = f'{{"Type": "FixedValue", "Value": {written}}}' if member == "Revenue" else written
    body = f'{{"ConversionGoals": [{{"Type": "OfflineConversion", "Name": "Monster", "{member}": {value}}}]}}'
    reply = await client.campaign("ConversionGoals", body)
    assert (reply.status, reply.fault) == (400, "ApiInputValidationError")


@pytest.mark.parametrize("size", ["1e308", "9" * 300])
async def test_goal_with_a_large_number_is_wrong_in_itself(client: Client, size: str) -> None:
    goal = f'{{"Type": "OfflineConversion", "Name": "Large", "ConversionWindowInMinutes": {size}}}'
    body = f'{{"ConversionGoals": [{goal}]}}'
    reply = await client.campaign("ConversionGoals", body)
    assert "InvalidConversionGoalConversionWindow" in [symbol for _, symbol in reply.errors]


async def test_hundred_goals_at_most(client: Client) -> None:
    assert (await add(client)).fault == "ConversionGoalsNotPassed"
    many = [goal(str(number)) for number in range(101)]
    assert (await add(client, *many)).fault == "ConversionGoalArrayExceedsLimit"
    assert (await add(client, *many[:100])).errors == []


async def test_enhanced_goal_needs_the_terms_to_be_accepted(serve: Serve) -> None:
    """The terms are accepted in the web interface; the API cannot do it."""
    async with serve(enhanced_terms_accepted=False) as client:
        reply = await add(client, goal(IsEnhancedConversionsEnabled=True))
        assert reply.errors == [(0, "NotEligibleForEnhancedConversions")]


async def test_name_is_unique_per_customer_and_a_goal_of_the_customer_serves_all_its_accounts(client: Client) -> None:
    await add(client, goal("Shared", Scope="Customer"), goal("Own"))
    taken = await add(client, goal("Own"), CustomerAccountId="4711")
    assert taken.errors == [(0, "ConversionGoalNameAlreadyExists")]
    names = [one["Name"] for one in await listed(client, CustomerAccountId="4711")]
    assert "Shared" in names
    assert "Own" not in names
    assert (await add(client, goal("Own"), CustomerId="999", CustomerAccountId="4712")).errors == []


async def test_mapped_goal_can_be_of_any_kind(serve: Serve) -> None:
    mapped = MappedGoal(
        name="Lead", category="SubmitLeadForm", count_type="Unique", window_minutes=1440, revenue="NoValue"
    )
    async with serve(goals=(mapped,)) as client:
        (found,) = await listed(client, more=EVERYTHING)
        assert (found["CountType"], found["ConversionWindowInMinutes"]) == ("Unique", 1440)
        assert (found["GoalCategory"], found["Revenue"]["Type"]) == ("SubmitLeadForm", "NoValue")
        assert found["Revenue"]["Value"] is None


# --- Listing ----------------------------------------------------------------------------------------------------------


async def test_some_members_come_only_when_asked_for(client: Client) -> None:
    bare = (await listed(client))[0]
    full = (await listed(client, more=EVERYTHING))[0]
    assert (bare["GoalCategory"], bare["IsEnhancedConversionsEnabled"], bare["IsExternallyAttributed"]) == (None,) * 3
    assert (full["GoalCategory"], full["IsEnhancedConversionsEnabled"]) == ("Purchase", True)
    assert full["Revenue"] == {"Type": "VariableValue", "Value": 0.0, "CurrencyCode": "EUR"}
    assert bare.keys() == full.keys()


async def test_goals_are_listed_in_the_order_asked_for_with_null_for_unknown_ones(client: Client) -> None:
    first, second, _ = [one["Id"] for one in await listed(client)]
    body = {"ConversionGoalIds": [second, "99999", first], "ConversionGoalTypes": "OfflineConversion, Url"}
    reply = await client.campaign("ConversionGoals/QueryByIds", body)
    assert [one and one["Id"] for one in reply.json()["ConversionGoals"]] == [second, None, first]
    assert reply.errors == [(1, "InvalidConversionGoalId")]


@pytest.mark.parametrize(
    ("body", "symbol"),
    [
        ({}, "ConversionGoalTypesNotPassed"),
        ({"ConversionGoalTypes": "OfflineConversion Url"}, "ApiInputValidationError"),
        ({"ConversionGoalTypes": "OfflineConversion", "ReturnAdditionalFields": "All"}, "ApiInputValidationError"),
        (
            {"ConversionGoalTypes": "OfflineConversion", "ConversionGoalIds": ["1"] * 101},
            "ConversionGoalIdArrayExceedsLimit",
        ),
    ],
)
async def test_wrong_listing_is_refused(client: Client, body: dict[str, Any], symbol: str) -> None:
    assert (await client.campaign("ConversionGoals/QueryByIds", body)).fault == symbol


async def test_other_types_of_goals_do_not_exist_here(client: Client) -> None:
    reply = await client.campaign("ConversionGoals/QueryByIds", {"ConversionGoalTypes": "Url"})
    assert reply.json() == {"ConversionGoals": [], "PartialErrors": []}


# --- Changing ---------------------------------------------------------------------------------------------------------


async def change(client: Client, *goals: Any) -> Any:
    return await client.campaign("ConversionGoals", {"ConversionGoals": goals}, method="PUT")


async def test_paused_goal_takes_no_conversions_until_it_is_active_again(client: Client) -> None:
    goal_id = (await listed(client))[0]["Id"]
    assert (await change(client, {"Type": "OfflineConversion", "Id": goal_id, "Status": "Paused"})).errors == []
    assert (await client.apply(conversion(1))).errors == [(0, "OfflineConversionNameInvalid")]
    await change(client, {"Id": goal_id, "Status": "Active"})
    assert (await client.apply(conversion(1))).errors == []


async def test_members_that_are_left_out_or_null_stay_and_revenue_is_replaced_whole(client: Client) -> None:
    before = (await listed(client, more=EVERYTHING))[0]
    await change(client, {"Id": before["Id"], "CountType": "Unique", "Name": None, "Revenue": {"Type": "NoValue"}})
    after = (await listed(client, more=EVERYTHING))[0]
    revenue = {"Type": "NoValue", "Value": None, "CurrencyCode": None}
    assert after == {**before, "CountType": "Unique", "Revenue": revenue}


async def test_wrong_changes_are_named_by_index(client: Client) -> None:
    first, second, _ = [one["Id"] for one in await listed(client)]
    reply = await change(
        client,
        None,
        {"Name": "No id"},
        {"Id": "99999"},
        {"Id": first, "Scope": "Customer"},
        {"Id": first, "Status": "Paused"},
        {"Id": second, "Name": "Purchase"},
        {"Id": second, "Type": "Url"},
    )
    assert reply.errors == [
        (0, "ConversionGoalIsNull"),
        (1, "ConversionGoalIdIsNull"),
        (2, "InvalidConversionGoalId"),
        (3, "GoalTypeCannotBeChanged"),
        (4, "DuplicateConversionGoalId"),
        (5, "ConversionGoalNameAlreadyExists"),
        (6, "DuplicateConversionGoalId"),
        (6, "GoalTypeCannotBeChanged"),
    ]
