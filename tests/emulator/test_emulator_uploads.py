"""Uploads over HTTPS: whole-request refusals, partial errors, duplicates, ledger."""

import json
from typing import Any

import pytest
from emulator_kit import HOUR, NOON, Client, StillClock, adjustment, at, click_id, conversion

HASH = "ec81f3ac7b2b19675bab9d54cf416f9f18cff87c97da5cca82c0f0891bc40602"


# --- Answers ----------------------------------------------------------------------------------------------------------
async def test_accepted_conversions_are_answered_with_an_empty_list_and_a_tracking_id(client: Client) -> None:
    reply = await client.apply(conversion(1), conversion(2))
    assert (reply.status, reply.json()) == (200, {"PartialErrors": []})
    assert len(reply.headers["TrackingId"]) == 36
    assert [entry["row"] for entry in await client.stored()] == [conversion(1), conversion(2)]


async def test_refused_rows_are_named_by_index_and_the_others_are_stored(client: Client) -> None:
    """HTTP 200; rows without an entry were accepted."""
    reply = await client.apply(conversion(1), conversion(2, MicrosoftClickId="invalid-click-id"), None, conversion(3))
    assert reply.status == 200
    assert reply.errors == [(1, "OfflineConversionMicrosoftClickIdInvalid"), (2, "OfflineConversionIsNull")]
    assert [entry["row"]["MicrosoftClickId"] for entry in await client.stored()] == [click_id(1), click_id(3)]


async def test_partial_error_has_every_member_of_a_batch_error(client: Client) -> None:
    reply = await client.apply(conversion(1, MicrosoftClickId="invalid-click-id"))
    assert reply.json()["PartialErrors"] == [
        {
            "Code": 5604,
            "Details": None,
            "ErrorCode": "OfflineConversionMicrosoftClickIdInvalid",
            "FieldPath": None,
            "ForwardCompatibilityMap": None,
            "Index": 0,
            "Message": "The click id is invalid.",
            "Type": "BatchError",
        }
    ]


# --- The request as a whole -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [{}, {"OfflineConversions": None}, {"OfflineConversions": []}])
async def test_list_without_rows_is_refused(client: Client, body: dict[str, Any]) -> None:
    reply = await client.campaign("OfflineConversions/Apply", body)
    assert (reply.status, reply.fault) == (400, "OfflineConversionsNullOrEmpty")
    assert reply.json()["Type"] == "ApiFaultDetail"
    assert reply.json()["OperationErrors"][0].keys() == {"Code", "Details", "ErrorCode", "Message"}


async def test_thousand_rows_are_taken_and_one_more_is_refused(client: Client) -> None:
    rows = [conversion(number) for number in range(1001)]
    assert (await client.apply(*rows)).fault == "OfflineConversionsLimitExceeded"
    assert await client.stored() == []
    assert (await client.apply(*rows[:1000])).status == 200
    assert (await client.emulator.summary())["conversions"]["kept"] == 1000


@pytest.mark.parametrize(
    ("field", "value", "symbol"),
    [
        ("ConversionTime", "yesterday", "InvalidDateObject"),
        ("ConversionTime", None, "InvalidDateObject"),
        ("ConversionValue", "249.90", "ApiInputValidationError"),
        ("MicrosoftClickId", 5, "ApiInputValidationError"),
    ],
)
async def test_one_malformed_value_refuses_the_whole_request(
    client: Client, field: str, value: object, symbol: str
) -> None:
    reply = await client.apply(conversion(1), conversion(2, **{field: value}), conversion(3))
    assert (reply.status, reply.fault) == (400, symbol)
    assert await client.stored() == []


async def test_body_that_is_no_json_is_refused(client: Client) -> None:
    assert (await client.campaign("OfflineConversions/Apply", b"<xml/>")).fault == "ApiInputValidationError"
    assert (await client.campaign("OfflineConversions/Apply", b"")).fault == "NullRequest"


async def test_unknown_path_is_answered_by_a_page_that_is_no_json(client: Client) -> None:
    """404/HTML answer: wrong host, or the SOAP path."""
    reply = await client.campaign("CampaignManagementService.svc", {})
    assert reply.status == 404
    assert "json" not in reply.headers["Content-Type"]


# --- Duplicates -------------------------------------------------------------------------------------------------------


async def test_repeat_is_ignored_silently_and_counted(client: Client, clock: StillClock) -> None:
    """Same click id, name and time: the first is kept, later ones are ignored, 200 and no error."""
    await client.apply(conversion(1))
    clock.now += 1000
    assert (await client.apply(conversion(1), conversion(1))).errors == []
    (entry,) = await client.stored()
    assert (entry["seen"], entry["changed"]) == (3, 0)
    assert (entry["first_seen_at"], entry["last_seen_at"]) == (NOON, NOON + 1000)


