"""The by-goal report: what counts, why the rest does not, and reports on a bad day."""

from typing import Any

import pytest
from emulator_kit import HOUR, NOON, Client, Serve, StillClock, adjustment, at, click_id, conversion

from sidecar.emulator import ACCOUNT_ID

DAY = 24 * HOUR
HASH = "c5" * 32
GOAL_IDS = {"Purchase": "1", "Plain": "2", "Outside": "3"}
REPORT = "OfflineConversionReport/QueryByGoalIds"


async def summaries(client: Client, *goals: str, channel: str | None = None) -> list[Any]:
    names = goals or ("Purchase",)
    body = {"StartDateUtc": at(NOON - 3 * DAY), "EndDateUtc": at(NOON + 3 * DAY), "UploadChannelFilter": channel}
    reply = await client.campaign(REPORT, {**body, "GoalIds": [GOAL_IDS[name] for name in names]})
    assert reply.status == 200, reply.text
    found: list[Any] = reply.json()["OfflineGoalConversionSummaries"]
    return found


async def counts(client: Client, goal: str = "Purchase", channel: str | None = None) -> tuple[int, dict[str, int]]:
    """Attributed rows, and the others by reason."""
    [found] = await summaries(client, goal, channel=channel)
    reasons = {one["UnattributedReason"]: int(one["Count"]) for one in found["OverallAlerts"]}
    assert int(found["OverallUnattributedCount"]) == sum(reasons.values())
    return int(found["OverallSuccessCount"]), reasons


async def settings(client: Client, **fields: Any) -> None:
    reply = await client.control("PUT", "attribution", fields)
    assert reply.status == 200, reply.text


async def register(client: Client, number: int, **fields: Any) -> None:
    click = {"msclkid": click_id(number), "account_id": ACCOUNT_ID, "clicked_at": NOON - 2 * HOUR, **fields}
    assert (await client.control("POST", "clicks", [click])).status == 200


def hashed(number: int, email: str = HASH) -> dict[str, Any]:
    return conversion(number, MicrosoftClickId=None, HashedEmailAddress=email)


# --- What counts ------------------------------------------------------------------------------------------------------


async def test_unknown_clicks_and_hashes_count_unless_only_registered_ones_do(client: Client) -> None:
    await client.apply(conversion(1), hashed(2))
    assert await counts(client) == (2, {})
    await settings(client, unknown_clicks="unmatched")
    await register(client, 3)
    await client.apply(conversion(3), conversion(4), hashed(5, "d0" * 32))
    assert await counts(client) == (3, {"NoMatchingClickFound": 1, "MissingMatchIdentifiers": 1})


async def test_hashes_lead_to_a_registered_click_where_the_goal_is_enhanced(client: Client) -> None:
    await settings(client, unknown_clicks="unmatched")
    await register(client, 1, email_sha256=HASH)
    await client.apply(hashed(2), conversion(3, HashedEmailAddress=HASH))
    assert await counts(client) == (2, {})
    await client.apply(conversion(4, ConversionName="Plain", HashedEmailAddress=HASH))
    assert await counts(client, "Plain") == (0, {"NoMatchingClickFound": 1})


async def test_of_several_clicks_of_a_hash_the_last_one_before_the_conversion_counts(client: Client) -> None:
    await settings(client, unknown_clicks="unmatched")
    await register(client, 1, email_sha256=HASH, account_id="4711", clicked_at=NOON - 3 * HOUR)
    await register(client, 2, email_sha256=HASH)
    await register(client, 3, email_sha256=HASH, account_id="4711", clicked_at=NOON)
    await client.apply(hashed(9))
    assert await counts(client) == (1, {})


@pytest.mark.parametrize(
    ("row", "symbol", "reason"),
    [
        (
            {"ConversionTime": at(NOON - 3 * HOUR)},
            "ConversionTimeEarlierThanClickTime",
            "ClickTimestampAfterConversion",
        ),
        (
            {"ConversionTime": at(NOON - 91 * DAY)},
            "OfflineConversionTimeOutOfWindow",
            "ConversionTimeExceedsMaxLookback",
        ),
        ({"ConversionTime": at(NOON + HOUR)}, "FutureConversionTimeCannotBeSet", "ConversionTimeInFuture"),
    ],
)
async def test_wrong_time_refuses_the_row_or_shows_in_the_report(
    client: Client, row: dict[str, str], symbol: str, reason: str
) -> None:
    await register(client, 1)
    assert (0, symbol) in (await client.apply(conversion(1, **row))).errors
    assert await counts(client) == (0, {})
    await settings(client, checks="in_report")
    assert (await client.apply(conversion(1, **row))).errors == []
    assert await counts(client) == (0, {reason: 1})


