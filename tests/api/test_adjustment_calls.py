"""POST /v1/adjustments and GET /v1/adjustments/{id}: every answer, alone and in an array."""

from typing import Any

import pytest
from api_kit import MSCLKID, NOW, Api
from msgspec.structs import replace

from sidecar.core.conversion import Kind
from sidecar.core.entry import Entry
from sidecar.core.instant import UnixMillis
from sidecar.core.record import seq_of
from sidecar.ports.delivery import Claim, Note

PATH = "/v1/adjustments"
RESTATE = {"order_id": "ORDER-1", "type": "restate", "value": 79.99}
RETRACT = {"order_id": "ORDER-1", "type": "retract"}
HOUR = 3_600_000

Json = dict[str, Any]


async def adjust(api: Api, item: Any, **options: Any) -> Any:
    return await api.post(item, path=PATH, **options)


async def stored(api: Api, *items: Json) -> list[str]:
    answers = [await api.post(item) for item in items]
    assert [answer.status for answer in answers] == [202] * len(items)
    return [answer.json["id"] for answer in answers]


async def sent(api: Api) -> Claim:
    """A claim of all that is due: it is on its way."""
    entries = await api.outbox.due(await api.outbox.lanes(), api.world.now, 100)
    frozen = [_frozen(entry) for entry in entries]
    claim = await api.outbox.claim("default", frozen, [None] * len(frozen), api.world.now, UnixMillis(NOW + HOUR))
    assert claim is not None
    return claim


def _frozen(entry: Entry) -> Entry:
    return replace(entry, goal=entry.goal or "Sidecar Purchase", sent_time=entry.sent_time or entry.time)


async def delivered(api: Api, *items: Json) -> list[str]:
    ids = await stored(api, *items)
    await api.outbox.settle(await sent(api), {}, Note("taken"), api.world.now)
    return ids


async def test_adjustment_of_a_delivered_conversion_is_answered_202_with_its_row(api: Api, conversion: Json) -> None:
    (id_,) = await delivered(api, conversion)
    api.world.woken.clear()
    answer = await adjust(api, RESTATE)
    row = answer.json
    assert answer.status == 202
    assert (row["id"], row["kind"], row["state"], row["reason"]) == ("adj_2", "adjustment", "pending", "not_yet")
    assert (row["type"], row["conversion_id"], row["value"], row["currency"]) == ("restate", id_, 79.99, "USD")
    assert (row["goal"], row["msclkid"], row["order_id"]) == ("Sidecar Purchase", MSCLKID, "ORDER-1")
    assert row["due_at"] == "2026-11-23T20:30:45Z"
    assert row["warnings"] == []
    assert api.world.woken == [{"default": 1}]
    assert (await api.get(f"{PATH}/adj_2")).json == {key: row[key] for key in row if key != "warnings"}


async def test_conversion_lists_its_adjustments(api: Api, conversion: Json) -> None:
    (id_,) = await delivered(api, conversion)
    await adjust(api, RESTATE)
    await adjust(api, RETRACT)
    row = (await api.get(f"/v1/conversions/{id_}")).json
    assert [(each["id"], each["state"], each["reason"]) for each in row["adjustments"]] == [
        ("adj_2", "canceled", "superseded"),
        ("adj_3", "pending", "not_yet"),
    ]
    listed = (await api.get("/v1/conversions")).json["items"]
    assert [each["id"] for each in listed] == [id_]


async def test_refund_before_the_upload_is_carried_out_at_once(api: Api, conversion: Json) -> None:
    (id_,) = await stored(api, conversion)
    assert (await adjust(api, RESTATE)).json["reason"] == "applied_before_upload"
    assert (await api.get(f"/v1/conversions/{id_}")).json["value"] == 79.99
    assert (await adjust(api, RETRACT)).json["reason"] == "retracted"
    row = (await api.get(f"/v1/conversions/{id_}")).json
    assert (row["state"], row["reason"]) == ("canceled", "retracted")


async def test_adjustment_of_what_is_on_its_way_waits_and_says_for_what(api: Api, conversion: Json) -> None:
    await stored(api, conversion)
    await sent(api)
    row = (await adjust(api, RESTATE)).json
    assert (row["state"], row["reason"], row["due_at"]) == ("pending", "awaiting_original", None)
    assert row["fix"].startswith("Nothing to do")


