"""Adjustments over HTTPS: which conversion they find, and what becomes of it."""

import pytest
from emulator_kit import HOUR, NOON, Client, adjustment, at, click_id, conversion

HASH = "ec81f3ac7b2b19675bab9d54cf416f9f18cff87c97da5cca82c0f0891bc40602"


async def test_restate_changes_the_value_and_the_last_one_wins(client: Client) -> None:
    await client.apply(conversion(1))
    reply = await client.adjust(
        adjustment(1, AdjustmentTime=at(NOON - 2000)), adjustment(1, AdjustmentValue=5, AdjustmentTime=at(NOON - 1000))
    )
    assert (reply.status, reply.errors) == (200, [])
    (entry,) = await client.stored()
    assert (entry["adjusted"], entry["adjusted_value"], entry["adjusted_currency"]) == ("Restate", "5", "EUR")


async def test_nothing_may_follow_a_retract(client: Client) -> None:
    """After a Retract no second adjustment is allowed; that shows in the report only."""
    await client.apply(conversion(1))
    assert (await client.adjust(adjustment(1, "Retract"), adjustment(1))).errors == []
    assert [entry["unattributed"] for entry in await client.stored("adjustments")] == [
        None,
        "ConversionAlreadyRetracted",
    ]
    (entry,) = await client.stored()
    assert (entry["adjusted"], entry["adjusted_value"]) == ("Retract", None)


@pytest.mark.parametrize(
    "other",
    [
        {"ConversionTime": at(NOON - HOUR + 1000)},
        {"MicrosoftClickId": click_id(2)},
        {"ConversionName": "Plain"},
        {"HashedEmailAddress": HASH},
    ],
)
async def test_adjustment_whose_keys_differ_finds_no_original(client: Client, other: dict[str, str]) -> None:
    """The key has five fields; the row is accepted all the same."""
    await client.apply(conversion(1))
    assert (await client.adjust(adjustment(1, "Retract", **other))).errors == []
    assert [entry["unattributed"] for entry in await client.stored("adjustments")] == ["AdjustmentOriginalNotFound"]
    assert [entry["adjusted"] for entry in await client.stored()] == [None]


async def test_adjustment_that_arrived_too_early_takes_effect_when_it_is_sent_again(client: Client) -> None:
    await client.adjust(adjustment(1, "Retract"))
    await client.apply(conversion(1))
    await client.adjust(adjustment(1, "Retract"))
    (entry,) = await client.stored("adjustments")
    assert (entry["seen"], entry["changed"], entry["unattributed"]) == (2, 0, None)
    assert [entry["adjusted"] for entry in await client.stored()] == ["Retract"]


async def test_repeated_adjustment_is_counted_and_not_carried_out_twice(client: Client) -> None:
    await client.apply(conversion(1))
    await client.adjust(adjustment(1, "Retract"))
    assert (await client.adjust(adjustment(1, "Retract"))).errors == []
    (entry,) = await client.stored("adjustments")
    assert (entry["seen"], entry["unattributed"]) == (2, None)


async def test_repeat_within_a_request_does_not_take_the_place_of_a_newer_adjustment(client: Client) -> None:
    await client.apply(conversion(1))
    older, newer = (
        adjustment(1, AdjustmentValue=value, AdjustmentTime=at(NOON - age)) for value, age in ((7, 2000), (5, 1000))
    )
    assert (await client.adjust(older, newer, older)).errors == []
    assert [entry["seen"] for entry in await client.stored("adjustments")] == [2, 1]
    (entry,) = await client.stored()
    assert entry["adjusted_value"] == "5"


async def test_wrong_adjustments_are_named_by_index(client: Client) -> None:
    reply = await client.adjust(adjustment(1, "Retract", AdjustmentValue=1), adjustment(2, AdjustmentValue=None))
    assert reply.errors == [
        (0, "OfflineConversionAdjustmentValueNotExpected"),
        (1, "OfflineConversionAdjustmentValueRequired"),
    ]
    assert await client.stored("adjustments") == []