async def test_click_outside_the_window_and_a_paused_goal_show_in_the_report(client: Client) -> None:
    await settings(client, checks="in_report")
    await client.control("PATCH", "goals/1", {"goal": {"ConversionWindowInMinutes": 60}})
    await register(client, 1, clicked_at=NOON - 3 * HOUR)
    await client.apply(conversion(1))
    await client.control("PATCH", "goals/1", {"goal": {"Status": "Paused"}})
    assert (await client.apply(conversion(2))).errors == []
    assert await counts(client) == (0, {"OutsideGoalLookbackWindow": 1, "GoalNotFoundOrInactive": 1})
    named = await client.apply(conversion(3, ConversionName="Nothing"), conversion(4, ConversionValue=-1))
    assert named.errors == [(0, "OfflineConversionNameInvalid"), (1, "OfflineConversionValueInvalid")]


async def test_click_over_90_days_old_is_gone_and_its_conversion_cannot_be_adjusted(client: Client) -> None:
    await client.apply(conversion(1))
    await register(client, 1, clicked_at=NOON - 91 * DAY)
    await settings(client, checks="in_report")
    await client.adjust(adjustment(1))
    await client.apply(conversion(1, ConversionTime=at(NOON - HOUR - 1000)))
    assert await counts(client) == (1, {"HistoricalClickDataExpired": 1, "NoMatchingClickFound": 1})
    assert [entry["adjusted"] for entry in await client.stored()] == [None, None]


async def test_click_of_another_account_and_one_with_a_reason_do_not_count(client: Client) -> None:
    await register(client, 1, account_id="4711")
    await register(client, 2, reason="MalformedData")
    await client.apply(conversion(1), conversion(2), conversion(3), conversion(3))
    wanted = {"AccountMismatch": 1, "MalformedData": 1, "DuplicateConversionKey": 1}
    assert await counts(client) == (1, wanted)
    await register(client, 2)
    await client.apply(conversion(2, ConversionTime=at(NOON - HOUR + 1000)))
    assert await counts(client) == (2, wanted)


async def test_share_of_the_unknown_clicks_does_not_count_and_it_is_the_same_one_each_time(client: Client) -> None:
    await settings(client, shares={"NoMatchingClickFound": 0.2, "OutsideGoalLookbackWindow": 0.1})
    rows = [conversion(number) for number in range(500)]
    await client.apply(*rows)
    attributed, reasons = await counts(client)
    assert 320 <= attributed <= 380
    assert 75 <= reasons["NoMatchingClickFound"] <= 125
    assert 30 <= reasons["OutsideGoalLookbackWindow"] <= 70
    await client.control("POST", "reset", {"ledger_only": True})
    await client.apply(*reversed(rows))
    assert await counts(client) == (attributed, reasons)


# --- A report on a bad day --------------------------------------------------------------------------------------------


async def test_report_counts_a_row_hours_after_its_upload(client: Client, clock: StillClock) -> None:
    await client.apply(conversion(1))
    await settings(client, report_delay_hours=6)
    clock.now += 5 * HOUR
    await client.sign_in()
    await client.apply(conversion(2))
    assert await counts(client) == (0, {})
    clock.now += HOUR
    await client.sign_in()
    assert await counts(client) == (1, {})


