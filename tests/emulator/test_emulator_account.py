"""Account properties, the by-goal report and Customer Management."""

from pathlib import Path
from typing import Any

import pytest
from emulator_kit import HOUR, NOON, Client, Serve, StillClock, adjustment, at, click_id, conversion

from sidecar.emulator import ACCOUNT_ID, CUSTOMER_ID

DAY = 24 * HOUR


async def goal_ids(client: Client) -> list[str]:
    body = {"ConversionGoalTypes": "OfflineConversion"}
    reply = await client.campaign("ConversionGoals/QueryByIds", body)
    return [goal["Id"] for goal in reply.json()["ConversionGoals"]]


# --- Properties -------------------------------------------------------------------------------------------------------


async def tagging(client: Client) -> list[dict[str, str]]:
    reply = await client.campaign("AccountProperties/Query", {"AccountPropertyNames": ["MSCLKIDAutoTaggingEnabled"]})
    found: list[dict[str, str]] = reply.json()["AccountProperties"]
    return found


async def put(client: Client, *pairs: dict[str, str]) -> Any:
    return await client.campaign("AccountProperties/Set", {"AccountProperties": pairs})


async def test_auto_tagging_is_on_can_be_turned_off_and_comes_back_with_a_new_goal(client: Client) -> None:
    assert await tagging(client) == [{"Name": "MSCLKIDAutoTaggingEnabled", "Value": "true"}]
    assert (await put(client, {"Name": "MSCLKIDAutoTaggingEnabled", "Value": "False"})).json() == {}
    assert await tagging(client) == [{"Name": "MSCLKIDAutoTaggingEnabled", "Value": "False"}]
    new = {"Name": "New goal", "GoalCategory": "Other"}
    assert (await client.campaign("ConversionGoals", {"ConversionGoals": [new]})).errors == []
    assert await tagging(client) == [{"Name": "MSCLKIDAutoTaggingEnabled", "Value": "true"}]


async def test_properties_are_set_all_or_none(client: Client) -> None:
    suffix = {"Name": "FinalUrlSuffix", "Value": "src=bing"}
    assert (await put(client, suffix, {"Name": "Nothing", "Value": "1"})).status == 400
    assert (await put(client, suffix, {"Name": "MSCLKIDAutoTaggingEnabled", "Value": "1"})).status == 400
    reply = await client.campaign("AccountProperties/Query", {"AccountPropertyNames": ["FinalUrlSuffix"]})
    assert reply.json()["AccountProperties"] == [{"Name": "FinalUrlSuffix", "Value": None}]


async def test_properties_must_be_named(client: Client) -> None:
    assert (await client.campaign("AccountProperties/Query", {})).fault == "NullArrayArgument"
    wrong = await client.campaign("AccountProperties/Query", {"AccountPropertyNames": ["Nothing"]})
    assert wrong.fault == "ApiInputValidationError"


# --- Report -----------------------------------------------------------------------------------------------------------


async def report(client: Client, ids: list[str], start: int, end: int, channel: str | None = None) -> Any:
    body = {"StartDateUtc": at(start), "EndDateUtc": at(end), "GoalIds": ids, "UploadChannelFilter": channel}
    return await client.campaign("OfflineConversionReport/QueryByGoalIds", body)


async def test_report_counts_success_duplicates_and_lost_adjustments_by_day(client: Client, clock: StillClock) -> None:
    await client.apply(conversion(1), conversion(2), conversion(1))
    await client.adjust(adjustment(1), adjustment(3))
    clock.now += DAY
    await client.sign_in()
    await client.apply(conversion(2), conversion(4))
    goal_id, *_ = await goal_ids(client)
    (found,) = (await report(client, [goal_id], NOON - DAY, NOON + DAY)).json()["OfflineGoalConversionSummaries"]
    assert (found["GoalId"], found["ConversionName"]) == (goal_id, "Purchase")
    assert (found["OverallSuccessCount"], found["OverallUnattributedCount"]) == ("4", "3")
    assert found["OverallSuccessRate"] == round(4 / 7, 6)
    assert sorted((alert["UnattributedReason"], alert["Count"]) for alert in found["OverallAlerts"]) == [
        ("AdjustmentOriginalNotFound", "1"),
        ("DuplicateConversionKey", "2"),
    ]
    shown = [(day["UploadDate"], day["SuccessCount"], day["UnattributedCount"]) for day in found["DailySummaries"]]
    assert shown == [("2026-11-20T00:00:00", 3, 2), ("2026-11-21T00:00:00", 1, 1)]


async def test_click_of_another_account_is_accepted_and_not_counted(client: Client) -> None:
    """Help: click ids not of your account still show as uploaded successfully."""
    click = {"msclkid": click_id(1), "account_id": "4711", "clicked_at": NOON - DAY}
    await client.control("POST", "clicks", click)
    assert (await client.apply(conversion(1))).errors == []
    goal_id, *_ = await goal_ids(client)
    (found,) = (await report(client, [goal_id], NOON - DAY, NOON)).json()["OfflineGoalConversionSummaries"]
    assert found["OverallAlerts"] == [{"UnattributedReason": "AccountMismatch", "Count": "1"}]


