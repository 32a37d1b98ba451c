"""Receipts over HTTP: of one conversion, and of all that an order id stands for."""

from typing import Any

from aiohttp import web
from api_kit import MSCLKID, NOW, Api, OpenApi

from sidecar.api.explain import Explain, Receipts
from sidecar.api.rows import Rows
from sidecar.core.entry import Lane
from sidecar.core.instant import UnixMillis
from sidecar.ports import Note
from sidecar.store.sqlite.tracing import SqliteTraces

Json = dict[str, Any]


async def delivered(api: Api, tracking_id: str = "tracking-1") -> None:
    lanes: list[Lane] = list(api.outbox.lanes)
    entries = await api.outbox.due(lanes, api.world.now, 1_000)
    claim = await api.outbox.claim("default", entries, [0] * len(entries), api.world.now, api.world.now)
    assert claim is not None
    assert await api.outbox.settle(claim, {}, Note("taken", tracking_id), UnixMillis(api.world.now + 500))


async def test_receipt_tells_receipt_attempt_and_answer(api: Api, conversion: Json) -> None:
    await api.post(conversion, headers={"X-Request-Id": "from-the-shop"})
    await delivered(api)
    answer = await api.get("/v1/conversions/conv_1/explain")
    assert answer.status == 200
    told = answer.json
    assert (told["id"], told["state"], told["summary"]) == ("conv_1", "delivered", "Delivered: Microsoft took it.")
    assert told["received"] == {"at": "2026-11-23T14:30:45Z", "request_id": "from-the-shop"}
    assert told["identifiers"]["msclkid"] == MSCLKID[:8]
    [attempt] = told["attempts"]
    assert (attempt["tracking_id"], attempt["answer"]) == ("tracking-1", "Microsoft took it")
    assert (told["waits_for"], told["expires_at"], told["adjustments"]) == (None, None, [])
    assert MSCLKID not in answer.text


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


async def test_clicks_are_told_with_why_they_were_not_taken(api: Api) -> None:
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


async def test_adjustments_are_those_that_are_asked_for(open_api: OpenApi, conversion: Json) -> None:
    """The seam by which adjustments join a receipt."""
    api = await open_api()
    await api.post(conversion)

    async def adjustments(seq: int) -> list[Json]:
        return [{"id": f"adj_{seq}", "type": "retract"}]

    rows = Rows(api.world.goal_of, api.world.held, lambda: NOW)
    receipts = Receipts(SqliteTraces(api.outbox.reader), rows, lambda: NOW, adjustments=adjustments)
    assert [route.path for route in Explain(api.outbox, receipts).routes() if isinstance(route, web.RouteDef)]
    told = await receipts.of(1)
    assert told is not None
    assert told["adjustments"] == [{"id": "adj_1", "type": "retract"}]