async def test_repeat_with_other_bytes_is_recognised_and_the_first_is_stored(client: Client) -> None:
    await client.apply(conversion(1))
    await client.apply(conversion(1, ConversionValue=1.0))
    spaced = json.dumps({"OfflineConversions": [conversion(1)]}, separators=(",", ":"))
    await client.campaign("OfflineConversions/Apply", spaced)
    (entry,) = await client.stored()
    assert (entry["seen"], entry["changed"]) == (3, 2)
    assert entry["row"] == conversion(1)
    assert entry["raw"] == json.dumps(conversion(1))


@pytest.mark.parametrize(
    "other",
    [
        {"ConversionTime": at(NOON - HOUR + 1000)},
        {"ConversionName": "Plain"},
        {"MicrosoftClickId": click_id(2)},
    ],
)
async def test_other_time_name_or_click_is_another_conversion(client: Client, other: dict[str, str]) -> None:
    assert (await client.apply(conversion(1), conversion(1, **other))).errors == []
    assert len(await client.stored()) == 2


async def test_same_second_written_otherwise_is_the_same_conversion(client: Client) -> None:
    await client.apply(conversion(1))
    await client.apply(conversion(1, ConversionTime=at(NOON - HOUR).replace("Z", ".000+00:00")))
    (entry,) = await client.stored()
    assert (entry["seen"], entry["changed"]) == (2, 1)


async def test_hash_added_on_a_repeat_does_not_make_another_conversion(client: Client) -> None:
    await client.apply(conversion(1), conversion(1, HashedEmailAddress=HASH))
    assert len(await client.stored()) == 1


async def test_hashes_distinguish_rows_without_click(client: Client) -> None:
    bare = {**conversion(1), "MicrosoftClickId": None}
    other = HASH[::-1]
    rows = (
        {**bare, "HashedEmailAddress": HASH},
        {**bare, "HashedEmailAddress": other},
        {**bare, "HashedPhoneNumber": HASH},
    )
    assert (await client.apply(*rows, rows[0])).errors == []
    assert [entry["seen"] for entry in await client.stored()] == [2, 1, 1]


async def test_accounts_do_not_share_conversions(client: Client) -> None:
    await client.apply(conversion(1))
    await client.apply(conversion(1), CustomerAccountId="200000002")
    assert [entry["account_id"] for entry in await client.stored()] == ["200000001", "200000002"]
    assert len((await client.emulator.ledger("conversions", account="200000002"))["items"]) == 1


# --- Ledger -----------------------------------------------------------------------------------------------------------
async def test_ledger_holds_every_request_and_its_answer(client: Client) -> None:
    await client.apply(conversion(1), conversion(2, ConversionName="Nobody"))
    await client.apply(conversion(1), CustomerId=None)
    requests = [entry for entry in await client.stored("requests") if entry["operation"] == "OfflineConversions/Apply"]
    shown = [(e["status"], e["answer"], e["rows"], e["taken"], e["refused"], e["at"]) for e in requests]
    assert shown == [
        (200, "partial", 2, 1, 1, NOON),
        (400, "CampaignServiceCustomerIdHasToBeSpecified", 0, 0, 0, NOON),
    ]
    assert [entry["account_id"] for entry in requests] == ["200000001", "200000001"]


async def test_identical_bodies_are_seen_to_be_identical(client: Client) -> None:
    for number in (1, 1, 2):
        await client.apply(conversion(number))
    digests = [e["body_sha256"] for e in await client.stored("requests") if e["rows"]]
    assert digests[0] == digests[1] != digests[2]


async def test_ledger_is_read_in_pages(client: Client) -> None:
    await client.apply(*(conversion(number) for number in range(5)))
    pages, after = [], 0
    while after is not None:
        page = await client.emulator.ledger("conversions", after=after, limit=2)
        pages.append([entry["row"]["MicrosoftClickId"] for entry in page["items"]])
        after = page["next_after"]
    assert pages == [[click_id(0), click_id(1)], [click_id(2), click_id(3)], [click_id(4)]]


async def test_summary_adds_up(client: Client) -> None:
    await client.apply(conversion(1), conversion(2))
    await client.apply(conversion(1), conversion(2, ConversionValue=1))
    await client.adjust(adjustment(1, "Retract"), adjustment(3, "Retract"))
    summary = await client.emulator.summary()
    assert summary["conversions"] == {"kept": 2, "seen": 4, "repeated": 2, "changed": 1, "unattributed": 0}
    assert summary["adjustments"] == {"kept": 2, "seen": 2, "repeated": 0, "changed": 0, "unattributed": 1}
    assert summary["answers"] == {"ok": 4}