async def test_report_is_per_account_channel_and_range(client: Client) -> None:
    await client.apply(conversion(1))
    goal_id, *_ = await goal_ids(client)

    async def success(start: int, end: int, channel: str | None = None) -> str:
        (found,) = (await report(client, [goal_id], start, end, channel)).json()["OfflineGoalConversionSummaries"]
        return str(found["OverallSuccessCount"])

    assert await success(NOON - DAY, NOON) == "1"
    assert await success(NOON - DAY, NOON, "CampaignManagementAPI, BulkAPI") == "1"
    assert await success(NOON - DAY, NOON, "WebUpload") == "0"
    assert await success(NOON - 7 * DAY, NOON - DAY) == "0"
    client.headers["CustomerAccountId"] = "4711"
    assert await success(NOON - DAY, NOON) == "0"


async def test_report_has_limits(client: Client) -> None:
    assert (await report(client, ["1"], NOON - 7 * DAY, NOON + 1000)).status == 400
    assert (await report(client, ["1"], NOON, NOON - DAY)).status == 400
    assert (await report(client, ["1"] * 21, NOON - DAY, NOON)).status == 400
    assert (await report(client, [], NOON - DAY, NOON)).status == 400
    assert (await report(client, ["1", "99999"], NOON - DAY, NOON)).errors == [(1, "InvalidConversionGoalId")]


# --- Customer Management ----------------------------------------------------------------------------------------------


async def test_signed_in_user_leads_to_the_accounts_and_their_customer(serve: Serve) -> None:
    async with serve(accounts=(("11", "2001"), ("11", "2002"), ("12", "2003"))) as client:
        found = (await client.customer("User/Query", {"UserId": None})).json()
        assert [role["CustomerId"] for role in found["CustomerRoles"]] == ["11", "12"]
        accounts = await search(client, "UserId", found["User"]["Id"])
        assert [(one["ParentCustomerId"], one["Id"]) for one in accounts] == [
            ("11", "2001"),
            ("11", "2002"),
            ("12", "2003"),
        ]
        assert [one["Id"] for one in await search(client, "UserId", found["User"]["Id"], Size=2, Index=1)] == ["2003"]
        assert [one["Id"] for one in await search(client, "AccountId", "2002")] == ["2002"]


async def search(client: Client, field: str, value: str, **page: int) -> list[Any]:
    body = {
        "Predicates": [{"Field": field, "Operator": "Equals", "Value": value}],
        "PageInfo": {"Index": 0, "Size": 1000, **page},
    }
    found: list[Any] = (await client.customer("Accounts/Search", body)).json()["Accounts"]
    return found


IS_USER = {"Field": "UserId", "Operator": "Equals", "Value": "300000001"}


async def test_user_reaches_two_customers_and_three_accounts_where_none_are_named(client: Client) -> None:
    found = (await client.customer("User/Query", {})).json()
    accounts = await search(client, "UserId", found["User"]["Id"])
    assert [(one["ParentCustomerId"], one["Id"], one["AccountLifeCycleStatus"]) for one in accounts] == [
        (CUSTOMER_ID, ACCOUNT_ID, "Active"),
        ("100000002", "200000002", "Active"),
        (CUSTOMER_ID, "200000900", "Inactive"),
    ]
    assert [role["CustomerId"] for role in found["CustomerRoles"]] == [CUSTOMER_ID, "100000002"]
    assert {one["CurrencyCode"] for one in accounts} == {"USD", "EUR"}
    assert all(one["Number"] != one["Id"] for one in accounts)


async def test_accounts_are_ordered_by_id_name_or_number(client: Client) -> None:
    async def order(field: str, direction: str) -> list[str]:
        body = {
            "Predicates": [IS_USER],
            "Ordering": [{"Field": field, "Order": direction}],
            "PageInfo": {"Index": 0, "Size": 10},
        }
        return [one["Id"][-1] for one in (await client.customer("Accounts/Search", body)).json()["Accounts"]]

    assert await order("Id", "Ascending") == ["1", "2", "0"]
    assert await order("Number", "Descending") == ["0", "2", "1"]
    assert await order("Name", "Ascending") == ["2", "1", "0"]


async def test_accounts_are_added_changed_and_taken_away(client: Client) -> None:
    added = (await client.control("PUT", "accounts/4711", {"customer_id": "77", "name": "New"})).json()
    assert (added["name"], added["status"], added["currency"]) == ("New", "Active", "USD")
    await client.control("PUT", "accounts/4711", {"status": "Suspended"})
    await client.control("DELETE", "accounts/200000900")
    found = await search(client, "UserId", "300000001")
    assert [(one["Id"], one["Name"], one["AccountLifeCycleStatus"]) for one in found] == [
        ("4711", "New", "Suspended"),
        (ACCOUNT_ID, "Example Shop", "Active"),
        ("200000002", "Example Client", "Active"),
    ]
    assert (await client.control("DELETE", "accounts/200000900")).status == 404
    assert (await client.control("PUT", "accounts/4711", {"status": "Gone"})).status == 422
    await client.control("POST", "reset", {})
    listed = (await client.control("GET", "accounts")).json()["items"]
    assert [one["account_id"] for one in listed] == [ACCOUNT_ID, "200000002", "200000900"]