async def test_same_again_is_answered_200_with_the_row_as_it_is(api: Api, conversion: Json) -> None:
    await delivered(api, conversion)
    first = await adjust(api, RESTATE)
    again = await adjust(api, {**RESTATE, "currency": "USD"})
    assert (again.status, again.headers["Idempotent-Replayed"]) == (200, "true")
    assert again.json == first.json
    await adjust(api, {**RESTATE, "value": 60})
    back = await adjust(api, RESTATE)
    assert (back.status, back.json["id"], back.json["reason"]) == (200, "adj_2", "superseded")
    assert [warning["code"] for warning in back.json["warnings"]] == ["overtaken"]


async def test_key_makes_an_adjustment_one_of_its_own(api: Api, conversion: Json) -> None:
    await delivered(api, conversion)
    with_key = {"headers": {"Idempotency-Key": "refund-1"}}
    assert (await adjust(api, RESTATE, **with_key)).status == 202
    assert (await adjust(api, RESTATE, **with_key)).status == 200
    other = await adjust(api, RETRACT, **with_key)
    assert (other.status, other.codes, other.json["adjustment_id"]) == (409, ["conflict"], "adj_2")
    assert (await adjust(api, [RESTATE], **with_key)).codes == ["key_on_array"]


async def test_what_is_wrong_with_it_comes_before_whether_there_is_such_a_conversion(api: Api) -> None:
    assert (await adjust(api, RESTATE)).codes == ["no_such_conversion"]
    assert (await adjust(api, RESTATE)).status == 404
    answer = await adjust(api, {**RETRACT, "value": 5})
    assert (answer.status, answer.codes) == (422, ["not_with_retract"])


async def test_order_with_several_conversions_needs_the_event(api: Api, conversion: Json) -> None:
    ids = await stored(api, conversion, {**conversion, "event": "lead", "currency": "USD"})
    answer = await adjust(api, RETRACT)
    assert (answer.status, answer.codes, sorted(answer.json["conversion_ids"])) == (409, ["ambiguous"], ids)
    assert (await adjust(api, {**RETRACT, "event": "lead"})).json["conversion_id"] == ids[1]


async def test_retracted_conversion_has_no_value_to_restate(api: Api, conversion: Json) -> None:
    (id_,) = await delivered(api, conversion)
    await adjust(api, RETRACT)
    answer = await adjust(api, RESTATE)
    assert (answer.status, answer.codes, answer.json["conversion_id"]) == (409, ["already_retracted"], id_)
    again = await adjust(api, {**RETRACT, "conversion_id": id_, "order_id": None, "time": "2026-11-23T14:30:45Z"})
    assert (again.status, again.json["id"]) == (200, "adj_2")


async def test_conversion_that_was_not_taken_has_nothing_to_adjust(api: Api, conversion: Json) -> None:
    (id_,) = await stored(api, conversion)
    await api.post({}, path=f"/v1/conversions/{id_}/discard")
    answer = await adjust(api, RETRACT)
    assert answer.status == 200
    assert answer.json == {"state": "skipped", "reason": "original_not_sent", "conversion_id": id_, "warnings": []}
    assert "Idempotent-Replayed" not in answer.headers
    assert (await api.outbox.counts()).pending == 0
    (text, _) = api.telemetry.metrics.exposition("")
    assert b'sidecar_adjustments_settled_total{goal="",reason="original_not_sent",state="skipped"} 1.0' in text


async def test_conversion_of_more_than_90_days_ago_is_too_old(api: Api, conversion: Json) -> None:
    await delivered(api, conversion)
    api.world.now = UnixMillis(NOW + 91 * 24 * HOUR)
    answer = await adjust(api, RETRACT)
    assert (answer.status, answer.codes) == (422, ["too_old"])