async def test_control_recounts_a_day_and_adds_rows_of_other_uploaders(client: Client) -> None:
    await client.apply(conversion(1), conversion(2))
    recount = {"goal": "Purchase", "attributed": -3, "unattributed": {"NoMatchingClickFound": 2, "BrandNewReason": 1}}
    assert (await client.control("POST", "report", recount)).status == 200
    assert await counts(client) == (-1, {"NoMatchingClickFound": 2, "BrandNewReason": 1})
    other = {"goal": "Purchase", "channel": "WebUpload", "attributed": 40, "at": NOON - DAY}
    await client.control("POST", "report", other)
    assert (await counts(client, channel="WebUpload"), (await counts(client))[0]) == ((40, {}), 39)
    shown = (await client.control("GET", "report")).json()["items"]
    assert [(item["day"], item["channel"], item["attributed"]) for item in shown] == [
        (NOON // DAY * DAY - DAY, "WebUpload", 40),
        (NOON // DAY * DAY, "CampaignManagementAPI", -1),
    ]
    missing = await client.control("POST", "report", {"goal": "Nothing", "attributed": 1})
    assert (missing.status, missing.json()) == (404, {"errors": ["goal: there is none of the name Nothing"]})


async def test_report_is_empty_or_has_nulls_once_and_then_its_lines(client: Client) -> None:
    await client.apply(conversion(1))
    for form in ("empty", "nulls"):
        rule = {"match": {"operation": REPORT}, "action": {"type": "report", "form": form}}
        assert (await client.control("POST", "faults", rule)).status == 200
    assert await summaries(client) == []
    [line] = await summaries(client)
    assert (line["DailySummaries"], line["OverallAlerts"], line["OverallSuccessCount"]) == (None, None, "1")
    assert await counts(client) == (1, {})


async def test_report_leaves_out_a_goal_that_is_not_found(client: Client) -> None:
    action = {"type": "partial_errors", "goal": "Plain", "symbol": "InvalidConversionGoalId"}
    await client.control("POST", "faults", {"match": {"operation": REPORT}, "action": action})
    assert [line["ConversionName"] for line in await summaries(client, "Plain", "Purchase")] == ["Purchase"]
    assert [line["ConversionName"] for line in await summaries(client, "Plain", "Purchase")] == ["Plain", "Purchase"]


async def test_settings_and_counts_outlive_a_restart_until_they_are_reset(serve: Serve, tmp_path: Any) -> None:
    file = tmp_path / "emulator.db"
    async with serve(state_file=file) as client:
        await settings(client, unknown_clicks="unmatched", shares={"AccountMismatch": 0.5}, seed=7)
        await client.apply(conversion(1))
    async with serve(state_file=file) as client:
        await client.apply(conversion(2))
        assert await counts(client) == (0, {"NoMatchingClickFound": 2})
        assert (await client.control("GET", "attribution")).json()["seed"] == 7
        await client.control("POST", "reset")
        await client.sign_in()
        assert await counts(client) == (0, {})
        await client.apply(conversion(1))
        assert await counts(client) == (1, {})


@pytest.mark.parametrize(
    ("verb", "call", "body", "text"),
    [
        (
            "PUT",
            "attribution",
            {"shares": {"A": 0.7, "B": 0.4}},
            "shares: each must be at least 0, and all together at most 1",
        ),
        ("PUT", "attribution", {"unknown": "x"}, "unknown: is not known; did you mean unknown_clicks? known: "),
        ("POST", "clicks", [{"msclkid": "a", "account_id": "b"}], "clicks.0.clicked_at: is needed"),
        ("POST", "clicks", {"msclkid": "a", "clicked_at": 1}, "account_id: is needed"),
        ("POST", "report", {}, "goal: is needed"),
    ],
)
async def test_mistake_in_a_control_call_is_named(client: Client, verb: str, call: str, body: Any, text: str) -> None:
    reply = await client.control(verb, call, body)
    assert reply.status == 422
    assert reply.json()["errors"][0].startswith(text)


# --- UET goals --------------------------------------------------------------------------------------------------------


async def test_uet_goal_is_listed_with_its_tag_and_category_and_has_no_report(client: Client) -> None:
    uet = {
        "Name": "Website purchase",
        "Type": "Event",
        "GoalCategory": "Purchase",
        "ExcludeFromBidding": False,
        "ConversionWindowInMinutes": 43_200,
        "TagId": "5012345",
        "TrackingStatus": "RecordingConversions",
        "ActionExpression": "purchase",
    }
    goal_id = str((await client.control("POST", "goals", {"goal": uet})).json()["id"])
    asked = {"ConversionGoalTypes": "Event, Url, OfflineConversion", "ReturnAdditionalFields": "GoalCategory"}
    listed = (await client.campaign("ConversionGoals/QueryByIds", asked)).json()["ConversionGoals"]
    [shown] = [goal for goal in listed if goal["Id"] == goal_id]
    assert {name: shown[name] for name in uet} == uet
    assert {goal["TagId"] for goal in listed if goal["Type"] == "OfflineConversion"} == {None}
    body = {"StartDateUtc": at(NOON - DAY), "EndDateUtc": at(NOON), "GoalIds": [goal_id], "UploadChannelFilter": None}
    assert (await client.campaign(REPORT, body)).errors == [(0, "InvalidConversionGoalId")]