async def test_user_gets_another_role_until_the_reset(client: Client) -> None:
    async def roles() -> set[int]:
        found = (await client.customer("User/Query", {})).json()
        return {role["RoleId"] for role in found["CustomerRoles"]}

    assert await roles() == {41}
    await client.control("PUT", "user", {"role_id": 100})
    assert await roles() == {100}
    await client.sign_in()
    await client.control("POST", "reset", {})
    await client.sign_in()
    assert await roles() == {41}


async def test_account_that_is_not_active_takes_no_conversions(client: Client) -> None:
    await client.control("PUT", f"accounts/{ACCOUNT_ID}", {"status": "Inactive"})
    assert (await client.apply(conversion(1))).fault == "CampaignServiceInvalidAccountStatus"
    assert await goal_ids(client) != []
    await client.control("PUT", f"accounts/{ACCOUNT_ID}", {"status": "Active"})
    assert (await client.apply(conversion(1))).errors == []


@pytest.mark.parametrize("named", [{}, {"accounts": ((CUSTOMER_ID, ACCOUNT_ID), (CUSTOMER_ID, "2002"))}])
async def test_account_taken_away_is_refused(serve: Serve, named: dict[str, Any]) -> None:
    async with serve(**named) as client:
        assert (await client.apply(conversion(1))).errors == []
        await client.control("DELETE", f"accounts/{ACCOUNT_ID}")
        assert (await client.apply(conversion(1))).fault == "CampaignServiceInvalidAccountId"
        await client.control("PUT", f"accounts/{ACCOUNT_ID}", {})
        assert (await client.apply(conversion(1))).errors == []


async def test_account_that_sends_is_the_users_where_none_are_named(client: Client) -> None:
    assert (await client.apply(conversion(1), CustomerId="77", CustomerAccountId="4711")).errors == []
    assert [one["ParentCustomerId"] for one in await search(client, "AccountId", "4711")] == ["77"]


async def test_swapped_ids_are_105_and_no_new_account(client: Client) -> None:
    swapped = {"CustomerId": ACCOUNT_ID, "CustomerAccountId": CUSTOMER_ID}
    assert (await client.apply(conversion(1), **swapped)).fault == "InvalidCredentials"
    await client.emulator.add_accounts([(ACCOUNT_ID, CUSTOMER_ID)])
    assert await search(client, "AccountId", CUSTOMER_ID) == []


async def test_accounts_survive_a_restart_and_named_ones_replace_them(serve: Serve, tmp_path: Path) -> None:
    async def ids(**options: Any) -> list[str]:
        async with serve(state_file=tmp_path / "emulator.db", **options) as client:
            await client.emulator.add_accounts([("5", "5001"), (CUSTOMER_ID, ACCOUNT_ID)])
            return [one["Id"] for one in await search(client, "UserId", "300000001")]

    assert await ids() == ["5001", ACCOUNT_ID, "200000002", "200000900"]
    assert await ids() == ["5001", ACCOUNT_ID, "200000002", "200000900"]
    assert await ids(accounts=(("11", "2001"),)) == ["2001", "5001", ACCOUNT_ID]


async def test_nothing_is_found_without_page_size_or_with_a_short_value(client: Client) -> None:
    """PageInfo.Size left 0, or a predicate value shorter than 4 characters."""
    assert await search(client, "AccountId", ACCOUNT_ID, Size=0) == []
    assert await search(client, "AccountId", "200") == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"Predicates": [IS_USER]},
        {"Predicates": [{**IS_USER, "Operator": None}], "PageInfo": {"Size": 5}},
        {"Predicates": [{**IS_USER, "Operator": "Contains"}], "PageInfo": {"Size": 5}},
        {"Predicates": [IS_USER, {**IS_USER, "Field": "AccountId"}], "PageInfo": {"Size": 5}},
        {"Predicates": [IS_USER], "PageInfo": {"Size": 1001}},
        {"Predicates": [IS_USER], "PageInfo": {"Size": 5}, "Ordering": [{"Field": "Currency"}]},
        {"Predicates": [IS_USER], "PageInfo": {"Size": 5}, "Ordering": [{"Field": "Id"}, {"Field": "Name"}]},
    ],
)
async def test_wrong_search_is_refused_without_a_symbol(client: Client, body: dict[str, Any]) -> None:
    """Customer Management's faults have no ErrorCode."""
    reply = await client.customer("Accounts/Search", body)
    assert (reply.status, reply.json()["Type"]) == (400, "ApiFault")
    assert reply.json()["OperationErrors"][0].keys() == {"Code", "Details", "Message"}


async def test_other_users_are_not_shown(client: Client) -> None:
    assert (await client.customer("User/Query", {})).status == 200
    assert (await client.customer("User/Query", {"UserId": "5"})).status == 403
    client.headers["Authorization"] = "Bearer test-unknown"
    assert (await client.customer("User/Query", {})).status == 401