async def test_array_is_answered_item_by_item(api: Api, conversion: Json) -> None:
    others = [{**conversion, "order_id": f"ORDER-{n}", "msclkid": f"{n:032x}"} for n in (2, 3)]
    await stored(api, conversion, *others)
    await api.post({}, path="/v1/conversions/conv_3/discard")
    items = [
        RESTATE,
        RESTATE,
        {**RETRACT, "order_id": "ORDER-2"},
        {**RESTATE, "order_id": "ORDER-2"},
        {**RESTATE, "order_id": "ORDER-3"},
        {**RESTATE, "order_id": "NONE"},
        {"type": "refund"},
    ]
    answer = await adjust(api, items)
    assert answer.status == 207
    body = answer.json
    assert [result["status"] for result in body["results"]] == [202, 200, 202, 409, 200, 404, 422]
    assert [result["index"] for result in body["results"]] == list(range(7))
    assert (body["accepted"], body["replayed"], body["skipped"], body["rejected"]) == (2, 1, 1, 3)
    again = await adjust(api, items[:3])
    assert (again.status, again.json["replayed"]) == (202, 3)
    assert (await adjust(api, [{}, {}])).status == 422


async def test_conversion_that_was_uploaded_elsewhere_is_adjusted_by_what_it_was_uploaded_with(api: Api) -> None:
    original = {"event": "purchase", "time": "2026-11-23T15:00:00+01:00", "user": {"email": "customer@example.com"}}
    answer = await adjust(api, {"original": original, "type": "restate", "value": 5})
    row = answer.json
    assert answer.status == 202
    assert (row["conversion_id"], row["goal"], row["time"]) == (None, "Sidecar Purchase", "2026-11-23T14:00:00Z")
    assert (row["matched_by"], row["currency"], row["due_at"]) == (["email"], "USD", "2026-11-23T20:00:00Z")
    assert "customer@example.com" not in answer.text


@pytest.mark.parametrize("id_", ["adj_1", "adj_99", "conv_1", "adj_x", "1"])
async def test_adjustment_that_is_not_there_is_404(api: Api, conversion: Json, id_: str) -> None:
    await stored(api, conversion)
    answer = await api.get(f"{PATH}/{id_}")
    assert (answer.status, answer.json["type"]) == (404, "urn:sidecar:problem:no_such_adjustment")


async def test_adjustments_are_listed_newest_first_and_narrowed_by_what_is_asked(api: Api, conversion: Json) -> None:
    await delivered(api, conversion, {**conversion, "order_id": "ORDER-2"})
    for number, value in ((1, 5), (2, 4), (1, 3)):
        assert (await adjust(api, {**RESTATE, "order_id": f"ORDER-{number}", "value": value})).status == 202

    async def ids(query: str) -> list[str]:
        answer = await api.get(f"{PATH}?{query}")
        assert answer.status == 200, answer.text
        return [row["id"] for row in answer.json["items"]]

    assert await ids("") == ["adj_5", "adj_4", "adj_3"]
    assert await ids("order_id=ORDER-1") == ["adj_5", "adj_3"]
    assert await ids("order_id=ORDER-1&event=lead") == []
    assert await ids("state=canceled") == ["adj_3"]
    assert await ids("state=pending&account=default") == ["adj_5", "adj_4"]
    assert await ids("since=2026-11-23T14:30:46Z") == []
    page = (await api.get(f"{PATH}?limit=2")).json
    assert await ids(f"cursor={page['next_cursor']}") == ["adj_3"]
    assert page["items"][0] == (await api.get(f"{PATH}/adj_5")).json
    refused = await api.get(f"{PATH}?reason=a&state=gone")
    assert (refused.status, refused.codes) == (422, ["unknown_parameter", "unknown_state"])


async def test_id_of_an_adjustment_is_no_id_of_a_conversion(api: Api, conversion: Json) -> None:
    await delivered(api, conversion)
    seq = seq_of(Kind.ADJUSTMENT, (await adjust(api, RESTATE)).json["id"])
    assert (await api.get(f"/v1/conversions/conv_{seq}")).status == 404
    assert (await api.post({}, path=f"/v1/conversions/conv_{seq}/discard")).status == 404


async def test_outbox_that_is_full_is_answered_503(open_api: Any, conversion: Json) -> None:
    api = await open_api(max_pending=1)
    await stored(api, conversion)
    assert (await adjust(api, RESTATE)).status == 503
