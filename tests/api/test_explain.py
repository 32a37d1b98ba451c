"""Receipts over HTTP: of one conversion, and of all that an order id stands for."""

from typing import Any

from api_kit import MSCLKID, Api

from sidecar.core.batch import as_sent, with_goals
from sidecar.core.entry import Lane
from sidecar.core.goal_days import GoalDay, day_of
from sidecar.core.instant import DAY_SECONDS, UnixMillis, UnixSeconds
from sidecar.ports.delivery import Note

Json = dict[str, Any]


async def delivered(api: Api, tracking_id: str = "tracking-1") -> None:
    lanes: list[Lane] = list(await api.outbox.lanes())
    found = await api.outbox.due(lanes, api.world.now, 1_000)
    entries = [as_sent(one) for one in with_goals(found, {lane.event: "Sidecar Purchase" for lane in lanes})]
    claim = await api.outbox.claim("default", entries, [0] * len(entries), api.world.now, api.world.now)
    assert claim is not None
    assert await api.outbox.settle(claim, {}, Note("taken", tracking_id), UnixMillis(api.world.now + 500))


async def test_receipt_tells_receipt_attempt_and_answer(api: Api, conversion: Json) -> None:
    await api.post({**conversion, "meta": {"cart": 4711}}, headers={"X-Request-Id": "from-the-shop"})
    await delivered(api)
    answer = await api.get("/v1/conversions/conv_1/explain")
    assert answer.status == 200
    told = answer.json
    assert (told["id"], told["state"], told["summary"]) == ("conv_1", "delivered", "Delivered: Microsoft took it.")
    assert told["received"] == {"at": "2026-11-23T14:30:45Z", "request_id": "from-the-shop"}
    assert (told["identifiers"]["msclkid"], told["meta"]) == (MSCLKID[:8], {"cart": 4711})
    [attempt] = told["attempts"]
    assert (attempt["tracking_id"], attempt["answer"]) == ("tracking-1", "Microsoft took it")
    assert (told["waits_for"], told["expires_at"], told["adjustments"]) == (None, None, [])
    assert MSCLKID not in answer.text


async def test_receipt_has_the_verdict_on_the_day_of_its_delivery(api: Api, conversion: Json) -> None:
    await api.post(conversion)
    assert (await api.get("/v1/conversions/conv_1/explain")).json["verdict"] is None
    await delivered(api)
    api.world.next_readings["default"] = UnixMillis(api.world.now + 3_600_000)
    before = (await api.get("/v1/conversions/conv_1/explain")).json["verdict"]
    assert (before["sent"], before["read_at"]) == (1, None)
    assert before["message"].endswith("The next reading is at 2026-11-23T15:30:45Z.")
    day, reasons = day_of(api.world.now), {"NoMatchingClickFound": 12, "AccountMismatch": 4}
    lines = [
        GoalDay(account="default", goal_id="1", goal="Sidecar Purchase", day=UnixSeconds(day + ahead), attributed=rows,
                unattributed=16, reasons=reasons)
        for ahead, rows in ((-DAY_SECONDS, 1), (0, 198), (DAY_SECONDS, 3))
    ]  # fmt: skip
    await api.store.verdicts.save("default", lines, api.world.now)
    verdict = (await api.get("/v1/orders/ORDER-1/explain")).json["items"][0]["verdict"]
    assert verdict["message"] == (
        "Of 214 rows that Microsoft took for this goal on 2026-11-23, 198 were attributed to an ad (93 %); "
        "12 had no matching click, 4 had a click of another ad account."
    )
    assert (verdict["day"], verdict["reasons"], verdict["read_at"]) == ("2026-11-23", reasons, "2026-11-23T14:30:45Z")
    assert [one["reason"] for one in verdict["advice"]] == ["NoMatchingClickFound", "AccountMismatch"]
    assert verdict["differences"][0].startswith("213 were not sent by this sidecar")


async def test_order_has_a_receipt_for_each_event(api: Api, conversion: Json) -> None:
    await api.post([conversion, {**conversion, "event": "trial"}, {**conversion, "order_id": "ORDER-2"}])
    answer = await api.get("/v1/orders/ORDER-1/explain")
    found = [(item["id"], item["event"]) for item in answer.json["items"]]
    assert found == [("conv_2", "trial"), ("conv_1", "purchase")]
    assert answer.json["next_cursor"] is None
    assert answer.json["items"][1] == (await api.get("/v1/conversions/conv_1/explain")).json


async def test_order_id_may_hold_anything(api: Api, conversion: Json) -> None:
    for order_id, path in (("A/B?c=1 %", "A%2FB%3Fc%3D1%20%25"), ("conv_1", "conv_1"), ("ü", "%C3%BC")):
        await api.post({**conversion, "order_id": order_id})
        answer = await api.get(f"/v1/orders/{path}/explain")
        assert [item["order_id"] for item in answer.json["items"]] == [order_id]


async def test_unknown_conversion_and_order_are_not_found(api: Api, conversion: Json) -> None:
    await api.post(conversion)
    for path in ("conversions/conv_99", "conversions/adj_1", "conversions/x", "orders/NONE", "orders/%00"):
        answer = await api.get(f"/v1/{path}/explain")
        assert (answer.status, answer.json["type"]) == (404, "urn:sidecar:problem:no_such_conversion")


async def test_clicks_are_listed_with_the_reason_why_they_were_not_chosen(api: Api) -> None:
    click = {"visitor_id": "v-1", "msclkid": MSCLKID, "time": "2026-11-23T14:00:00Z"}
    late = {"visitor_id": "v-1", "msclkid": "0" * 32, "time": "2026-11-23T14:29:00Z"}
    await api.post([click, late], "/v1/clicks")
    await api.post({"event": "purchase", "order_id": "A", "visitor_id": "v-1", "time": "2026-11-23T14:10:00Z"})
    clicks = (await api.get("/v1/conversions/conv_1/explain")).json["clicks"]
    assert (clicks["known"], clicks["more"]) == (2, False)
    assert [(one["msclkid"], one["verdict"]) for one in clicks["items"]] == [
        ("00000000", "later_than_conversion"),
        (MSCLKID[:8], "chosen"),
    ]


async def test_refund_is_at_the_top_and_has_its_times(api: Api, conversion: Json) -> None:
    await api.post(conversion)
    await delivered(api)
    restate = {"order_id": "ORDER-1", "type": "restate", "value": 10}
    assert (await api.post(restate, "/v1/adjustments")).status == 202
    told = (await api.get("/v1/conversions/conv_1/explain")).json
    assert "A restate to 10 USD is on its way (adj_2)." in told["summary"]
    [one] = told["adjustments"]
    assert (one["id"], one["type"], one["value"], one["currency"]) == ("adj_2", "restate", 10, "USD")
    assert one["conversion_id"] == "conv_1"
    assert MSCLKID not in (await api.get("/v1/conversions/conv_1/explain")).text
